/** Changes below the item folders, told by the kernel. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseClusterJson } from '../../src/cluster/files/cluster-json.ts';
import { ClusterWatch } from '../../src/host/cluster-watch.ts';

const skip = process.platform !== 'linux' && 'only Linux tells of every change';

test('folders that appear are watched too, below many files that come at once', {
  skip,
}, async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'pf-watch-'));
  t.after(() => rmSync(home, { recursive: true, force: true, maxRetries: 9 }));
  for (const { key } of parseClusterJson({}).catalogue.items) {
    mkdirSync(join(home, key), { recursive: true });
  }
  let told = Promise.withResolvers<void>();
  const watching = new ClusterWatch(home, parseClusterJson({}).catalogue).watch(() =>
    told.resolve(),
  );
  t.after(() => watching.close());
  assert.ok(watching.isReliable);
  const folder = join(home, 'etc/shared/new');
  mkdirSync(folder);
  for (let index = 0; index < 300; index++) writeFileSync(join(home, `etc/shared/${index}`), 'x');
  await told.promise;
  const isToldSoon = (): Promise<boolean> => {
    told = Promise.withResolvers();
    const late = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 200));
    return Promise.race([told.promise.then(() => true), late]);
  };
  while (await isToldSoon()); // the many files
  for (let turn = 0; turn < 100; turn++) {
    const soon = isToldSoon();
    writeFileSync(join(folder, 'deep'), `${turn}`);
    if (await soon) return;
  }
  assert.fail('the new folder was never watched');
});
