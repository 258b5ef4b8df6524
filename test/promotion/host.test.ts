/** The files, hooks and settings of the role on a real disk with real programs. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hooksOf, type PromotionGround } from '../../src/cli/build-promotion.ts';
import { parsePublisherConfig } from '../../src/cli/publisher-config.ts';
import { clusterConfigOf } from '../../src/cluster/config.ts';
import { HostError } from '../../src/errors.ts';
import { openClientKeys } from '../../src/host/client-keys-file.ts';
import { RoleBookFiles } from '../../src/host/role-book.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import { silentLog } from '../../src/log.ts';
import { keysFacts } from '../../src/promotion/client-keys.ts';
import { editionOf } from '../../src/wazuh/manager-edition.ts';
import { runPublisher } from '../cli/publisher-fixture.ts';
import { freePort } from '../fakes/processes.ts';
import { scratchDirectory } from '../publisher/fixture.ts';

const least = 'org: acme\nmanagers:\n  - {id: a, address: 10.0.0.1}\n';
const etcd = 'leader: {etcd: {endpoints: [http://127.0.0.1:1]}}\n';
const node =
  '  node: {type: worker, name: w, key: c98b62a9b6169ac5f67dae55ae4a9088, master: 127.0.0.1}\n';

test('promotion is off unless asked for, and says what it needs', () => {
  const parse = (text: string) => parsePublisherConfig(least + text, 'publisher.yml');
  assert.equal(parse('cluster: {}\n').cluster?.promotion.mode, 'off');
  const on = 'cluster: {promotion: {mode: automatic}}\n';
  assert.throws(() => parse(on), /cluster\.promotion: needs leader\.etcd/);
  assert.throws(() => parse(etcd + on), /cluster\.promotion: address: a candidate needs one/);
  const follower = 'cluster: {promotion: {mode: manual, candidate: false}}\n';
  assert.equal(parse(etcd + follower).cluster?.promotion.pause, 5_000);
  const shell = 'cluster: {promotion: {hooks: {stop: [rm -f x]}}}\n';
  assert.throws(() => parse(shell), /promotion\.hooks\.stop/);
});

test('client.keys is read as it is, also right after a change, and replaced with its mode', async (t) => {
  const home = scratchDirectory(t);
  const path = join(home, 'etc/client.keys');
  const keys = openClientKeys(home, systemClock);
  assert.equal((await keys.read()).bytes.length, 0);
  mkdirSync(join(home, 'etc'));
  writeFileSync(path, '001 a any k\n');
  chmodSync(path, 0o640);
  const before = await keys.read();
  assert.equal(before.facts.count, 1);
  writeFileSync(path, '001 b any k\n'); // as long, in the same instant
  assert.notEqual((await keys.read()).facts.digest, before.facts.digest);
  await keys.replace(Buffer.from('001 c any k\n002 d any k\n'));
  assert.equal((await keys.read()).facts.greatestId, 2);
  assert.equal(statSync(path).mode & 0o777, 0o640);
  assert.deepEqual(readdirSync(join(home, 'etc')), ['client.keys']);
});

test('memory, orders and copies of keys survive the process; a damaged memory is none', async (t) => {
  const folder = scratchDirectory(t);
  const keys = { ...keysFacts(Buffer.from('')), generation: 1, steps: [] };
  const place = { node: 'm', address: 'm', port: 1516, token: 7, sinceAtMs: 1, movedAtMs: 0 };
  const record = { ...place, keys, workers: [] };
  const memory = { greatestToken: 9, ownToken: 7, wasMaster: true, record };
  new RoleBookFiles(folder, silentLog).write(memory);
  const book = new RoleBookFiles(folder, silentLog);
  assert.deepEqual(book.read(), memory);
  book.order({ kind: 'promote', force: true, id: 'x', atMs: 5 });
  assert.equal(book.takeOrder()?.force, true);
  assert.equal(book.takeOrder(), undefined);
  await book.putAside(7, Buffer.from('001 a any k\n'));
  const [copy] = await new RoleBookFiles(folder, silentLog).aside();
  assert.equal(copy?.bytes.toString(), '001 a any k\n');
  // Killed before it was settled, and started again after a sync: the first copy is the one.
  await new RoleBookFiles(folder, silentLog).putAside(7, Buffer.from('002 b any l\n'));
  const [kept] = await book.aside();
  assert.equal(kept?.bytes.toString(), '001 a any k\n');
  const stray = { id: '001', name: 'a', kind: 'missing', line: '001 a any k' } as const;
  const path = await book.settleAside(7, [stray]);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.match(readFileSync(path, 'utf8'), /001 a any k/);
  assert.deepEqual(await book.aside(), []);
  const told = new RoleBookFiles(folder, silentLog).strays();
  assert.deepEqual(told, [{ path, keys: [{ id: '001', name: 'a', kind: 'missing' }] }]);
  writeFileSync(join(folder, 'cluster-role.json'), '{"greatestToken": -');
  assert.equal(new RoleBookFiles(folder, silentLog).read().greatestToken, 0);
  assert.equal(book.write(memory), true);
  const nowhere = new RoleBookFiles('/dev/null/x', silentLog);
  assert.equal(nowhere.write(memory), false, 'told to whoever must not go on without it');
});

test('a folder of copies that cannot be read or written is told, and ends no node', async (t) => {
  const folder = scratchDirectory(t);
  const told: string[] = [];
  const log = { ...silentLog, warn: (event: string) => void told.push(event) };
  const book = new RoleBookFiles(folder, log);
  await book.putAside(7, Buffer.from('001 a any k\n'));
  const stray = { id: '001', name: 'a', kind: 'missing', line: '001 a any k' } as const;
  const keys = [{ id: '001', name: 'a', kind: 'missing' }];
  const path = await book.settleAside(7, [stray]);
  assert.deepEqual(book.strays(), [{ path, keys }]);
  renameSync(join(folder, 'stray-keys'), join(folder, 'away'));
  writeFileSync(join(folder, 'stray-keys'), 'no folder');
  for (let turn = 0; turn < 3; turn += 1) assert.deepEqual(book.strays(), [{ path, keys }]);
  assert.deepEqual(told, ['promotion.strays_unreadable']);
  await assert.rejects(book.aside(), HostError);
  await assert.rejects(book.putAside(8, Buffer.from('x')), HostError);
  await assert.rejects(book.settleAside(7, [stray]), HostError);
});

test('hooks: each is tried, has its time, says what went wrong; the node type goes with them', async (t) => {
  const folder = scratchDirectory(t);
  const configPath = join(folder, 'ossec.conf');
  const conf = (type: string): string =>
    `<ossec_config><cluster><node_type>${type}</node_type><!-- é --></cluster></ossec_config>\n`;
  writeFileSync(configPath, conf('worker'));
  chmodSync(configPath, 0o640);
  const done = join(folder, 'done');
  const text = `${least}${etcd}cluster:\n${node}  promotion:
    {mode: manual, address: w, hooks: {timeout: 300ms, start: [[touch, ${done}]], follow: [[touch, ${done}3]],
     stop: [[sleep, '30'], [sh, -c, exit 3], [/nowhere/x], [touch, ${done}2]]}}\n`;
  const { cluster, leader, org } = parsePublisherConfig(text, 'publisher.yml');
  assert.ok(cluster !== undefined);
  const { config } = clusterConfigOf({
    options: {
      ...cluster.node,
      node_type: 'worker',
      nodes: ['127.0.0.1'],
      port: `${await freePort('127.0.0.1')}`,
    },
    count: 1,
  });
  const ground: PromotionGround = {
    ...{ directory: folder, home: folder, leader, org, config, configPath, log: silentLog },
    ...{ section: cluster.promotion, edition: editionOf('4.14.8') },
    complaints: { begin: () => undefined, end: () => undefined },
  };
  const hooks = hooksOf(ground);
  const wrong = await hooks.stop();
  assert.equal(wrong.length, 3);
  assert.match(
    wrong.join('; '),
    /^sleep 30: not within 300 ms; sh -c exit 3: exit 3; .*x: ENOENT$/,
  );
  assert.deepEqual(await hooks.start(), []);
  assert.deepEqual(await hooks.follow(), []);
  assert.deepEqual(readdirSync(folder).sort(), ['done', 'done2', 'done3', 'ossec.conf']);
  assert.deepEqual(await hooks.writeRole('master'), []);
  assert.equal(readFileSync(configPath, 'utf8'), conf('master'));
  assert.equal(statSync(configPath).mode & 0o777, 0o640);
  assert.match((await hooks.fault()) ?? '', /x: not found, or not executable/);
  writeFileSync(configPath, '<ossec_config></ossec_config>');
  assert.match((await hooks.writeRole('worker'))[0] ?? '', /<node_type> cannot be changed there/);
});

test('the commands say that promotion is off, that no node runs, and rehearse all the same', async (t) => {
  const dir = scratchDirectory(t);
  const at = ['--dir', dir];
  writeFileSync(join(dir, 'publisher.yml'), least);
  const off = await runPublisher(['promotion', 'status', ...at]);
  assert.equal(off.exit, 2);
  assert.match(off.err, /cluster\.promotion\.mode is off/);
  const on = `cluster:\n  home: ${dir}\n  version: 4.14.8\n${node}  promotion: {mode: automatic, address: w}\n`;
  writeFileSync(join(dir, 'publisher.yml'), `${least}${etcd}${on}`);
  const status = await runPublisher(['promotion', 'status', '--json', ...at]);
  assert.equal(status.exit, 3);
  assert.match(JSON.parse(status.out).troubles[0], /no node of the cluster runs/);
  assert.equal((await runPublisher(['promotion', 'promote', ...at])).exit, 1);
  const rehearsal = await runPublisher(['promotion', 'rehearse', ...at]);
  assert.equal(rehearsal.exit, 3);
  assert.match(rehearsal.out, /failed +engine has a majority +E051/);
  assert.match(rehearsal.out, /w would not become the master/);
  const fenced = await runPublisher(['promotion', 'fence', ...at]);
  assert.deepEqual([fenced.exit, fenced.out], [0, 'done\n']);
});
