/**
 * No publisher at all: the list comes from a real name server, within a constraints file. An agent
 * follows a changed record while it is connected, and keeps what it has when DNS goes away.
 */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { currentSession } from '../../scripts/demonstration/acts.ts';
import { serverAddresses } from '../../scripts/demonstration/outside.ts';
import { Stage } from '../../scripts/demonstration/stage.ts';
import { renderToken } from '../../src/list/token.ts';
import { localOrg } from '../../src/sidecar/dns-list.ts';
import { control } from '../fakes/agent-home.ts';
import { missing, startDnsmasq } from '../fakes/name-servers.ts';
import { eventually, ownAddress } from '../fakes/processes.ts';

const name = 'wm.example.test';

test('an agent follows a DNS record, refuses what the constraints do not allow, and outlives its name server', {
  skip: missing('dnsmasq'),
}, async (t) => {
  const addresses = [91, 92, 93].map(ownAddress);
  const [first = '', second = '', third = ''] = addresses;
  const hosts = (...of: readonly string[]): string => of.map((ip) => `${ip} ${name}\n`).join('');
  const server = await startDnsmasq(t, ['--local-ttl=1', '--local=/test/'], hosts(first, second));
  const stage = Stage.make({
    addresses,
    servers: [{ address: first }],
    agentFlags: ['--retry-interval-unit-ms', '100'],
  });
  t.after(() => stage.stop());
  await stage.startManagers();
  control(stage.home, 'start');
  await currentSession(stage);
  const config = stage.livelyConfig();
  stage.writeSidecarConfig({ ...config, dns: { servers: [`127.0.0.1:${server.port}`] } });
  const constraints = join(stage.directory, 'constraints.yml');
  writeFileSync(constraints, `cidrs: [127.0.0.0/8]\nports: [1514]\n`, { mode: 0o644 });

  const joined = stage.sidecarRun('join', '--dns', name, '--constraints', constraints);
  assert.equal(joined.status, 0, joined.stderr);
  stage.startSidecar();
  const inFile = (...wanted: readonly string[]) =>
    eventually(
      `ossec.conf names ${wanted.join(', ')}`,
      () =>
        String([...serverAddresses(stage.home.readConfig())].toSorted()) ===
        String(wanted.toSorted()),
      60_000,
    );
  await inFile(first, second);

  await server.rewrite('hosts', hosts(third));
  const moved = await eventually(
    'the agent is where the record points',
    () => stage.managers[2]?.process.events.find(({ event }) => event === 'agent_connected'),
    60_000,
  );
  assert.ok(moved);
  await inFile(third);

  const listFile = join(stage.directory, 'state/dns/list.json');
  writeFileSync(listFile, 'damaged');
  await eventually(
    'the next good answer mends the list',
    () => readFileSync(listFile, 'latin1').startsWith('{'),
    60_000,
  );

  await server.rewrite('hosts', hosts('203.0.113.9', third));
  await eventually(
    'the answer outside the constraints is told',
    () => {
      const status = JSON.parse(stage.sidecarRun('status', '--json').stdout) as {
        readonly faults: readonly { readonly error: { readonly code: string } }[];
      };
      return status.faults.some(({ error }) => error.code === 'E408');
    },
    60_000,
  );
  assert.deepEqual(serverAddresses(stage.home.readConfig()), [third]);

  await server.kill();
  await eventually('a cycle without any name server', () => {
    const status = JSON.parse(stage.sidecarRun('status', '--json').stdout) as {
      readonly atMs: number;
    };
    return status.atMs > moved.atMs;
  });
  assert.deepEqual(serverAddresses(stage.home.readConfig()), [third]);
  assert.equal((await currentSession(stage)).manager.address, third);
});

interface Listed {
  readonly managers: readonly {
    readonly address: string;
    readonly port: number;
    readonly prio: number;
  }[];
}

