/**
 * No publisher at all: the list comes from a real name server, within a constraints file. An agent
 * follows a changed record while it is connected, and keeps what it has when DNS goes away.
 */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { currentSession } from '../../scripts/demonstration/acts.ts';
import { serverAddresses } from '../../scripts/demonstration/outside.ts';
import { Stage } from '../../scripts/demonstration/stage.ts';
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

test('a host that publishers ever led takes no list from DNS; constraints must be root-owned', async (t) => {
  const addresses = [96].map(ownAddress);
  const stage = Stage.make({ addresses });
  t.after(() => stage.stop());
  await stage.startManagers();
  stage.writeSidecarConfig(stage.impatientConfig());
  const constraints = join(stage.directory, 'constraints.yml');
  writeFileSync(constraints, 'cidrs: [127.0.0.0/8]\n', { mode: 0o666 });
  chmodSync(constraints, 0o666);
  const open = stage.sidecarRun('join', '--dns', name, '--constraints', constraints);
  assert.equal(open.status, 2);
  assert.match(open.stderr, /E002.*nobody else may write/s);

  await stage.startPublisher();
  await eventually(
    'the publisher answers',
    () => {
      try {
        stage.join();
        return true;
      } catch {
        return undefined;
      }
    },
    40_000,
  );
  chmodSync(constraints, 0o644);
  const led = stage.sidecarRun('join', '--dns', name, '--constraints', constraints, '--reset');
  assert.equal(led.status, 4);
  assert.match(led.stderr, /E011.*downgrade/s);
  const both = stage.sidecarRun('join', 'pfj1.x.y', '--dns', name);
  assert.equal(both.status, 2);
});

test('damaged state of the DNS source is told with its code and what to do', (t) => {
  const stage = Stage.make({ addresses: [97].map(ownAddress) });
  t.after(() => stage.stop());
  stage.writeSidecarConfig(stage.impatientConfig());
  const constraints = join(stage.directory, 'constraints.yml');
  writeFileSync(constraints, 'cidrs: [127.0.0.0/8]\n', { mode: 0o644 });
  const hosts = { ...stage.impatientConfig(), dns: { servers: ['127.0.0.1:9'] } };
  stage.writeSidecarConfig(hosts);
  stage.sidecarRun('join', '--dns', name, '--constraints', constraints); // nobody answers; the state is there
  for (const file of ['source.json', 'list-key.jwk']) {
    const path = join(stage.directory, 'state/dns', file);
    const whole = readFileSync(path);
    writeFileSync(path, whole.subarray(0, 9));
    const ran = stage.sidecarRun('join', 'pfj1.x.y');
    assert.equal(ran.status, 1, ran.stderr);
    assert.match(ran.stderr, /E701.*join again/s);
    writeFileSync(path, whole);
  }
});
