/**
 * The list on its way through a cluster, as two whole publishers each with a node of its own: over the
 * link between the nodes, and through a group's shared folder, as it also goes past stock nodes.
 */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { initPublisherDirectory, TestPublisher } from '../cli/publisher-fixture.ts';
import { runSidecar } from '../cli/run-sidecar.ts';
import { Home, key } from '../cluster/system/nodes.ts';
import { eventually, freePort, ownAddress, StandIns } from '../fakes/processes.ts';
import { scratchDirectory } from '../publisher/fixture.ts';
import { PongManager } from '../publisher/roster/pong.ts';

const program = fileURLToPath(new URL('../../src/publisher-main.ts', import.meta.url));
const waitMs = 90_000;
const intervals = {
  intervals: {
    master: { recalculate_integrity: 0.5 },
    worker: { sync_integrity: 0.5, connection_retry: 0.3, keep_alive: 1 },
  },
};

function clusterSection(home: Home, type: 'master' | 'worker', name: string, port: number): string {
  return `cluster:
  home: ${home.path}
  node: {type: ${type}, name: ${name}, key: ${key}, port: ${port}, bindAddress: 127.0.0.1, master: 127.0.0.1}
  version: 4.14.8
  clusterJson: cluster.json
  database: none
  user: root
`;
}

const someManagers = ['m1=10.0.0.1', 'm2=10.0.0.2', 'm3=10.0.0.3'];

async function ground(
  t: TestContext,
  more: string,
  from: string,
  managers: readonly string[] = someManagers,
) {
  const [masterHome, workerHome] = [new Home(t), new Home(t)];
  mkdirSync(join(masterHome.path, 'etc/shared/default'));
  const port = await freePort('127.0.0.1');
  const writer = await initPublisherDirectory(t, managers);
  const shared = more.replaceAll('HOME', masterHome.path);
  const section = clusterSection(masterHome, 'master', 'wm1', port);
  writer.edit(/^list:/m, `${section}${shared}list:`);
  const folder = scratchDirectory(t);
  const pem = join(folder, 'f.pem');
  assert.equal((await writer.run('publish')).exit, 0);
  const flags = ['--certificate', pem, '--host', '127.0.0.1'];
  assert.equal((await writer.run('export', join(folder, 'site'), ...flags)).exit, 0);
  const token = (await writer.run('token')).out.trim().split('\n').at(-1) ?? '';
  const follower = new TestPublisher(join(folder, 'f'), await freePort('127.0.0.1'), []);
  const source = from.replaceAll('HOME', workerHome.path);
  const listen = ['--listen', `127.0.0.1:${follower.port}`];
  const made = await follower.run('follow', token, '--from', source, ...listen);
  assert.equal(made.exit, 0, made.err);
  const own = clusterSection(workerHome, 'worker', 'wm2', port);
  // `follow --from cluster` names the manager of this host, which is elsewhere here.
  follower.edit(/^(?:cluster:\n {2}home: .*\n)?log:/m, `${own}log:`);
  copyFileSync(pem, join(follower.directory, 'server.pem'));
  copyFileSync(join(writer.directory, 'ca.crt'), join(follower.directory, 'ca.crt'));
  for (const { directory } of [writer, follower]) {
    writeFileSync(join(directory, 'cluster.json'), JSON.stringify(intervals));
  }
  const standIns = new StandIns();
  t.after(() => standIns.stopAll());
  const run = ({ directory }: TestPublisher) =>
    standIns.start(process.execPath, [program, 'run', '--dir', directory]);
  return { writer, follower, run, folder, token, workerHome };
}

const serves = async (publisher: TestPublisher): Promise<boolean> =>
  (await publisher.get('/v1/list').catch(() => undefined))?.status === 200;

const proven = ['/v1/list', '/v1/root/1'];
const all = [...proven, '/v1/list.txt', '/v1/list.txt.sig'];

async function assertSame(left: TestPublisher, right: TestPublisher, paths = all): Promise<void> {
  for (const path of paths) {
    const [one, other] = [await left.get(path), await right.get(path)];
    assert.equal(one.status, 200, path);
    assert.ok(one.body.equals(other.body), path);
  }
}