test('SRV records alone make a list within the constraints; whoever was led by publishers goes back to DNS never', {
  skip: missing('dnsmasq'),
}, async (t) => {
  const service = '_wazuh._tcp.example.test';
  const server = await startDnsmasq(t, [
    ...['--local-ttl=1', '--local=/test/', `--srv-host=${service},wm1.example.test,1514,5,7`],
    `--srv-host=${service},wm2.example.test,1515,9,1`,
  ]);
  const stage = Stage.make({ addresses: [97].map(ownAddress) });
  t.after(() => stage.stop());
  const dns = { servers: [`127.0.0.1:${server.port}`] };
  stage.writeSidecarConfig({ ...stage.impatientConfig(), dns });
  const constraints = join(stage.directory, 'constraints.yml');
  const byDns = ['join', '--dns', service, '--constraints', constraints];
  const allow = (ports: string): void =>
    writeFileSync(constraints, `hosts: ['*.example.test']\nports: ${ports}\n`, { mode: 0o644 });

  allow('[1514]');
  const outside = await stage.sidecarTry(...byDns);
  assert.equal(outside.status, 4, outside.stderr);
  assert.match(outside.stderr, /E408/);
  allow('[1514, 1515]');
  const joined = await stage.sidecarTry(...byDns);
  assert.equal(joined.status, 0, joined.stderr);
  const ranked = async () =>
    (await stage.sidecarJson<Listed>('list')).managers.map(
      ({ address, port, prio }) => `${address}:${port} ${prio}`,
    );
  assert.deepEqual(await ranked(), ['wm1.example.test:1514 0', 'wm2.example.test:1515 1']);
  await server.kill();
  assert.equal((await stage.sidecarTry('once')).status, 3); // the agent does not run
  assert.equal((await ranked()).length, 2);

  await stage.startPublisher();
  const token = stage.publisherRun('token').trim().split('\n').at(-1) ?? '';
  await eventually(
    'joined to the publisher',
    async () => (await stage.sidecarTry('join', token, '--reset')).status === 0,
    60_000,
  );
  rmSync(join(stage.directory, 'state/token'));
  const back = await stage.sidecarTry(...byDns);
  assert.equal(back.status, 4, back.stderr);
  assert.match(back.stderr, /E011.*downgrade/s);
});

test('constraints must be root-owned; damaged state is told; a host that publishers ever led takes no list from DNS', (t) => {
  const stage = Stage.make({ addresses: [96].map(ownAddress) });
  t.after(() => stage.stop());
  // Nobody answers there: what a join needs is on disk before it asks.
  stage.writeSidecarConfig({ ...stage.impatientConfig(), dns: { servers: ['127.0.0.1:9'] } });
  const constraints = join(stage.directory, 'constraints.yml');
  writeFileSync(constraints, 'cidrs: [127.0.0.0/8]\n', { mode: 0o666 });
  chmodSync(constraints, 0o666);
  const byDns = ['join', '--dns', name, '--constraints', constraints];
  const open = stage.sidecarRun(...byDns);
  assert.equal(open.status, 2);
  assert.match(open.stderr, /E002.*nobody else may write/s);

  chmodSync(constraints, 0o644);
  stage.sidecarRun(...byDns);
  const tokenOf = (org: string): string =>
    renderToken({
      ...{ org, publishers: ['https://wm1.example.test:8443'], kids: ['a'.repeat(43)] },
      ...{ rootHash: `sha256:${'0'.repeat(64)}`, rootVersion: 1, threshold: 1 },
      ...{ group: 'default', site: 'default', id: 'x' },
    });
  const own = tokenOf(localOrg({ name, port: 1_514 }));
  for (const file of ['list-key.jwk', 'root/1']) {
    const path = join(stage.directory, 'state/dns', file);
    const whole = readFileSync(path);
    writeFileSync(path, whole.subarray(0, 9));
    const ran = stage.sidecarRun('join', own);
    assert.equal(ran.status, 1, ran.stderr);
    assert.match(ran.stderr, /E701.*join again/s);
    writeFileSync(path, whole);
  }

  writeFileSync(join(stage.directory, 'state/token'), tokenOf('acme'));
  const led = stage.sidecarRun(...byDns, '--reset');
  assert.equal(led.status, 4, led.stderr);
  assert.match(led.stderr, /E011.*downgrade/s);
  assert.equal(stage.sidecarRun('join', 'pfj1.x.y', '--dns', name).status, 2);
});
