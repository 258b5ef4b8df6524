/** Canaries: secrets are planted wherever either program may meet them, and none is in its bundle. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratchDirectory } from '../publisher/fixture.ts';
import { initPublisherDirectory, runPublisher } from './publisher-fixture.ts';
import { runSidecar } from './run-sidecar.ts';

/** Every file of the archive in one text, and the archive's own bytes unpacked. */
function unpacked(archive: string): string {
  return execFileSync('tar', ['-xzOf', archive], { maxBuffer: 64 * 1024 * 1024 }).toString('utf8');
}

function namesIn(archive: string): readonly string[] {
  return execFileSync('tar', ['-tzf', archive]).toString().trim().split('\n');
}

const agentKey = 'ca7a41b0'.repeat(8);
const clusterKey = 'C4n4ryClusterKeyOf32Characters00';
const password = 'C4n4ry-password-of-authd';
const etcdPassword = 'C4n4ry-of-etcd';

function assertNone(text: string, canaries: readonly string[]): void {
  assert.deepEqual(
    canaries.filter((canary) => text.includes(canary)),
    [],
  );
}

test('no secret of a publisher is in its diagnostics', async (t) => {
  const publisher = await initPublisherDirectory(t, ['127.0.0.1:9']);
  const at = (name: string): string => join(publisher.directory, name);
  const home = join(publisher.directory, '..', 'manager');
  mkdirSync(join(home, 'etc'), { recursive: true });
  writeFileSync(join(home, 'etc/client.keys'), `001 a any ${agentKey}\n002 !b any ${agentKey}x\n`);
  writeFileSync(join(home, 'etc/authd.pass'), `${password}\n`);
  writeFileSync(at('tsig.key'), Buffer.from('canary-tsig-key-32-bytes-long-00').toString('base64'));
  writeFileSync(at('etcd.pass'), `${etcdPassword}\n`);
  publisher.edit(
    /^list:/m,
    `reports: {keys: ${home}/etc/client.keys}\ncluster:\n  home: ${home}\n  node: {name: n1, key: ${clusterKey}, master: 127.0.0.1}\nzone:\n  name: z.example\n  update: {server: {address: 127.0.0.1}, zone: z.example, keyName: k, keyFile: tsig.key}\nleader:\n  etcd: {endpoints: ['https://127.0.0.1:9'], user: pilotfish, passwordFile: etcd.pass}\nlist:`,
  );
  const token = (await publisher.run('token')).out.trim().split('\n').at(-1) ?? '';
  const said = `agent said ${agentKey} ${password} ${clusterKey} ${etcdPassword} ${token}`;
  const line = { timestamp: '2026-11-28T00:00:00Z', integration: 'pilotfish' };
  const event = { program: 'publisher', level: 'warn', event: 'trouble.began', message: said };
  appendFileSync(at('events.json'), `${JSON.stringify({ ...line, pilotfish: event })}\n`);
  const archive = join(scratchDirectory(t), 'd.tar.gz');
  const ran = await publisher.run('diagnostics', '--output', archive);
  assert.equal(ran.exit, 0, ran.err);
  const text = unpacked(archive);
  const keys = ['list-key.jwk', 'root-keys/root-1.jwk'].map(
    (name) => JSON.parse(readFileSync(at(name), 'utf8')).d as string,
  );
  const pems = ['ca.key', 'server.pem'].flatMap((name) => pemLines(at(name)));
  assert.equal(keys.filter((one) => one.length > 20).length, 2);
  assertNone(text, [
    ...[agentKey, password, clusterKey, etcdPassword, token, token.slice(5, 60)],
    ...keys,
    ...pems,
    readFileSync(at('tsig.key'), 'utf8'),
    'canary-tsig-key',
  ]);
  assert.match(text, /trouble\.began/);
  assert.match(text, /has mode 0600/);
  const names = namesIn(archive).map((name) => name.split('/')[1]);
  for (const name of ['doctor.json', 'publisher.yml', 'root.json', 'events.json', 'system.json']) {
    assert.ok(names.includes(name), name);
  }
  assert.ok(statSync(archive).size < 1024 * 1024);
  assert.equal(statSync(archive).mode & 0o777, 0o600);
});

/** None yet where `run` has not made it. */
function pemLines(path: string): readonly string[] {
  try {
    const text = /-----BEGIN PRIVATE KEY-----\n([\s\S]*?)-----END/.exec(readFileSync(path, 'utf8'));
    return (text?.[1] ?? '').split('\n').filter((line) => line.length > 20);
  } catch {
    return [];
  }
}

test('no secret of an agent host is in its diagnostics', async (t) => {
  const publisher = await initPublisherDirectory(t, ['127.0.0.1:9']);
  await publisher.start();
  const token = (await publisher.run('token')).out.trim().split('\n').at(-1) ?? '';
  const folder = scratchDirectory(t);
  const home = join(folder, 'home');
  mkdirSync(join(home, 'etc'), { recursive: true });
  mkdirSync(join(home, 'logs'), { recursive: true });
  const conf = `<ossec_config><client><server><address>10.0.0.9</address></server></client>
  <wodle name="x"><api_key>${password}</api_key></wodle></ossec_config>\n`;
  writeFileSync(join(home, 'etc/ossec.conf'), conf);
  writeFileSync(join(home, 'etc/client.keys'), `017 host any ${agentKey}\n`, { mode: 0o640 });
  writeFileSync(join(home, 'etc/authd.pass'), `${password}\n`);
  const log = `2026/11/28 wazuh-agentd: INFO: key ${agentKey} password ${password}\n2026/11/28 wazuh-modulesd: ${clusterKey}\n`;
  writeFileSync(join(home, 'logs/ossec.log'), log);
  const config = join(folder, 'pf.yml');
  writeFileSync(
    config,
    `agent: {home: ${home}}\nstateDir: ${folder}/state\njoinToken: ${token}\nlog: {level: silent}\n`,
  );
  assert.equal((await runSidecar(['join', token, '--config', config])).exit, 0);
  const archive = join(folder, 'd.tar.gz');
  const ran = await runSidecar(['diagnostics', '--config', config, '-o', archive]);
  assert.equal(ran.exit, 0, ran.out);
  const text = unpacked(archive);
  assertNone(text, [agentKey, password, clusterKey, token, token.slice(5, 60)]);
  assert.match(text, /wazuh-agentd: INFO: key \[redacted\]/);
  assert.match(text, /join\.done|"version": 1/);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith('.new')),
    [],
  );
});

test('timeline of a publisher: what was published, as incidents and as JSON', async (t) => {
  const publisher = await initPublisherDirectory(t);
  await publisher.start();
  assert.equal((await publisher.run('drain', '10-0-0-1')).exit, 0);
  const told = (await publisher.run('timeline')).out;
  assert.match(told, /^24h ago .*[▁-█].* now/m);
  assert.match(told, /^incident .*publish/m);
  assert.match(told, /published version 2: drain 10-0-0-1/);
  assert.match(told, /publisher publisher\.listening/);
  const { incidents, moments } = JSON.parse(
    (await publisher.run('timeline', '--json', '--limit', '3')).out,
  );
  assert.equal(incidents.length, 1);
  assert.equal(moments.length, 3);
  for (const flags of [
    ['--since', 'soon'],
    ['--limit', '0'],
    ['--since', '900d'],
  ]) {
    const wrong = await runPublisher(['timeline', '--dir', publisher.directory, ...flags]);
    assert.equal(wrong.exit, 2);
  }
});
