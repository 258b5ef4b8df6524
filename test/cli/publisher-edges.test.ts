/** A running publisher's zone and balancer file follow the list and the managers. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { decodeReply, encodeQuery } from '../../src/dns/query.ts';
import { buildDnsSockets } from '../../src/host/dns-sockets.ts';
import { missing, startBind } from '../fakes/name-servers.ts';
import { eventually, freePort, ownAddress, StandIns } from '../fakes/processes.ts';
import { initPublisherDirectory, runPublisher } from './publisher-fixture.ts';

const origin = 'wm.example.test';

/** What the zone says now, sorted; empty while nobody answers. */
async function addressesAt(port: number): Promise<readonly string[]> {
  const query = encodeQuery({ name: origin, type: 'A' }, { id: 7 });
  const server = { address: '127.0.0.1', port, transport: 'udp' } as const;
  const limit = AbortSignal.timeout(2_000);
  const answer = await buildDnsSockets()
    .datagram(server, query, () => 'accept', limit)
    .catch(() => undefined);
  const { answers } = decodeReply(answer ?? emptyAnswer(query), query);
  return answers.flatMap((one) => (one.type === 'A' ? [one.address] : [])).toSorted();
}

function emptyAnswer(query: Buffer): Buffer {
  const bytes = Buffer.from(query);
  bytes[2] = 0x80;
  return bytes;
}

async function startFleet(t: TestContext) {
  const standIns = new StandIns();
  t.after(() => standIns.stopAll());
  const addresses = [71, 72, 73].map(ownAddress);
  const managers = await Promise.all(
    addresses.map((address) => standIns.startManager(`${address}:1514`)),
  );
  const publisher = await initPublisherDirectory(t, addresses);
  return { addresses, managers, publisher };
}

test('the zone names the managers that serve: a dead one leaves, a drained one leaves, both return', async (t) => {
  const { addresses, managers, publisher } = await startFleet(t);
  const port = await freePort('127.0.0.1');
  publisher.edit(
    /$/,
    `\nzone: { name: ${origin}, listen: { address: 127.0.0.1, port: ${port} }, ttl: 2s }\n`,
  );
  await publisher.start();
  const isNamed = (...wanted: readonly (string | undefined)[]) =>
    eventually(
      `the zone names ${wanted.join(', ')}`,
      async () => String(await addressesAt(port)) === String(wanted.toSorted()) || undefined,
      60_000,
    );
  await isNamed(...addresses);
  await managers[0]?.kill();
  await isNamed(addresses[1], addresses[2]);
  const { nodes } = await publisher.json('nodes');
  const second = nodes.find((one: { address: string }) => one.address === addresses[1]);
  assert.equal((await publisher.run('drain', second.id)).exit, 0);
  await isNamed(addresses[2]);
  assert.equal((await publisher.run('undrain', second.id)).exit, 0);
  await isNamed(addresses[1], addresses[2]);
});

test('a real BIND secondary and a real BIND primary that takes signed updates follow a death, also when they come late', {
  skip: missing('bind'),
}, async (t) => {
  const { addresses, managers, publisher } = await startFleet(t);
  const port = await freePort('127.0.0.1');
  const zone = `zone "${origin}"`;
  const secondary = await startBind(
    t,
    {},
    'notify no; allow-notify { any; };',
    (folder) =>
      `${zone} { type secondary; primaries port ${port} { 127.0.0.1; }; file "${folder}/second"; };`,
  );
  const secret = Buffer.from('0123456789abcdef0123456789abcdef').toString('base64');
  writeFileSync(join(publisher.directory, 'update.key'), `${secret}\n`, { mode: 0o600 });
  const primaryPort = await freePort('127.0.0.1');
  publisher.edit(
    /$/,
    `
zone:
  name: ${origin}
  listen: { address: 127.0.0.1, port: ${port} }
  ttl: 2s
  secondaries: [{ address: 127.0.0.1, port: ${secondary.port} }]
  update:
    server: { address: 127.0.0.1, port: ${primaryPort} }
    zone: ${origin}
    keyName: pf
    keyFile: update.key
`,
  );
  await publisher.start();
  const names = (where: string, at: number, wanted: readonly (string | undefined)[]) =>
    eventually(
      `${where} names ${wanted.join(', ')}`,
      async () => String(await addressesAt(at)) === String(wanted.toSorted()) || undefined,
      90_000,
    );
  await names('the secondary', secondary.port, addresses);
  await managers[0]?.kill();
  await names('the secondary', secondary.port, addresses.slice(1));

  // Nobody listened there so far: the update is sent again, as things are by then.
  const primary = await startBind(
    t,
    {},
    `listen-on port ${primaryPort} { 127.0.0.1; };`,
    (folder) => {
      const soa = '$TTL 5\n@ IN SOA ns admin 1 60 10 600 5\n@ IN NS ns\nns IN A 127.0.0.1\n';
      writeFileSync(`${folder}/dyn`, `${soa}@ IN A 192.0.2.99\n`);
      const key = `key "pf." { algorithm hmac-sha256; secret "${secret}"; };`;
      return `${key} ${zone} { type primary; file "${folder}/dyn"; allow-update { key "pf."; }; };`;
    },
  );
  await names('the primary', primary.port, addresses.slice(1));
  await managers[1]?.kill();
  await names('the primary', primary.port, addresses.slice(2));
});

test('a balancer that refuses, or a zone that cannot listen, never stops the list', async (t) => {
  const { publisher } = await startFleet(t);
  const taken = await freePort('127.0.0.1');
  publisher.edit(
    /$/,
    `\nzone: { name: ${origin}, listen: { address: 203.0.113.1, port: ${taken} } }
balancers:
  - { kind: nginx, file: upstream.conf, check: [/bin/true], reload: [/bin/true] }
  - { kind: haproxy, file: refused.cfg, check: [/bin/false], reload: [/bin/true] }\n`,
  );
  await publisher.start();
  const file = join(publisher.directory, 'upstream.conf');
  await eventually('the upstream file', () => {
    try {
      return readFileSync(file, 'utf8').match(/server /g)?.length === 3 || undefined;
    } catch {
      return undefined;
    }
  });
  assert.equal((await publisher.get('/v1/list')).status, 200);
});

test('wrong zone and balancer sections are refused with their key', async (t) => {
  const publisher = await initPublisherDirectory(t);
  publisher.edit(/$/, '\nzone: { name: "not a name" }\n');
  const ran = await runPublisher(['nodes', '--dir', publisher.directory]);
  assert.equal(ran.exit, 2);
  assert.match(ran.err, /zone\.name: expected a host name/);
});
