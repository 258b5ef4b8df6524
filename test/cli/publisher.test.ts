import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildCertificateMaker } from '../../src/host/certificate-maker.ts';
import { buildPublisherLink } from '../../src/host/https-source.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import { parseEnvelope } from '../../src/list/envelope.ts';
import type { Manager } from '../../src/list/model.ts';
import { parseList } from '../../src/list/parse-list.ts';
import { parseRoot } from '../../src/list/parse-root.ts';
import { verifyPinnedRoot } from '../../src/list/root.ts';
import { parseToken } from '../../src/list/token.ts';
import { verifyList } from '../../src/list/verify.ts';
import { leaveWindowMs } from '../../src/sidecar/decide-admission.ts';
import { eventually, freePort, ownAddress, StandIns } from '../fakes/processes.ts';
import { scratchDirectory } from '../publisher/fixture.ts';
import { initPublisherDirectory, runPublisher, TestPublisher } from './publisher-fixture.ts';

const launcher = fileURLToPath(new URL('../../scripts/pilotfish-publisher', import.meta.url));
const standIns = new StandIns();
after(() => standIns.stopAll());

function contentsOf(directory: string): Readonly<Record<string, string>> {
  const names = readdirSync(directory, { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path, readFileSync(path, 'base64')];
    }),
  );
}

test('init makes files that only their owner may read, and a root that allows exactly the named managers', async (t) => {
  const publisher = await initPublisherDirectory(t, [
    '10.0.0.1',
    'wm2.acme.example:1515',
    '2001:db8::1',
  ]);
  const files = contentsOf(publisher.directory);
  for (const path of Object.keys(files)) assert.equal(statSync(path).mode & 0o777, 0o600, path);
  const envelope = readFileSync(join(publisher.directory, 'roots/1.json'));
  const { constraints, publishers } = parseRoot(parseEnvelope(envelope).payloadBytes);
  assert.deepEqual(constraints.hosts, ['wm2.acme.example']);
  assert.deepEqual(constraints.cidrs, ['10.0.0.1/32', '2001:db8::1/128']);
  assert.deepEqual(constraints.ports, [1514, 1515]);
  assert.match(publishers[0]?.spki[0] ?? '', /^sha256\//);
});

test('a second init with the same flags changes nothing and exits 0', async (t) => {
  const publisher = await initPublisherDirectory(t);
  const before = contentsOf(publisher.directory);
  const again = await runPublisher(publisher.initFlags);
  assert.equal(again.exit, 0);
  assert.match(again.out, /already initialised exactly so; nothing was changed/);
  assert.deepEqual(contentsOf(publisher.directory), before);
});

test('init with other flags refuses with E040, names the difference and overwrites nothing', async (t) => {
  const publisher = await initPublisherDirectory(t);
  const before = contentsOf(publisher.directory);
  const other = await runPublisher([...publisher.initFlags, '--root-keys', '3']);
  assert.equal(other.exit, 1);
  assert.match(other.err, /E040 already_initialised.*rootKeys was 1, now 3/);
  assert.deepEqual(contentsOf(publisher.directory), before);
});

test('init refuses a directory that holds keys it did not make', async (t) => {
  const directory = scratchDirectory(t);
  writeFileSync(join(directory, 'list-key.jwk'), 'precious');
  const publisher = new TestPublisher(directory, 8443, ['10.0.0.1']);
  const { exit, err } = await runPublisher(publisher.initFlags);
  assert.equal(exit, 1);
  assert.match(err, /E040 .*list-key\.jwk/);
  assert.equal(readFileSync(join(directory, 'list-key.jwk'), 'utf8'), 'precious');
});

test('a finished directory with a lost file is never initialised anew', async (t) => {
  const publisher = await initPublisherDirectory(t);
  rmSync(join(publisher.directory, 'list-key.jwk'));
  const { exit, err } = await runPublisher(publisher.initFlags);
  assert.equal(exit, 1);
  assert.match(err, /list-key\.jwk is missing; restore it/);
});

test('a ceremony writes each root key to a file of its own and asks for the threshold', async (t) => {
  const publisher = new TestPublisher(join(scratchDirectory(t), 'p'), 8443, ['10.0.0.1']);
  const flags = ['--root-keys', '3', '--threshold', '2'];
  assert.equal((await runPublisher([...publisher.initFlags, ...flags])).exit, 0);
  assert.equal(readdirSync(join(publisher.directory, 'root-keys')).length, 3);
  const envelope = parseEnvelope(readFileSync(join(publisher.directory, 'roots/1.json')));
  const root = parseRoot(envelope.payloadBytes);
  assert.deepEqual([root.roles.root.threshold, root.roles.root.kids.length], [2, 3]);
  assert.equal(envelope.signatures.length, 3);
});

test('wrong init flags are usage errors that name the flag', async (t) => {
  const base = ['init', '--dir', join(scratchDirectory(t), 'p')];
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['--org', 'a b', '--manager', '10.0.0.1'], /--org a b/],
    [['--org', 'a', '--manager', '10.0.0'], /--manager 10\.0\.0:/],
    [['--org', 'a', '--manager', '10.0.0.1:70000'], /--manager 10\.0\.0\.1:70000/],
    [['--org', 'a', '--manager', 'x', 'x'], /named twice/],
    [['--org', 'a', '--manager', 'x', '--url', 'http://x'], /--url http:\/\/x/],
    [['--org', 'a', '--manager', 'x', '--threshold', '2'], /--threshold 2/],
    [['--org', 'a', '--manager', 'x', '--listen', '8443'], /listen: expected HOST:PORT/],
    [['--org', 'a'], /--manager/],
  ];
  for (const [flags, pattern] of cases) {
    const { exit, err } = await runPublisher([...base, ...flags]);
    assert.equal(exit, 2, flags.join(' '));
    assert.match(err, pattern);
  }
});

