/** A node of ours from before a form of bundles changed gets what every node understands. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { squeezeMark } from '../../../src/cluster/files/squeeze.ts';
import { Link, type LinkHandler } from '../../../src/cluster/link.ts';
import { blocksFeature, ownFeatures } from '../../../src/cluster/tasks/node-ports.ts';
import { createSeal } from '../../../src/cluster/wire/seal.ts';
import { splitBundle } from '../files/raw-bundle.ts';
import { clock, MemoryStore, random } from '../links.ts';
import { Home, key, startMaster, until } from './nodes.ts';
import { emptyManifest, sendManifest } from './peers.ts';

const cluster = { intervals: { master: { recalculate_integrity: 0.2 } } };

/** The bundle that a worker without files is sent when it offers `features`. */
async function sentTo(t: TestContext, port: number, features: readonly string[]): Promise<Buffer> {
  const node = `w${features.length}`;
  const store = new MemoryStore();
  let bundle: Buffer | undefined;
  let isReady = false;
  const handler: LinkHandler = {
    asked(asked, link) {
      if (asked.command === 'updateSent') {
        bundle = store.content(link.takeFile(asked.value.path)?.transfer ?? -1);
      }
      link.answer(asked.counter, { kind: 'ok', payload: `${node}-task` });
    },
    ready: () => {
      isReady = true;
    },
  };
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const offer = { node, features, mustBeOurs: true };
  const session = { role: 'worker', seal: createSeal(key), offer } as const;
  const link = new Link(socket, session, { clock, random, store, handler });
  t.after(() => link.close());
  const hello = { node, cluster: 'wazuh', type: 'worker', version: '4.14.8' };
  await link.request('hello', hello);
  await until('they know each other', () => isReady);
  await sendManifest(link, node, emptyManifest);
  await until('the bundle is there', () => bundle !== undefined);
  return bundle ?? Buffer.alloc(0);
}

test("a worker that knows another form of blocks gets stock's, though it is one of ours", async (t) => {
  const home = new Home(t, { 'etc/lists/a': 'content of a' });
  const { port, log } = await startMaster(t, home, { cluster });
  await until('scan', () => log.has('Calculated metadata of 1 files'));
  const older = ownFeatures.map((name) => (name === blocksFeature ? 'blocks-1' : name));
  const bundle = await sentTo(t, port, older);
  assert.equal(splitBundle(bundle).get('etc/lists/a')?.toString(), 'content of a');
  const newer = await sentTo(t, port, [...ownFeatures, 'not-known-yet']);
  assert.ok(newer.subarray(0, squeezeMark.length).equals(squeezeMark));
});
