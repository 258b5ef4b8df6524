/** The local socket of a running publisher: a message more or less, never the publisher itself. */
import assert from 'node:assert/strict';
import { pbkdf2 } from 'node:crypto';
import { existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildChangeSocket, tellPublisher } from '../../src/host/change-socket.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import { silentLog } from '../../src/log.ts';
import { scratchDirectory } from '../publisher/fixture.ts';

const handlers = { changed: async () => 'serving 7', status: async () => '{}' };

test('what is told is answered, by a socket of its owner alone', async (t) => {
  const path = join(scratchDirectory(t), 'publisher.sock');
  const stop = await buildChangeSocket(path, silentLog).listen(handlers);
  assert.equal(await tellPublisher(path, 'changed', systemClock), 'serving 7');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await stop();
  assert.equal(await tellPublisher(path, 'changed', systemClock), undefined);
});

test('a socket that is removed before it is private is done without', async (t) => {
  const path = join(scratchDirectory(t), 'publisher.sock');
  const warned: string[] = [];
  const log = { ...silentLog, warn: (event: string) => void warned.push(event) };
  const listening = buildChangeSocket(path, log).listen(handlers);
  // Whatever is asked of the disk from here on waits behind these.
  const busy = Array.from({ length: 8 }, () => slow());
  while (!existsSync(path)) await new Promise(setImmediate);
  rmSync(path);
  const stop = await listening;
  assert.deepEqual(warned, ['notices.unavailable']);
  await stop();
  await Promise.all(busy);
});

function slow(): Promise<void> {
  return new Promise((resolve) => pbkdf2('', '', 400_000, 32, 'sha256', () => resolve()));
}
