/** The resolver against real servers: bind9, dnsmasq and knot, over UDP, TCP and TLS. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { defaultCacheSettings } from '../../src/dns/cache.ts';
import type { RecordType, ResourceRecord } from '../../src/dns/record.ts';
import { Resolver } from '../../src/dns/resolver.ts';
import type { NameServer } from '../../src/dns/servers.ts';
import { buildDnsSockets } from '../../src/host/dns-sockets.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import {
  missing,
  type RunningServer,
  startBind,
  startDnsmasq,
  startKnot,
} from '../fakes/name-servers.ts';
import { eventually, freePort } from '../fakes/processes.ts';
import { ShiftedClock } from './shifted-clock.ts';

const soa = (serial: number): string =>
  `$TTL 300\n@ IN SOA ns.example.test. admin.example.test. ${serial} 3600 600 86400 7\n@ IN NS ns\nns IN A 127.0.0.1\n`;
const many = Array.from({ length: 96 }, (_, index) => `many 30 IN A 10.9.0.${index + 1}`).join(
  '\n',
);
const goodZone = `${soa(1)}
wm 60 IN A 192.0.2.1
wm 60 IN A 192.0.2.2
wm 30 IN AAAA 2001:db8::1
c1 20 IN CNAME c2
c2 10 IN CNAME wm
loop1 IN CNAME loop2
loop2 IN CNAME loop1
_wazuh._tcp 40 IN SRV 10 20 1514 wm
_wazuh._tcp 40 IN SRV 5 0 1515 c1
txt IN TXT "one" "two"
svc IN TYPE65 \\# 17 0001 00 0003 0002 05EA 0004 0004 C0000207
${many}
`;
interface Asked {
  readonly resolver: Resolver;
  readonly clock: ShiftedClock;
  ask(name: string, type: RecordType): Promise<readonly ResourceRecord[]>;
}

function resolverFor(servers: readonly NameServer[], authorities: readonly string[] = []): Asked {
  const clock = new ShiftedClock(systemClock);
  const resolver = new Resolver({
    clock,
    random: systemRandom,
    transport: buildDnsSockets(authorities),
    config: async () => ({ servers, search: [], ndots: 1 }),
    cache: defaultCacheSettings,
  });
  return {
    resolver,
    clock,
    async ask(name, type) {
      const { answer } = await resolver.lookup({ name, type });
      return answer.kind === 'records' ? answer.records : [];
    },
  };
}

function udp({ address, port }: { readonly address: string; readonly port: number }): NameServer {
  return { address, port, transport: 'udp' };
}

const addressesOf = (records: readonly ResourceRecord[]): readonly string[] =>
  records.flatMap((record) => ('address' in record ? [record.address] : [])).toSorted();

async function checkAllTypes(server: RunningServer): Promise<void> {
  const { ask, resolver } = resolverFor([udp(server)]);
  assert.deepEqual(addressesOf(await ask('wm.example.test', 'A')), ['192.0.2.1', '192.0.2.2']);
  assert.deepEqual(addressesOf(await ask('wm.example.test', 'AAAA')), ['2001:db8::1']);
  const services = await ask('_wazuh._tcp.example.test', 'SRV');
  const seen = services.map((one) => (one.type === 'SRV' ? one.srv : undefined));
  assert.deepEqual(
    seen.toSorted((left, right) => (left?.priority ?? 0) - (right?.priority ?? 0)),
    [
      { priority: 5, weight: 0, port: 1515, target: 'c1.example.test' },
      { priority: 10, weight: 20, port: 1514, target: 'wm.example.test' },
    ],
  );
  const [https] = await ask('svc.example.test', 'HTTPS');
  assert.equal(https?.type === 'HTTPS' ? https.binding.port : 0, 1514);
  assert.deepEqual(https?.type === 'HTTPS' ? https.binding.ipv4hint : [], ['192.0.2.7']);
  const [text] = await ask('txt.example.test', 'TXT');
  assert.deepEqual(text?.type === 'TXT' ? text.texts : [], ['one', 'two']);
  assert.equal((await ask('example.test', 'SOA'))[0]?.type, 'SOA');
  const chain = await resolver.lookup({ name: 'c1.example.test', type: 'A' });
  assert.ok(chain.ttlLeftMs > 9_000 && chain.ttlLeftMs <= 10_000, `${chain.ttlLeftMs}`);
  assert.equal((await ask('many.example.test', 'A')).length, 96);
  const nothing = await resolver.lookup({ name: 'no.example.test', type: 'A' });
  assert.equal(nothing.answer.kind, 'nothing');
  assert.equal(nothing.answer.kind === 'nothing' ? nothing.answer.why : '', 'no_name');
  assert.ok(nothing.ttlLeftMs <= 7_000);
  const noData = await resolver.lookup({ name: 'txt.example.test', type: 'A' });
  assert.equal(noData.answer.kind === 'nothing' ? noData.answer.why : '', 'no_data');
  await assert.rejects(ask('loop1.example.test', 'A'), { reason: 'dns_failed' });
}

test('bind9: every type, chains, negative answers, an answer too long for UDP', {
  skip: missing('bind'),
}, async (t) => {
  await checkAllTypes(await startBind(t, { 'example.test': goodZone }));
});

test('knot: every type, chains, negative answers, an answer too long for UDP', {
  skip: missing('knot'),
}, async (t) => {
  await checkAllTypes(await startKnot(t, { 'example.test': goodZone }));
});

test('dnsmasq: addresses of its hosts, aliases and services', {
  skip: missing('dnsmasq'),
}, async (t) => {
  const server = await startDnsmasq(
    t,
    [
      '--local-ttl=9',
      '--cname=c1.test,wm.test',
      '--srv-host=_wazuh._tcp.test,wm.test,1514,5,7',
      '--local=/test/',
    ],
    '192.0.2.1 wm.test\n2001:db8::1 wm.test\n',
  );
  const { ask, resolver } = resolverFor([udp(server)]);
  assert.deepEqual(addressesOf(await ask('wm.test', 'A')), ['192.0.2.1']);
  assert.deepEqual(addressesOf(await ask('wm.test', 'AAAA')), ['2001:db8::1']);
  assert.deepEqual(addressesOf(await ask('c1.test', 'A')), ['192.0.2.1']);
  const [service] = await ask('_wazuh._tcp.test', 'SRV');
  assert.deepEqual(service?.type === 'SRV' ? service.srv.target : '', 'wm.test');
  const { ttlLeftMs } = await resolver.lookup({ name: 'wm.test', type: 'A' });
  assert.ok(ttlLeftMs <= 9_000);
  const { answer } = await resolver.lookup({ name: 'other.test', type: 'A' });
  assert.equal(answer.kind, 'nothing');
});

type Kind = 'bind' | 'knot' | 'dnsmasq';

interface Single {
  readonly server: RunningServer;
  change(address: string): Promise<void>;
}

/** What a server says of its reading comes before it answers by it. */
async function changed(server: RunningServer, file: string, text: string, address: string) {
  await server.rewrite(file, text);
  await eventually(`${address} is served`, async () =>
    addressesOf(await resolverFor([udp(server)]).ask('wm.example.test', 'A')).includes(address),
  );
}

