/** The file of the API's tokens where a disk or a hand has made it unreadable. */
import assert from 'node:assert/strict';
import { symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { followTokens } from '../../src/host/api-token-file.ts';
import { silentLog } from '../../src/log.ts';
import { mintToken, renderTokenFile } from '../../src/publisher/api/token.ts';
import { Complaints } from '../../src/publisher/complaints.ts';
import { HandClock, scratchDirectory, startMs } from '../publisher/fixture.ts';

const wish = { name: 'ci', role: 'read', nowMs: startMs, validMs: 1_000 } as const;

test('a token file that cannot even be looked at lets nobody in, is told, and comes back', (t) => {
  const path = join(scratchDirectory(t), 'api-tokens.json');
  const clock = new HandClock(startMs);
  const complaints = new Complaints(silentLog, clock.nowMs.bind(clock));
  const tokens = followTokens(path, clock, complaints);
  const look = (): readonly [number, number] => {
    clock.atMs += 2_000;
    return [tokens().length, complaints.list().length];
  };
  const text = renderTokenFile([mintToken(wish, Buffer.alloc(38, 7)).record]);
  writeFileSync(path, text);
  assert.deepEqual(look(), [1, 0]);
  unlinkSync(path);
  symlinkSync(path, path); // ELOOP, as EIO or EACCES elsewhere
  assert.deepEqual(look(), [0, 1]);
  unlinkSync(path);
  writeFileSync(path, text);
  assert.deepEqual(look(), [1, 0]);
});
