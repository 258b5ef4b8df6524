/** *whole* and *member*: the publisher runs a node of the cluster itself and is asked for `status`. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  initPublisherDirectory,
  runPublisher,
  type TestPublisher,
} from '../../cli/publisher-fixture.ts';
import { Home, key, startMaster, startWorker } from '../../cluster/system/nodes.ts';
import { eventually, freePort, ownAddress } from '../../fakes/processes.ts';
import { as, call } from '../api/call.ts';
import { postReport } from '../reports/post-report.ts';
import { aReport, keyOf } from '../reports/report-fixture.ts';
import { PongManager } from './pong.ts';

const intervals = {
  intervals: {
    master: { recalculate_integrity: 0.3, agent_group_start_delay: 1, sync_agent_groups: 1 },
    worker: { sync_integrity: 0.3, connection_retry: 0.3, keep_alive: 1 },
  },
};
const more = { database: 'embedded' } as const;
const waitMs = 60_000;

interface Ground {
  readonly publisher: TestPublisher;
  readonly home: Home;
  readonly port: number;
  readonly managers: readonly PongManager[];
}

/** A publisher with a node of its own; every manager answers. */
async function ground(
  t: TestContext,
  node: { readonly type: 'master' | 'worker'; readonly name: string; readonly port?: number },
  count: number,
): Promise<Ground> {
  const managers = Array.from({ length: count }, (_, at) => new PongManager(t, ownAddress(at)));
  await Promise.all(managers.map((manager) => manager.come()));
  const agents = Array.from({ length: 9 }, (_, at) => `00${at + 1}`);
  const keys = agents.map((id) => `${id} host-${id} any ${keyOf(id)}\n`).join('');
  const home = new Home(t, { 'etc/client.keys': keys });
  const port = node.port ?? (await freePort('127.0.0.1'));
  const publisher = await initPublisherDirectory(
    t,
    managers.map(({ address }, at) => `wm${at + 1}=${address}:1514`),
  );
  writeFileSync(join(publisher.directory, 'cluster.json'), JSON.stringify(intervals));
  const own = `{type: ${node.type}, name: ${node.name}, key: ${key}, port: ${port}, bindAddress: 127.0.0.1, master: 127.0.0.1}`;
  const text = `cluster:
  home: ${home.path}
  node: ${own}
  version: 4.14.8
  clusterJson: cluster.json
  database: embedded
  user: root
roster:
  enabled: true
  interval: 100ms
reports:
  keys: ${home.path}/etc/client.keys
probe:
  interval: 200ms
list:`;
  publisher.edit(/^list:/m, text);
  return { publisher, home, port, managers };
}

async function seen(publisher: TestPublisher, id: string) {
  const status = await publisher.json('status');
  const listed = status.list.managers.find((one: { id: string }) => one.id === id);
  const found = status.running?.roster?.managers.find((one: { id: string }) => one.id === id);
  return { state: listed?.state as string | undefined, ...found };
}

/** As the API tells it to who may read. */
async function lackingFiles(publisher: TestPublisher, node: string): Promise<readonly string[]> {
  const flags = ['--name', node, '--role', 'read', '--dir', publisher.directory, '--json'];
  const made = await runPublisher(['api-token', 'create', ...flags]);
  const { token } = JSON.parse(made.out);
  const { status, text } = await call(publisher, 'GET', `/api/v1/files?node=${node}`, as(token));
  assert.equal(status, 200, text);
  const { files, total } = JSON.parse(text);
  assert.equal(total, files.length);
  return files
    .filter(({ state }: { state: string }) => state !== 'synchronized')
    .map(({ file, reason }: { file: string; reason: string }) => `${file} ${reason}`);
}

let seq = 0;

async function report(publisher: TestPublisher, agent: string, wm2: 'up' | 'down') {
  seq += 1;
  const health = [
    { id: 'wm1', verdict: 'up' },
    { id: 'wm2', verdict: wm2 },
    { id: 'wm3', verdict: 'up' },
  ];
  await postReport(publisher, aReport({ agent, place: agent, site: 'office', seq, health }));
}

test('a worker that is told to stop is drained while it still serves, and taken back when it returns', async (t) => {
  const { publisher, port } = await ground(t, { type: 'master', name: 'wm1' }, 2);
  const wish = { name: 'wm2', port, cluster: intervals, more: { ...more, lameDuckMs: 5_000 } };
  const home = new Home(t);
  const worker = startWorker(t, home, wish);
  await publisher.start();
  const state = async () => (await seen(publisher, 'wm2')).state;
  await eventually('wm2 is in', async () => (await state()) === 'up', waitMs);
  await eventually('a round', async () => (await seen(publisher, 'wm2')).isReady, waitMs);
  const toldAtMs = performance.now();
  await worker.stop();
  assert.ok(performance.now() - toldAtMs >= 4_990, 'it goes on for a while');
  await eventually('drained', async () => (await state()) === 'drain', waitMs);
  startWorker(t, home, wish);
  await eventually('back', async () => (await state()) === 'up', waitMs);
});