test('the token pins the root that is served, by hash and by the key of the authority', async (t) => {
  const publisher = await initPublisherDirectory(t);
  const { out } = await publisher.run('token', '--group', 'web', '--site', 'eu-1');
  const token = parseToken(out);
  assert.deepEqual([token.org, token.group, token.site], ['acme', 'web', 'eu-1']);
  await publisher.start();
  const { body } = await publisher.get('/v1/root/1');
  const { root } = await verifyPinnedRoot(body, token);
  assert.equal(token.ca, root.publishers[0]?.spki[0]);
});

test('a sidecar that holds only the token reaches the publisher by its pin and proves list and receipt', async (t) => {
  const publisher = await initPublisherDirectory(t);
  const token = parseToken((await publisher.run('token')).out);
  await publisher.start();
  const link = buildPublisherLink(systemClock);
  const [url = ''] = token.publishers;
  const common = { url, pins: [token.ca ?? ''], waitMs: 0, maxBytes: 65_536 };
  const rootAnswer = await link.ask({ ...common, path: '/v1/root/1' });
  assert.ok(rootAnswer.kind === 'document');
  const { root } = await verifyPinnedRoot(rootAnswer.body, token);
  const nonce = Buffer.alloc(16, 9).toString('base64url');
  const path = `/v1/list?g=${token.group}&s=${token.site}`;
  const answer = await link.ask({ ...common, path, nonce });
  assert.ok(answer.kind === 'document');
  const accepted = await verifyList({
    envelope: answer.body,
    root,
    audience: { group: token.group, site: token.site },
    receipt: { compact: answer.receipt ?? '', nonce },
    nowMs: Date.now() + 10 * 365 * 86_400_000, // a clock ten years off: the receipt vouches
  });
  assert.deepEqual([accepted.kind, accepted.freshness.kind], ['new', 'fresh']);
  const { etag = '' } = answer;
  assert.equal((await link.ask({ ...common, path, nonce, etag })).kind, 'unchanged');
  assert.equal((await link.ask({ ...common, path: '/v1/root/2' })).kind, 'absent');
});

