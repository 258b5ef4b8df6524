/** `pilotfish resolve` as a person runs it, against a real name server. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { decode, encode } from 'dns-packet';
import { missing, startDnsmasq } from '../fakes/name-servers.ts';

const program = fileURLToPath(new URL('../../scripts/pilotfish', import.meta.url));

async function resolveWith(t: TestContext, args: readonly string[]) {
  const server = await startDnsmasq(t, [
    ...['--local-ttl=300', '--local=/example.test/', '--host-record=wm.example.test,192.0.2.7'],
    '--srv-host=_wazuh._tcp.example.test,wm.example.test,1514,5,7',
  ]);
  const config = join(server.folder, 'pilotfish.yml');
  writeFileSync(config, `dns: { servers: ["127.0.0.1:${server.port}"] }\n`);
  return spawnSync(program, ['resolve', ...args, '--config', config], { encoding: 'utf8' });
}

test('resolve shows answers, their TTL, the server, and what a failover takes', {
  skip: missing('dnsmasq'),
}, async (t) => {
  const { stdout, status } = await resolveWith(t, ['wm.example.test']);
  assert.equal(status, 3);
  assert.match(stdout, /^A +(?:300|299) s +192\.0\.2\.7$/m);
  assert.match(stdout, /^127\.0\.0\.1:\d+ +[1-9]/m);
  assert.match(stdout, /failover by DNS .* refused 30[01] s, hung 340 s, blackholed 350 s/);
  assert.match(stdout, /one address only/);
  assert.match(stdout, /the system's resolver, which the agent uses, fails/);
});

test('resolve --json --type SRV is one document', { skip: missing('dnsmasq') }, async (t) => {
  const { stdout } = await resolveWith(t, ['_wazuh._tcp.example.test', '--type', 'srv', '--json']);
  const { records } = JSON.parse(stdout) as { records: readonly { value: string }[] };
  assert.deepEqual(
    records.map(({ value }) => value),
    ['wm.example.test:1514 priority 5 weight 7'],
  );
});

test('answers that are none are counted and shown', async (t) => {
  const udp = createSocket('udp4');
  udp.on('message', (raw, { port, address }) => {
    const { id = 0, questions = [] } = decode(raw);
    const [{ name = '', type = 'A' } = {}] = questions;
    const answers = type === 'A' ? [{ name, type, ttl: 60, data: '192.0.2.1' }] : [];
    for (const claimed of [id ^ 1, id]) {
      const reply = { type: 'response', id: claimed, flags: 0x180, questions, answers } as const;
      udp.send(encode(reply), port, address, () => undefined);
    }
  });
  await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
  t.after(() => udp.close());
  const folder = mkdtempSync(join(tmpdir(), 'pf-resolve-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const config = join(folder, 'pilotfish.yml');
  writeFileSync(config, `dns: { servers: ["127.0.0.1:${udp.address().port}"] }\n`);
  const argv = ['resolve', 'wm.example.test', '--type', 'a', '--config', config];
  const { stdout } = await promisify(execFile)(program, argv, { encoding: 'utf8' }).catch(
    (thrown: { stdout: string }) => thrown, // exit 3: the system's resolver knows no such name
  );
  assert.match(stdout, /^refused {2}wrong_id [12]$/m);
  assert.match(stdout, /^A +60 s +192\.0\.2\.1$/m);
});

test('resolve of a name that is none, and of an unknown type, says so', {
  skip: missing('dnsmasq'),
}, async (t) => {
  const gone = await resolveWith(t, ['no.example.test']);
  assert.equal(gone.status, 3);
  assert.match(gone.stderr, /E101 .*no such name/);
  const wrong = await resolveWith(t, ['wm.example.test', '--type', 'LOC']);
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /one of A, NS, CNAME/);
});