test('whole: no keys, no entry; the killed leaves; who flaps is damped; a blind site drains nobody', async (t) => {
  const { publisher, port, managers } = await ground(t, { type: 'master', name: 'wm1' }, 3);
  const third = / {2}- id: wm3\n(?: {4}.*\n)+/;
  publisher.edit(third, ''); // wm3 comes later
  const worker = startWorker(t, new Home(t), { name: 'wm2', port, cluster: intervals, more });
  await publisher.start();
  await eventually(
    'wm2 is in step by the store of our own master',
    async () => (await seen(publisher, 'wm2')).lags?.keysGeneration > 0,
    waitMs,
  );
  assert.equal((await publisher.run('status')).exit, 0);

  const entry = `  - id: wm3\n    address: ${managers[2]?.address}\n    port: 1514\nlist:`;
  publisher.edit(/^list:/m, 'list:');
  publisher.edit(/^managers:\n/m, `managers:\n${entry.replace(/list:$/, '')}`);
  publisher.reload();
  const late = new Home(t);
  mkdirSync(join(late.path, 'etc/client.keys')); // where the keys belong there is a folder
  startWorker(t, late, { name: 'wm3', port, cluster: intervals, more });
  await eventually(
    'wm3 has no keys',
    async () => /lacks keys of agents/.test((await seen(publisher, 'wm3')).why),
    waitMs,
  );
  const told = await publisher.run('status');
  assert.equal(told.exit, 3);
  assert.match(told.out, /^degraded: wm3 is not ready: it lacks keys of agents/);
  assert.equal((await seen(publisher, 'wm3')).state, 'down');
  assert.deepEqual(await lackingFiles(publisher, 'wm3'), ['etc/client.keys missing on the node']);
  late.remove('etc/client.keys');
  await eventually('wm3 is in', async () => (await seen(publisher, 'wm3')).state === 'up', waitMs);

  for (const agent of ['001', '002', '003']) await report(publisher, agent, 'down');
  await eventually(
    'the site is heard',
    async () => (await seen(publisher, 'wm2')).sites?.includes('office down'),
    waitMs,
  );
  assert.equal((await seen(publisher, 'wm2')).state, 'up', 'a blind site drains nobody');
  await managers[2]?.leave(); // this publisher cannot reach wm3; its node and the sites can
  await eventually(
    'the publisher is blind',
    async () => (await seen(publisher, 'wm3')).probe === 'down',
    waitMs,
  );
  assert.equal((await seen(publisher, 'wm3')).state, 'up', 'a blind publisher drains nobody');

  for (const agent of ['001', '002', '003']) await report(publisher, agent, 'up');
  const killedAtMs = performance.now();
  await Promise.all([worker.stop(), managers[1]?.leave()]);
  await eventually('wm2 left', async () => (await seen(publisher, 'wm2')).state === 'down', waitMs);
  t.diagnostic(
    `a killed node left the list after ${Math.round(performance.now() - killedAtMs)} ms`,
  );
  await eventually(
    'wm2 is damped',
    async () => {
      await managers[1]?.come();
      await eventually('up', async () => (await seen(publisher, 'wm2')).isReady, waitMs);
      await managers[1]?.leave();
      await eventually('down', async () => !(await seen(publisher, 'wm2')).isReady, waitMs);
      return (await seen(publisher, 'wm2')).isDamped;
    },
    waitMs,
  );
  await managers[1]?.come();
  await eventually('it is well', async () => (await seen(publisher, 'wm2')).isReady, waitMs);
  assert.equal((await seen(publisher, 'wm2')).state, 'down', 'and still kept out');
  assert.match((await publisher.run('status')).out, /wm2 comes and goes, and is kept out/);
});

test('member: our node is a worker, and its master knows the others', async (t) => {
  const home = new Home(t, { 'etc/client.keys': '001 a any k\n' });
  const master = await startMaster(t, home, { name: 'wm1', cluster: intervals });
  const { publisher } = await ground(t, { type: 'worker', name: 'wm2', port: master.port }, 2);
  await publisher.start();
  const step = await eventually(
    'wm2 is in step',
    async () => {
      const { cluster, step: told } = await seen(publisher, 'wm2');
      return cluster === 'up' && told === 'in_step' ? told : undefined;
    },
    waitMs,
  );
  assert.equal(step, 'in_step');
  await master.stop();
  await eventually(
    'the cluster says nothing',
    async () => (await seen(publisher, 'wm2')).cluster === 'unknown',
    waitMs,
  );
  const { out, exit } = await publisher.run('status');
  assert.equal(exit, 3);
  assert.match(out, /roster\.cluster: /);
  assert.equal((await seen(publisher, 'wm2')).state, 'up', 'and nobody leaves by that');
});

test('what a worker says of its addresses comes to the publisher, and an odd one never into the list', async (t) => {
  const { publisher, port } = await ground(t, { type: 'master', name: 'wm1' }, 2);
  publisher.edit('roster:\n', 'roster:\n  hearNodes: true\n');
  await publisher.start();
  const advertise = { named: [{ zone: 'dmz', address: '127.0.0.9' }], networks: [] };
  startWorker(t, new Home(t), { name: 'wm2', port, cluster: intervals, more: { advertise } });
  const told = await eventually(
    'the complaint',
    async () => {
      const { running } = await publisher.json('status');
      const all = (running?.complaints ?? []) as readonly { topic: string; message: string }[];
      return all.find(({ topic }) => topic === 'addresses')?.message;
    },
    waitMs,
  );
  assert.match(told, /wm2 in zone dmz at 127\.0\.0\.9 is a loopback address/);
  const { body } = await publisher.get('/v1/list.txt');
  assert.doesNotMatch(body.toString(), /^address /m);
});
