/** Two real publishers: one signs and is killed, the other one serves the same bytes on. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort, StandIns } from '../fakes/processes.ts';
import { scratchDirectory } from '../publisher/fixture.ts';
import { initPublisherDirectory, runPublisher, TestPublisher } from './publisher-fixture.ts';
import { runSidecar } from './run-sidecar.ts';

const program = fileURLToPath(new URL('../../src/publisher-main.ts', import.meta.url));
const waitMs = 90_000;

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const endAtMs = performance.now() + waitMs;
  while (!(await isTrue())) {
    if (performance.now() > endAtMs) throw new Error(`not within ${waitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const isUp = (publisher: TestPublisher, path: string) => async (): Promise<boolean> =>
  (await publisher.get(path).catch(() => undefined))?.status === 200;

/** A writer as a process of its own, and a follower's directory with a certificate from it. */
async function writerAndFollower(t: TestContext, ...more: readonly string[]) {
  const writer = await initPublisherDirectory(t, ['m1=10.0.0.1', 'm2=10.0.0.2', 'm3=10.0.0.3']);
  const folder = scratchDirectory(t);
  const standIns = new StandIns();
  t.after(() => standIns.stopAll());
  const process_ = standIns.start(process.execPath, [program, 'run', '--dir', writer.directory]);
  await until('the writer serves', isUp(writer, '/v1/list'));
  const pem = join(folder, 'pf.pem');
  const flags = ['--certificate', pem, '--host', '127.0.0.1'];
  const exported = await writer.run('export', join(folder, 'site'), ...flags);
  assert.equal(exported.exit, 0, exported.err);
  const token = (await writer.run('token')).out.trim().split('\n').at(-1) ?? '';
  const port = await freePort('127.0.0.1');
  const follower = new TestPublisher(join(folder, 'follower'), port, []);
  t.after(() => follower.stop());
  const listen = ['--listen', `127.0.0.1:${port}`];
  const made = await follower.run('follow', token, ...listen, ...more);
  assert.equal(made.exit, 0, made.err);
  follower.edit('level: info', 'level: silent');
  copyFileSync(pem, join(follower.directory, 'server.pem'));
  copyFileSync(join(writer.directory, 'ca.crt'), join(follower.directory, 'ca.crt'));
  return { writer, follower, process: process_, folder, token };
}

const paths = ['/v1/list', '/v1/root/1', '/v1/list.txt', '/v1/list.txt.sig'];

async function assertSameBytes(left: TestPublisher, right: TestPublisher): Promise<void> {
  for (const path of paths) {
    const [one, other] = [await left.get(path), await right.get(path)];
    assert.equal(one.status, 200, path);
    assert.deepEqual(other, one, path);
  }
}

test('a follower serves the bytes of its writer, wakes who waits, and goes on when the writer is killed', async (t) => {
  const { writer, follower, process: process_, folder, token } = await writerAndFollower(t);
  await follower.start();
  await until('the list came', isUp(follower, '/v1/list'));
  await assertSameBytes(writer, follower);
  const { etag = '' } = await follower.get('/v1/list');
  assert.equal((await follower.get('/v1/list', { 'if-none-match': etag })).status, 304);
  const waiting = follower.get('/v1/list?wait=55', { 'if-none-match': etag });
  waiting.catch(() => undefined);
  assert.equal((await writer.run('drain', 'm1')).exit, 0);
  const woken = await waiting;
  assert.equal(woken.status, 200);
  assert.notEqual(woken.etag, etag);
  assert.equal((await follower.states()).m1, 'drain');
  await assertSameBytes(writer, follower);
  assert.equal((await follower.json('status')).follows.source, `https://127.0.0.1:${writer.port}`);
  const isVouchedFor = async () => (await follower.json('status')).follows.freshAtMs > 0;
  await until('the writer vouched for it', isVouchedFor); // under load it gives no receipts
  await process_.kill();
  await until('the follower has noticed', async () => {
    const { findings } = await follower.json('status');
    return findings.some(({ what }: { what: string }) => what.startsWith('follow.https://'));
  });
  assert.equal((await follower.get('/v1/list')).etag, woken.etag);
  const { body } = await follower.get('/metrics'); // computed anew every two seconds
  assert.match(body.toString(), /followed_info\{source="https:\/\/127\.0\.0\.1:\d+"\} 1/);
  assert.match(body.toString(), /pilotfish_publisher_leader 0/);
  await sidecarJoins(folder, token, follower);
  const { findings } = await follower.json('doctor');
  const list = findings.find(({ check }: { check: string }) => check === 'list');
  assert.match(`${list.level} ${list.text}`, /^ok version \d+ from https/);
  await follower.stop();
  const again = new TestPublisher(follower.directory, follower.port, []);
  t.after(() => again.stop());
  await again.start();
  assert.deepEqual(await again.get('/v1/list'), woken);
});

