/** Three members of Debian's etcd in network namespaces, contenders as processes: killed, stopped, cut off. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { missingForCluster } from '../../scripts/leader/cluster-network.ts';
import { StandIns } from '../fakes/processes.ts';

const path = fileURLToPath(new URL('../../scripts/leader/cluster-play.ts', import.meta.url));

test('kills, stops and a split of the store itself: never two that write, and writes go on', {
  skip: missingForCluster() ?? false,
}, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'pf-etcd-'));
  const standIns = new StandIns();
  context.after(async () => {
    await standIns.stopAll();
    rmSync(folder, { recursive: true, force: true, maxRetries: 9 });
  });
  const play = standIns.start('unshare', ['--net', process.execPath, path, folder]);
  const verdict = await play.waitFor({ event: 'verdict' }, { withinMs: 600_000 });
  for (const { event, what, takeoverMs } of play.events) {
    if (event === 'step') context.diagnostic(`${what} ${takeoverMs ?? ''}`);
  }
  context.diagnostic(`${verdict.writes} writes, ${verdict.refused} refused`);
  assert.deepEqual(verdict.wrong, []);
  await play.ended;
});