test('a drain by command is served at once to whoever waits, and seen in nodes and history', async (t) => {
  const publisher = await initPublisherDirectory(t);
  await publisher.start();
  const first = await publisher.get('/v1/list');
  const waiting = publisher.get('/v1/list?wait=55', { 'if-none-match': first.etag ?? '' });
  const drained = await publisher.run('drain', '10-0-0-2');
  assert.match(
    drained.out,
    /published version 2 \(was 1\)\n {2}~ 10-0-0-2 state up -> drain\nthe running publisher serves it/,
  );
  const answer = await waiting;
  const list = parseList(parseEnvelope(answer.body).payloadBytes);
  assert.deepEqual(
    list.managers.map((manager) => manager.state),
    ['up', 'drain', 'up'],
  );
  const { history } = await publisher.json('history');
  assert.deepEqual(
    history.map((entry: { version: number; reason: string; detail: string }) => [
      entry.version,
      entry.reason,
      entry.detail,
    ]),
    [
      [2, 'drain', '10-0-0-2'],
      [1, 'first', ''],
    ],
  );
  const table = await publisher.run('history');
  assert.match(
    table.out,
    /^version +issued +reason +managers +expires +root +hash\n +2 .*drain 10-0-0-2 +2 up, 1 drain/,
  );
});

test('commands work without a running publisher; the next run serves what they left', async (t) => {
  const publisher = await initPublisherDirectory(t);
  assert.match((await publisher.run('publish')).out, /no publisher answered/);
  await publisher.run('drain', '10-0-0-1');
  await publisher.run('undrain', '10-0-0-1');
  assert.match((await publisher.run('rollback', '2')).out, /published version 4/);
  await publisher.start();
  const { body } = await publisher.get('/v1/list');
  const list = parseList(parseEnvelope(body).payloadBytes);
  assert.deepEqual([list.version, list.managers[0]?.state], [4, 'drain']);
});

test('publish --dry-run exits 3 when it would change, 0 when not, and writes nothing', async (t) => {
  const publisher = await initPublisherDirectory(t);
  const first = await publisher.run('publish', '--dry-run');
  assert.deepEqual(
    [first.exit, first.out],
    [3, 'would publish version 1\n  first list with 3 manager(s)\n'],
  );
  assert.deepEqual(await publisher.json('history'), { history: [] });
  await publisher.run('publish');
  assert.deepEqual((await publisher.run('publish', '--dry-run')).exit, 0);
  assert.match((await publisher.run('publish')).out, /nothing to publish: version 1/);
});

test('a reload publishes a changed configuration at once', async (t) => {
  const publisher = await initPublisherDirectory(t);
  await publisher.start();
  const first = await publisher.get('/v1/list');
  const waiting = publisher.get('/v1/list?wait=55', { 'if-none-match': first.etag ?? '' });
  publisher.edit('weight: 100', 'weight: 50 ');
  publisher.reload();
  const list = parseList(parseEnvelope((await waiting).body).payloadBytes);
  assert.deepEqual([list.version, list.managers[0]?.weight], [2, 50]);
});

test('reports on disk that are damaged hold up no list of a running publisher', async (t) => {
  const publisher = await initPublisherDirectory(t);
  writeFileSync(join(publisher.directory, 'reports.db'), 'no database at all', { mode: 0o600 });
  await publisher.start();
  const { etag = '' } = await publisher.get('/v1/list');
  const waiting = publisher.get('/v1/list?wait=55', { 'if-none-match': etag });
  publisher.edit('weight: 100', 'weight: 50 ');
  publisher.reload();
  const list = parseList(parseEnvelope((await waiting).body).payloadBytes);
  assert.deepEqual([list.version, list.managers[0]?.weight], [2, 50]);
});

test('nor an order where neither waves nor the size of the fleet are asked of them', async (t) => {
  const publisher = await initPublisherDirectory(t);
  publisher.edit('validFor: 24h', 'agents: 300\n  validFor: 24h');
  publisher.edit(/^list:/m, 'rollout: { enabled: false }\nlist:');
  await publisher.run('publish');
  writeFileSync(join(publisher.directory, 'reports.db'), 'no database at all', { mode: 0o600 });
  const { exit, err } = await publisher.run('drain', '10-0-0-1');
  assert.equal(exit, 0, err);
});

test('the accept rates of publisher.yml stand in the signed list, and agents leave in slots by them', async (t) => {
  const publisher = await initPublisherDirectory(t);
  publisher.edit('weight: 100', 'acceptRate: 5');
  publisher.edit('validFor: 24h', 'acceptRate: 50\n  agents: 300\n  validFor: 24h');
  await publisher.run('publish');
  await publisher.start();
  const { body } = await publisher.get('/v1/list');
  const list = parseList(parseEnvelope(body).payloadBytes);
  assert.equal(list.admission?.ratePerServer, 50);
  const [slow, leaving, last] = list.managers;
  assert.ok(slow !== undefined && leaving !== undefined && last !== undefined);
  const windowOf = (candidates: readonly Manager[]) =>
    leaveWindowMs({ list, leaving, candidates, health: new Map(), sinceAtMs: Date.now() });
  // A hundred leave; the slow one takes four a second, the other one forty.
  assert.equal(windowOf([slow, last]), 12_500);
  assert.equal(windowOf([last]), 5_000);
});