/** One name with one address and a TTL of 60 s, served by each of the three. */
async function startSingle(t: TestContext, kind: Kind): Promise<Single> {
  const zone = (serial: number, address: string): string => `${soa(serial)}wm 60 IN A ${address}\n`;
  if (kind === 'dnsmasq') {
    const hosts = (address: string): string => `${address} wm.example.test\n`;
    const args = ['--local-ttl=60', '--local=/test/'];
    const server = await startDnsmasq(t, args, hosts('192.0.2.1'));
    return { server, change: (address) => changed(server, 'hosts', hosts(address), address) };
  }
  const start = kind === 'bind' ? startBind : startKnot;
  const server = await start(t, { 'example.test': zone(1, '192.0.2.1') });
  const change = (address: string) => changed(server, 'example.test', zone(2, address), address);
  return { server, change };
}

for (const kind of ['bind', 'knot', 'dnsmasq'] as const) {
  const skip = missing(kind);
  test(`${kind}: a changed record is seen when its TTL is over, and not before`, {
    skip,
  }, async (t) => {
    const { server, change } = await startSingle(t, kind);
    const { ask, clock } = resolverFor([udp(server)]);
    assert.deepEqual(addressesOf(await ask('wm.example.test', 'A')), ['192.0.2.1']);
    await change('192.0.2.9');
    clock.skip(53_000);
    assert.deepEqual(addressesOf(await ask('wm.example.test', 'A')), ['192.0.2.1']);
    clock.skip(8_000);
    assert.deepEqual(addressesOf(await ask('wm.example.test', 'A')), ['192.0.2.9']);
  });

  test(`${kind}: behind a dead first server it costs one wait; when it dies too the answer is stale`, {
    skip,
  }, async (t) => {
    const { server } = await startSingle(t, kind);
    const port = await freePort('127.0.0.1');
    const dead: NameServer = { address: '127.0.0.1', port, transport: 'udp' };
    const { ask, resolver, clock } = resolverFor([dead, udp(server)]);
    assert.equal((await ask('wm.example.test', 'A')).length, 1);
    await resolver.lookup({ name: 'wm.example.test', type: 'AAAA' });
    const [first, second] = await resolver.standings();
    assert.equal(first?.failed, 1);
    assert.equal(second?.answered, 2);
    await server.kill();
    clock.skip(61_000);
    const stale = await resolver.lookup({ name: 'wm.example.test', type: 'A' });
    assert.deepEqual([stale.isStale, stale.answer.kind], [true, 'records']);
    clock.skip(86_400_000);
    await assert.rejects(ask('wm.example.test', 'A'), { reason: 'dns_failed' });
  });
}

