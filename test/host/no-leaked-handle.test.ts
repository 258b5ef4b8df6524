/** A file handle that nobody closes ends the whole process once it is collected. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openClusterSpool } from '../../src/host/cluster-spool.ts';
import { ClusterTransfers } from '../../src/host/cluster-transfers.ts';
import { openFolder } from '../../src/host/open-folder.ts';
import { systemRandom } from '../../src/host/system-clock.ts';

const skip = process.platform !== 'linux' && 'it reads /proc';

function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'pf-handles-'));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 9 }));
  return folder;
}

/** What this process holds open below `folder`, or exactly at it. */
function openBelow(folder: string): readonly string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target === folder || target.startsWith(`${folder}/`) ? [target] : [];
    } catch {
      return []; // the descriptor that read this directory
    }
  });
}

test('a spool whose folder is removed under it keeps nothing open', { skip }, async (t) => {
  const folder = scratch(t);
  let failed = 0;
  for (let round = 0; round < 60; round += 1) {
    const below = join(folder, `${round}`);
    const opening = Array.from({ length: 8 }, () => openClusterSpool(below, systemRandom));
    while (openBelow(below).length === 0) await new Promise(setImmediate);
    rmSync(below, { recursive: true, force: true, maxRetries: 10 });
    for (const settled of await Promise.allSettled(opening)) {
      if (settled.status === 'fulfilled') await settled.value.drop();
      else failed += 1;
    }
    assert.deepEqual(openBelow(below), []);
  }
  assert.ok(failed > 0, 'no round met the moment between creation and removal');
});

test('an upload that begins while its link ends keeps nothing open', { skip }, async (t) => {
  const folder = scratch(t);
  const transfers = new ClusterTransfers(folder, 'w', systemRandom);
  const opening = transfers.perform({ action: 'open', transfer: 1 });
  const refused = assert.rejects(opening, /the link has ended/);
  await transfers.end();
  await refused;
  assert.deepEqual(openBelow(folder), []);
});

test('a path with .. is refused before anything is opened', { skip }, async () => {
  const before = openBelow('').length;
  await assert.rejects(openFolder('/tmp/../etc'), /'\.\.' is not allowed/);
  assert.equal(openBelow('').length, before);
});
