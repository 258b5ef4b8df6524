/** A worker that takes one bundle after the other until it is killed; argument: its home. */
import { FilesWorker } from '../../../src/host/cluster-files-worker.ts';
import { saveBundle, settingsOf, stagingOf } from './homes.ts';
import { rawBundle } from './raw-bundle.ts';

const home = process.argv[2] ?? '';
const worker = new FilesWorker(settingsOf(home), 0);
const names = Array.from({ length: 20 }, (_, index) => `etc/lists/${index}`);
const entry = { mod_time: 1, cluster_item_key: 'etc/lists/', merged: false, hash: 'ab'.repeat(64) };
const shared = Object.fromEntries(names.map((name) => [name, entry]));

for (let turn = 0; ; turn++) {
  const content = (turn % 2 === 0 ? 'a' : 'b').repeat(70_000);
  const members = names.map((name) => ({ name, content }));
  const bundlePath = saveBundle(home, rawBundle(members, { missing: {}, extra: {}, shared }));
  const ask = { bundlePath, stagingFolder: stagingOf(home), origin: 'master' } as const;
  const { id } = await worker.unpack(ask);
  worker.apply({ id, extra: new Map() });
  process.stdout.write('applied\n');
}