/** With the follower alone: roots, list and all. */
async function sidecarJoins(folder: string, token: string, follower: TestPublisher): Promise<void> {
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
  const argv = ['join', token, '--config', config];
  // A busy test process makes the follower shed; the sidecar is told to come again.
  await until('it joined', async () => (await runSidecar(argv)).exit === 0);
  const { out } = await runSidecar(['list', '--config', config, '--json']);
  assert.match(out, /10\.0\.0\.2/);
}

test('a follower refuses every command that signs, and names where the writer is', async (t) => {
  const writer = await initPublisherDirectory(t);
  const directory = join(scratchDirectory(t), 'f');
  const token = (await writer.run('token')).out.trim().split('\n').at(-1) ?? '';
  const from = ['--from', `https://127.0.0.1:${writer.port}`, '/srv/lists'];
  const at = ['--dir', directory];
  assert.equal((await runPublisher(['follow', token, ...at, ...from])).exit, 0);
  const commands: readonly (readonly string[])[] = [
    ['publish'],
    ['drain', 'm1'],
    ['undrain', 'm1'],
    ['weight', 'm1', '5'],
    ['rollback', '1'],
    ['rollout', 'pause'],
    ['root', 'renew'],
    ['keys', 'raise-epoch'],
    ['keys', 'replace-root', 'x'],
    ['keys', 'recover', '--url', 'https://h:1', '--manager', '10.0.0.1'],
    ['init', '--org', 'acme', '--manager', '10.0.0.1'],
    ['token'],
  ];
  for (const command of commands) {
    const { exit, err } = await runPublisher([...command, ...at]);
    assert.equal(exit, 2, command.join(' '));
    assert.match(err, new RegExp(`E046.*https://127.0.0.1:${writer.port}`, 's'), command.join(' '));
  }
  const twice = await runPublisher(['follow', token, ...at, ...from]);
  assert.match(twice.err, /E040/);
  const bare = await runPublisher(['run', ...at], () => ({
    stop: AbortSignal.abort(),
    onReload: () => () => undefined,
  }));
  assert.match(bare.err, /server\.pem holds no certificate/);
  const { exit, out } = await runPublisher(['status', '--json', ...at]);
  assert.equal(exit, 1);
  assert.equal(JSON.parse(out).findings[0].what, 'no list came yet');
});

test('what stands in publisher.yml of a follower is judged', async (t) => {
  const writer = await initPublisherDirectory(t);
  const directory = join(scratchDirectory(t), 'f');
  const token = (await writer.run('token')).out.trim().split('\n').at(-1) ?? '';
  await runPublisher(['follow', token, '--dir', directory]);
  const path = join(directory, 'publisher.yml');
  const good = readFileSync(path, 'utf8');
  const cases: readonly (readonly [string | RegExp, string, RegExp])[] = [
    ['org: acme', 'org: other', /follow.token: it is of acme/],
    [/- https.*/, '- cluster', /`cluster` needs a `cluster` section/],
    [/- https.*/, '- http://x', /follow.from: http:\/\/x/],
    ['pfj1.', 'pfj1.x', /E010/],
    ['log:', 'managers: [{id: a, address: 10.0.0.1}]\nlog:', /expected none beside `follow`/],
  ];
  for (const [from, to, error] of cases) {
    writeFileSync(path, good.replace(from, to));
    assert.match((await runPublisher(['status', '--dir', directory])).err, error);
  }
});