test('a second run in the same directory is refused with E030, a taken port with E703', async (t) => {
  const publisher = await initPublisherDirectory(t);
  await publisher.start();
  const idlePort = await freePort('127.0.0.1');
  const second = new TestPublisher(publisher.directory, idlePort, []);
  await assert.rejects(second.start(), /E030 second_instance/);
  const copy = await initPublisherDirectory(t);
  copy.edit(/listen: .*/, `listen: 127.0.0.1:${publisher.port}`);
  await assert.rejects(copy.start(), /E703 listen_failed.*EADDRINUSE/);
});

test('run ends with 0 when asked to, and answers whoever waits', async (t) => {
  const publisher = await initPublisherDirectory(t);
  await publisher.start();
  const { etag = '' } = await publisher.get('/v1/list');
  const waiting = publisher.get('/v1/list?wait=55', { 'if-none-match': etag });
  await publisher.get('/livez');
  assert.equal((await publisher.stop())?.exit, 0);
  const answer = await waiting.catch(() => undefined);
  assert.ok(answer === undefined || answer.status === 304);
});

test('the running publisher signs anew long before a list ends', async (t) => {
  const publisher = await initPublisherDirectory(t);
  publisher.edit('validFor: 24h\n  resignEvery: 3h', 'validFor: 1m\n  resignEvery: 1s');
  await publisher.start();
  const first = await publisher.get('/v1/list');
  const next = await publisher.get('/v1/list?wait=55', { 'if-none-match': first.etag ?? '' });
  const list = parseList(parseEnvelope(next.body).payloadBytes);
  const { history } = await publisher.json('history');
  assert.ok(list.version >= 2);
  assert.equal(history[0].reason, 'resign');
});

test('a change whose message is lost is found by looking at the history', async (t) => {
  const publisher = await initPublisherDirectory(t);
  await publisher.start();
  const socket = join(publisher.directory, 'publisher.sock');
  await eventually('it may be told', () => existsSync(socket)); // a moment after it serves
  rmSync(socket);
  const { etag = '' } = await publisher.get('/v1/list');
  const waiting = publisher.get('/v1/list?wait=55', { 'if-none-match': etag });
  assert.match((await publisher.run('drain', '10-0-0-3')).out, /no publisher answered/);
  assert.equal((await waiting).status, 200);
});

