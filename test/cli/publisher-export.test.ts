/** A sidecar that never sees a publisher: list and roots from nginx, and nothing that was tampered with. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { renewWhenDue } from '../../src/cli/build-publisher-certificates.ts';
import { parsePublisherConfig } from '../../src/cli/publisher-config.ts';
import { scratchDirectory } from '../publisher/fixture.ts';
import { initPublisherDirectory } from './publisher-fixture.ts';
import { runSidecar } from './run-sidecar.ts';

const nginxProgram = '/usr/sbin/nginx';
/** Its workers become nobody, who may not read a scratch folder. */
const isRoot = process.getuid?.() === 0;

async function startNginx(t: TestContext, folder: string, site: string, port: number) {
  mkdirSync(join(folder, 'nginx'));
  const config = join(folder, 'nginx.conf');
  writeFileSync(
    config,
    `${isRoot ? 'user root; ' : ''}daemon off; pid ${folder}/nginx/pid; error_log ${folder}/nginx/error.log; worker_processes 1;
events {}
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((one) => `${one}_temp_path ${folder}/nginx/${one};`).join('\n  ')}
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${folder}/pf.pem; ssl_certificate_key ${folder}/pf.pem;
    include ${site}/nginx.conf;
  }
}
`,
  );
  const nginx = spawn(nginxProgram, ['-e', `${folder}/nginx/error.log`, '-c', config], {
    stdio: 'pipe',
  });
  let said = '';
  nginx.stderr.on('data', (text) => {
    said += String(text);
  });
  t.after(async () => {
    if (nginx.exitCode !== null) return;
    nginx.kill('SIGTERM');
    await once(nginx, 'exit');
  });
  const endAtMs = performance.now() + 60_000;
  while (performance.now() < endAtMs && nginx.exitCode === null) {
    const socket = connect({ host: '127.0.0.1', port });
    const isUp = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nginx does not listen: ${said}`);
}

test('a sidecar joins and follows from files that nginx serves; tampered ones change nothing', {
  skip: existsSync(nginxProgram) ? false : 'needs nginx',
}, async (t) => {
  const publisher = await initPublisherDirectory(t, ['wm1=127.0.0.1:9', 'wm2=127.0.0.2:9']);
  const folder = scratchDirectory(t);
  const site = join(folder, 'site');
  const early = await publisher.run('export', site);
  assert.match(early.err, /E042/);
  assert.equal((await publisher.run('publish')).exit, 0);
  const certificate = join(folder, 'pf.pem');
  const flags = ['--certificate', certificate, '--host', '127.0.0.1'];
  assert.equal((await publisher.run('export', site, ...flags)).exit, 0);
  assert.equal(statSync(certificate).mode & 0o777, 0o600);
  assert.equal(statSync(join(site, 'v1/list')).mode & 0o777, 0o644);
  await startNginx(t, folder, site, publisher.port);
  const token = (await publisher.run('token')).out.trim().split('\n').at(-1) ?? '';
  mkdirSync(join(folder, 'home/etc'), { recursive: true });
  writeFileSync(
    join(folder, 'home/etc/ossec.conf'),
    '<ossec_config><client><server><address>10.0.0.9</address></server></client></ossec_config>\n',
  );
  const config = join(folder, 'pf.yml');
  writeFileSync(
    config,
    `agent: {home: ${folder}/home}\nstateDir: ${folder}/state\nlog: {level: silent}\n`,
  );
  const joined = await runSidecar(['join', token, '--config', config]);
  assert.equal(joined.exit, 0, joined.out);
  const list = async () =>
    JSON.parse((await runSidecar(['list', '--config', config, '--json'])).out) as {
      version: number;
      managers: readonly { id: string; state: string }[];
    };
  assert.equal((await list()).version, 1);

  assert.equal((await publisher.run('drain', 'wm1')).exit, 0);
  const again = JSON.parse((await publisher.run('export', site, '--json')).out);
  assert.deepEqual(again.written, ['v1/list.txt.sig', 'v1/list.txt', 'v1/list']);
  await runSidecar(['once', '--config', config]);
  const drained = await list();
  assert.equal(drained.version, 2);
  assert.equal(drained.managers.find(({ id }) => id === 'wm1')?.state, 'drain');

  const path = join(site, 'v1/list');
  const envelope = JSON.parse(readFileSync(path, 'utf8'));
  const payload = Buffer.from(envelope.payload, 'base64url')
    .toString()
    .replace('127.0.0.2', '127.0.0.3');
  writeFileSync(
    path,
    JSON.stringify({ ...envelope, payload: Buffer.from(payload).toString('base64url') }),
  );
  const tampered = await runSidecar(['once', '--config', config, '--json']);
  assert.equal(tampered.exit, 4, tampered.out);
  assert.equal((await list()).version, 2);
});

test('run keeps the folder of export.folder as what it serves', async (t) => {
  const publisher = await initPublisherDirectory(t, ['wm1=127.0.0.1:9', 'wm2=127.0.0.2:9']);
  const site = join(scratchDirectory(t), 'site');
  publisher.edit(/^list:/m, `export: {folder: ${site}}\nlist:`);
  await publisher.start();
  assert.equal((await publisher.run('drain', 'wm1')).exit, 0);
  const served = (await publisher.get('/v1/list')).body;
  const endAtMs = performance.now() + 60_000;
  for (;;) {
    const there = await Promise.resolve()
      .then(() => readFileSync(join(site, 'v1/list')))
      .catch(() => Buffer.alloc(0));
    if (there.equals(served)) break;
    assert.ok(performance.now() < endAtMs, 'the folder does not follow');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.ok(statSync(join(site, 'v1/root/1')).isFile());
});

test('a running publisher keeps certificates of other servers: made, made anew when due, its server told', async (t) => {
  const publisher = await initPublisherDirectory(t);
  const folder = scratchDirectory(t);
  const file = join(folder, 'web.pem');
  const told = join(folder, 'told');
  publisher.edit(
    'log:',
    `export: {certificates: [{file: '${file}', hosts: [web.example], reload: [/bin/cp, '${file}', '${told}']}]}\nlog:`,
  );
  await publisher.start();
  const namesOf = (path: string): string =>
    new X509Certificate(readFileSync(path)).subjectAltName ?? '';
  await until(
    'its server was told',
    () => existsSync(told) && readFileSync(told).equals(readFileSync(file)),
  );
  assert.equal(namesOf(told), 'DNS:web.example');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const before = readFileSync(file);
  const { files } = parsePublisherConfig(
    readFileSync(join(publisher.directory, 'publisher.yml'), 'utf8'),
    'publisher.yml',
  );
  const hosts = ['web.example'];
  assert.equal(await renewWhenDue(publisher.directory, { files }, { file, hosts }), undefined);
  assert.deepEqual(readFileSync(file), before);
  const more = [...hosts, '10.9.9.9'];
  const why = await renewWhenDue(publisher.directory, { files }, { file, hosts: more });
  assert.match(why ?? '', /does not name 10\.9\.9\.9/);
  assert.equal(namesOf(file), 'DNS:web.example, IP Address:10.9.9.9');
  const { findings } = await publisher.json('doctor');
  const one = findings.find(({ check }: { check: string }) => check === `certificate ${file}`);
  assert.equal(one.level, 'ok');
});

async function until(what: string, isTrue: () => boolean): Promise<void> {
  const endAtMs = performance.now() + 60_000;
  while (!isTrue()) {
    if (performance.now() > endAtMs) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