test('dnsmasq: an answer too long for UDP comes over TCP', {
  skip: missing('dnsmasq'),
}, async (t) => {
  const hosts = Array.from({ length: 96 }, (_, index) => `10.9.0.${index + 1} many.test`);
  const server = await startDnsmasq(t, ['--local=/test/'], `${hosts.join('\n')}\n`);
  const { ask } = resolverFor([udp(server)]);
  assert.equal((await ask('many.test', 'A')).length, 96);
});

test('whoever finds nobody at an address has the name asked again, whatever its TTL', {
  skip: missing('bind'),
}, async (t) => {
  const server = await startBind(t, { 'example.test': `${soa(1)}wm 60 IN A 192.0.2.1\n` });
  const { ask, clock, resolver } = resolverFor([udp(server)]);
  const question = { name: 'wm.example.test', type: 'A' } as const;
  await ask('wm.example.test', 'A');
  await changed(server, 'example.test', `${soa(2)}wm 60 IN A 192.0.2.9\n`, '192.0.2.9');
  clock.skip(2_000);
  const cached = await resolver.lookup(question, undefined, 30_000);
  assert.ok(cached.ttlLeftMs < 59_000);
  const { answer } = await resolver.lookup(question, undefined, 900);
  assert.deepEqual(addressesOf(answer.kind === 'records' ? answer.records : []), ['192.0.2.9']);
  await server.kill();
  clock.skip(2_000);
  const last = await resolver.lookup(question, undefined, 900);
  assert.deepEqual([last.isStale, last.answer.kind], [false, 'records']);
});

test('a name is asked again before its TTL is over, so that no reader waits', {
  skip: missing('bind'),
}, async (t) => {
  const server = await startBind(t, { 'example.test': `${soa(1)}wm 60 IN A 192.0.2.1\n` });
  const { ask, clock, resolver } = resolverFor([udp(server)]);
  await ask('wm.example.test', 'A');
  clock.skip(56_000);
  await ask('wm.example.test', 'A');
  // The same question joins the one that runs; when it is done the answer is new again.
  const question = { name: 'wm.example.test', type: 'A' } as const;
  let left = 0;
  for (let round = 0; round < 500 && left < 10_000; round += 1) {
    left = (await resolver.lookup(question)).ttlLeftMs;
    if (left < 10_000) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.ok(left > 50_000, `${left}`);
});

/** A server that answers SERVFAIL, for a zone that it could not load, or refuses. */
async function startBroken(t: TestContext, kind: Kind): Promise<RunningServer> {
  if (kind === 'bind') return startBind(t, { 'example.test': 'this is no zone\n' });
  if (kind === 'knot') return startKnot(t, { 'example.test': 'this is no zone\n' });
  return startDnsmasq(t, []); // nobody to ask: REFUSED
}

for (const kind of ['bind', 'knot', 'dnsmasq'] as const) {
  test(`${kind}: SERVFAIL, or a refusal, is no answer: the last good one stays in use`, {
    skip: missing(kind),
  }, async (t) => {
    const { server } = await startSingle(t, kind);
    const servers = [udp(server)];
    const { ask, clock, resolver } = resolverFor(servers);
    await ask('wm.example.test', 'A');
    servers[0] = udp(await startBroken(t, kind));
    clock.skip(61_000);
    await assert.rejects(ask('wm.example.test', 'AAAA'), /SERVFAIL|REFUSED/);
    const { isStale } = await resolver.lookup({ name: 'wm.example.test', type: 'A' });
    assert.equal(isStale, true);
  });
}

test('DNS over TLS: the certificate must be for the configured name', {
  skip: missing('bind'),
}, async (t) => {
  const folder = fileURLToPath(new URL('../fixtures/tls/', import.meta.url));
  const tlsPort = await freePort('127.0.0.1');
  const tls = (): string =>
    `tls own { key-file "${folder}publisher.key"; cert-file "${folder}publisher.chain.crt"; };`;
  await startBind(
    t,
    { 'example.test': goodZone },
    `listen-on port ${tlsPort} tls own { 127.0.0.1; };`,
    tls,
  );
  const server: NameServer = { address: '127.0.0.1', port: tlsPort, transport: 'tls' };
  const authority = readFileSync(`${folder}test-ca.crt`, 'utf8');
  const right = resolverFor([{ ...server, tlsName: 'localhost' }], [authority]);
  assert.equal((await right.ask('wm.example.test', 'A')).length, 2);
  const wrongName = resolverFor([{ ...server, tlsName: 'other.test' }], [authority]);
  await assert.rejects(wrongName.ask('wm.example.test', 'A'), /not match|altnames/i);
  const stranger = resolverFor([{ ...server, tlsName: 'localhost' }]);
  await assert.rejects(
    stranger.ask('wm.example.test', 'A'),
    /self.signed|unable to (?:verify|get)/i,
  );
});