test('the launcher works through a symlink; SIGHUP refuses a broken file and takes the mended one; SIGTERM ends with 0', async (t) => {
  const publisher = await initPublisherDirectory(t);
  publisher.edit('level: silent', 'level: info');
  const link = join(publisher.directory, '..', 'linked');
  symlinkSync(launcher, link);
  const child = spawn(link, ['run', '--dir', publisher.directory], {
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  const ended = once(child, 'close');
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const logged = async (event: string): Promise<void> => {
    while (!log.includes(event) && child.exitCode === null) await once(child.stderr, 'data');
  };
  await logged('publisher.listening');
  publisher.edit('weight: 100', 'weigth: 7  ');
  child.kill('SIGHUP');
  await logged('reload.failed');
  publisher.edit('weigth: 7  ', 'weight: 7  ');
  child.kill('SIGHUP');
  await logged('reload.done');
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
  assert.match(log, /"event":"reload.done","version":2/);
  assert.match(log, /"event":"publisher.stopped"/);
});

test('a lost or ended server certificate is made anew at the start', async (t) => {
  const publisher = await initPublisherDirectory(t);
  const path = join(publisher.directory, 'server.pem');
  const maker = buildCertificateMaker(systemClock, systemRandom);
  const authority = {
    certificatePem: readFileSync(join(publisher.directory, 'ca.crt'), 'utf8'),
    keyPem: readFileSync(join(publisher.directory, 'ca.key'), 'utf8'),
  };
  const ended = maker.makeServer({ authority, hosts: ['127.0.0.1'], validDays: 1 });
  writeFileSync(path, `${ended.certificatePem}${ended.keyPem}`, { mode: 0o600 });
  await publisher.start();
  const { notAfterMs } = maker.inspect(readFileSync(path, 'utf8'));
  assert.ok(notAfterMs > Date.now() + 20 * 86_400_000);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('nodes asks every manager: the living with latency, the dead with the reason', async (t) => {
  const alive = ownAddress(0);
  const dead = ownAddress(1);
  await standIns.startManager(`${alive}:1514`);
  const publisher = await initPublisherDirectory(t, [alive, dead]);
  const { nodes } = await publisher.json('nodes');
  assert.deepEqual(
    nodes.map((node: { isAlive: boolean; probe: string }) => [node.isAlive, node.probe]),
    [
      [true, 'up'],
      [false, 'down: nothing listens there'],
    ],
  );
  const { out } = await publisher.run('nodes');
  assert.match(out, /^id +address +state +probe +latency +weight +prio +zone +agents\n/);
  assert.match(out, /up +up +\d+(\.\d)? ms +100 +0 +default +n\/a\n/);
});

test('unknown ids and versions are E041 and E042 with what is known; --json carries the code', async (t) => {
  const publisher = await initPublisherDirectory(t);
  await publisher.run('publish');
  const drain = await publisher.run('drain', 'wm9');
  assert.equal(drain.exit, 2);
  assert.match(
    drain.err,
    /E041 unknown_manager: no manager "wm9"; known: 10-0-0-1, 10-0-0-2, 10-0-0-3/,
  );
  const rollback = await publisher.json('rollback', '9');
  assert.deepEqual([rollback.error.code, rollback.error.name], ['E042', 'unknown_version']);
});

test('a manager outside the root is refused with E408 and named', async (t) => {
  const publisher = await initPublisherDirectory(t);
  publisher.edit('address: 10.0.0.2', 'address: 10.9.9.9');
  const { exit, err } = await publisher.run('publish');
  assert.equal(exit, 4);
  assert.match(err, /E408 constraint: .*10\.9\.9\.9/);
});

test('root renew allows one more manager; the running publisher follows it without a restart', async (t) => {
  const publisher = await initPublisherDirectory(t);
  await publisher.start();
  const { etag = '' } = await publisher.get('/v1/list');
  const waiting = publisher.get('/v1/list?wait=55', { 'if-none-match': etag });
  publisher.edit('list:', '  - {id: wm9, address: 10.0.0.9, port: 1519}\nlist:');
  assert.match((await publisher.run('publish')).err, /E408 constraint: .*10\.0\.0\.9/);
  const renewed = await runPublisher([
    ...['root', 'renew', '--dir', publisher.directory, '--manager', '10.0.0.9:1519'],
  ]);
  assert.match(
    renewed.out,
    /^root 2, .*10\.0\.0\.9\/32\n {2}ports 1514, 1519\nthe running publisher/s,
  );
  const signed = parseList(parseEnvelope((await waiting).body).payloadBytes);
  assert.deepEqual([signed.version, signed.rootVersion, signed.managers.length], [2, 2, 3]);
  const [first, second] = await Promise.all(
    ['/v1/root/1', '/v1/root/2'].map((path) => publisher.get(path)),
  );
  const token = parseToken((await publisher.run('token')).out);
  assert.equal(token.rootVersion, 2);
  const { root } = await verifyPinnedRoot(second?.body ?? Buffer.of(), token);
  assert.equal(root.version, 2);
  assert.equal(first?.status, 200);
  assert.match((await publisher.run('publish')).out, /published version 3.*\n {2}\+ wm9/);
});

test('root renew needs the threshold of root keys, wherever they lie', async (t) => {
  const publisher = new TestPublisher(join(scratchDirectory(t), 'p'), 8443, ['10.0.0.1']);
  await runPublisher([...publisher.initFlags, '--root-keys', '3', '--threshold', '2']);
  const elsewhere = join(publisher.directory, '..', 'holder.jwk');
  renameSync(join(publisher.directory, 'root-keys/root-1.jwk'), elsewhere);
  rmSync(join(publisher.directory, 'root-keys/root-2.jwk'));
  const renew = ['root', 'renew', '--dir', publisher.directory];
  const alone = await runPublisher(renew);
  assert.equal(alone.exit, 2);
  assert.match(alone.err, /1 of the root keys are at hand; needed: 2/);
  const both = await runPublisher([...renew, '--root-key', elsewhere]);
  assert.equal(both.exit, 0, both.err);
  assert.match((await publisher.run('publish')).out, /published version 1/);
});

test('run with a configuration that the root refuses goes on serving the last good list', async (t) => {
  const publisher = await initPublisherDirectory(t);
  await publisher.run('publish');
  publisher.edit('address: 10.0.0.2', 'address: 10.9.9.9');
  await publisher.start();
  const list = parseList(parseEnvelope((await publisher.get('/v1/list')).body).payloadBytes);
  assert.deepEqual([list.version, list.managers[1]?.address], [1, '10.0.0.2']);
});

test('a directory of another organisation, readable keys and a damaged history are told apart', async (t) => {
  const publisher = await initPublisherDirectory(t);
  await publisher.run('publish');
  const copyOf = (name: string): TestPublisher => {
    const directory = join(publisher.directory, '..', name);
    cpSync(publisher.directory, directory, { recursive: true });
    return new TestPublisher(directory, publisher.port, []);
  };
  const other = copyOf('other');
  other.edit('org: acme', 'org: evil');
  assert.match((await other.run('publish')).err, /E303 root_org/);
  const open = copyOf('open');
  chmodSync(join(open.directory, 'list-key.jwk'), 0o644);
  assert.match((await open.run('publish')).err, /E001 .*list-key\.jwk.*others may read/);
  const damaged = copyOf('damaged');
  writeFileSync(join(damaged.directory, 'history.db'), 'x'.repeat(20_000));
  assert.match((await damaged.run('publish')).err, /E702 store_failed.*history\.db/);
});

test('help shows every command, examples, exit codes and the whole configuration', async () => {
  const { exit, out } = await runPublisher(['--help']);
  assert.equal(exit, 0);
  const words = [
    'init',
    'token',
    'run',
    'nodes',
    'publish',
    'drain',
    'undrain',
    'history',
    'rollback',
  ];
  for (const word of [...words, 'Examples:', 'Exit codes:', 'managers[].weight', 'list.validFor']) {
    assert.ok(out.includes(word), word);
  }
});

test('doctor tells what is amiss around a publisher, each with a fix, and no secret', async (t) => {
  const publisher = await initPublisherDirectory(t, ['127.0.0.1:9']);
  const key = '0123456789abcdef0123456789abcdef';
  publisher.edit(
    /^list:/m,
    `cluster:\n  home: /nowhere\n  node: {name: n1, key: ${key}, master: 127.0.0.1}\nlist:`,
  );
  chmodSync(join(publisher.directory, 'ca.key'), 0o644);
  const { exit, out } = await publisher.run('doctor');
  assert.equal(exit, 1);
  assert.match(out, /^FAIL +mode \S+ca\.key .*others may read it/m);
  assert.match(out, /^FAIL +port \S+ 127\.0\.0\.1:9 +nothing listens/m);
  assert.match(out, /^WARN +cluster key +has hex digits only/m);
  assert.match(out, /^WARN +root keys +1 lie on this host/m);
  assert.match(out, /^ok +root +root 1 is good until/m);
  assert.ok(!out.includes(key));
  const { findings } = JSON.parse((await publisher.run('doctor', '--json')).out);
  const amiss = findings.filter(({ level }: { level: string }) => /warn|fail/.test(level));
  assert.ok(amiss.every(({ fix }: { fix?: string }) => (fix ?? '') !== ''));
});

test('doctor of a running publisher, of a taken port, and of no publisher at all', async (t) => {
  const publisher = await initPublisherDirectory(t);
  await publisher.start();
  assert.match(
    (await publisher.run('doctor')).out,
    /^ok +port \S+ +the running publisher answers/m,
  );
  await publisher.stop();
  const other = createServer().listen(publisher.port, '127.0.0.1');
  await once(other, 'listening');
  t.after(() => other.close());
  assert.match((await publisher.run('doctor')).out, /^FAIL +port \S+ +another program listens/m);
  const none = await runPublisher(['doctor', '--dir', join(publisher.directory, 'none')]);
  assert.equal(none.exit, 1);
  assert.match(none.out, /^FAIL +configuration +E001/m);
});