/** A host that knows the follower alone: what it holds, and who vouched for it. */
async function joinSidecar(folder: string, token: string, follower: TestPublisher) {
  mkdirSync(join(folder, 'home/etc'), { recursive: true });
  writeFileSync(
    join(folder, 'home/etc/ossec.conf'),
    '<ossec_config><client><server><address>10.0.0.9</address></server></client></ossec_config>\n',
  );
  const config = join(folder, 'pf.yml');
  writeFileSync(
    config,
    `agent: {home: ${folder}/home}\nstateDir: ${folder}/state\nlog: {level: silent}\n` +
      `sources: {publishers: ['https://127.0.0.1:${follower.port}']}\n`,
  );
  await eventually(
    'it joined',
    async () => (await runSidecar(['join', token, '--config', config])).exit === 0,
    waitMs,
  );
  return JSON.parse((await runSidecar(['status', '--config', config, '--json'])).out);
}

test('the list goes over the link between two nodes, and so does every one after it', async (t) => {
  const { writer, follower, run, folder, token } = await ground(t, '', 'cluster');
  const master = run(writer);
  await eventually('the writer serves', () => serves(writer), waitMs);
  run(follower);
  await eventually('the follower serves', () => serves(follower), waitMs);
  await assertSame(writer, follower);
  assert.equal((await follower.json('status')).follows.source, 'cluster');
  assert.equal((await writer.run('drain', 'm1')).exit, 0);
  const isDrained = async (): Promise<boolean> => (await follower.states()).m1 === 'drain';
  await eventually('the next one is there too', isDrained, waitMs);
  await assertSame(writer, follower);
  // The link carries lists and no questions: a sidecar believes it by the clock, and says so.
  const seen = await joinSidecar(folder, token, follower);
  assert.equal(`"${seen.list.hash}"`, (await follower.get('/v1/list')).etag);
  assert.equal(seen.freshAtMs, undefined);
  assert.ok(seen.stalePolls >= 1, JSON.stringify(seen));
  await master.kill();
  assert.ok(await serves(follower));
});

test("the list lies in a group's shared folder on the master, and a follower beside a worker takes it", async (t) => {
  const shared = 'shared:\n  home: HOME\n  groups: [default]\n';
  const from = 'HOME/etc/shared/default';
  const { writer, follower, run, workerHome } = await ground(t, shared, from);
  run(writer);
  await eventually('the writer serves', () => serves(writer), waitMs);
  run(follower);
  const file = join(workerHome.path, 'etc/shared/default/pilotfish.list');
  await eventually('the cluster carries it', () => existsSync(file), waitMs);
  await eventually('the follower serves', () => serves(follower), waitMs);
  await assertSame(writer, follower, proven); // the file holds no flat form
  const before = readFileSync(file);
  writer.edit('id: m3', 'id: m9'); // membership changes: drains do not touch the shared file
  assert.equal((await writer.run('publish')).exit, 0);
  await eventually('a new file came', () => !readFileSync(file).equals(before), waitMs);
  await eventually('the follower has it', async () => 'm9' in (await follower.states()), waitMs);
});

test('a follower beside a node that is stopped: its manager leaves first, and it serves until then', async (t) => {
  const managers = [96, 97].map((at) => new PongManager(t, ownAddress(at)));
  await Promise.all(managers.map((manager) => manager.come()));
  const names = managers.map(({ address }, at) => `wm${at + 1}=${address}:1514`);
  const roster = 'roster:\n  enabled: true\n  interval: 100ms\nprobe:\n  interval: 200ms\n';
  const { writer, follower, run } = await ground(t, roster, 'cluster', names);
  follower.edit('database: none', 'database: none\n  lameDuck: 5s');
  run(writer);
  await eventually('the writer serves', () => serves(writer), waitMs);
  const process_ = run(follower);
  await eventually('the follower serves', () => serves(follower), waitMs);
  process_.signal('SIGTERM');
  await eventually('it leaves', async () => (await writer.states()).wm2 === 'drain', waitMs);
  assert.ok(await serves(follower), 'it serves while agents move');
  assert.equal((await process_.ended).code, 0);
});
