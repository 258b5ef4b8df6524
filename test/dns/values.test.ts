/** The pure parts: names, chains, caches, scores, files of the system, the lint. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type NameWorld, orderServices, resolveAddresses } from '../../src/dns/addresses.ts';
import { type Answered, DnsCache, defaultCacheSettings } from '../../src/dns/cache.ts';
import { defaultAgentTimes, lintName, nativeAway } from '../../src/dns/failover-lint.ts';
import { followReply } from '../../src/dns/follow.ts';
import { parseHostsFile } from '../../src/dns/hosts-file.ts';
import { candidateNames, mixCase, parseName } from '../../src/dns/name.ts';
import type { Reply } from '../../src/dns/query.ts';
import type { ResourceRecord } from '../../src/dns/record.ts';
import { parseResolvConf, parseServer } from '../../src/dns/resolv-conf.ts';
import { type NameServer, ServerBook, serverText } from '../../src/dns/servers.ts';
import { decodeServiceBinding, encodeServiceBinding, isUsable } from '../../src/dns/svcb.ts';
import { PeerError } from '../../src/errors.ts';
import { systemClock } from '../../src/host/system-clock.ts';

test('a name has one spelling; what no host can have is none', () => {
  assert.equal(parseName('WM.Example.test.'), 'wm.example.test');
  assert.equal(parseName('_wazuh._tcp.example.test'), '_wazuh._tcp.example.test');
  for (const bad of [
    '',
    '.',
    'a..b',
    '-a.test',
    'a b',
    'a/b',
    `${'a'.repeat(64)}.test`,
    `${'a.'.repeat(127)}test`,
  ]) {
    assert.equal(parseName(bad), undefined, bad);
  }
});

test('mixing letters changes letters only', () => {
  const mixed = mixCase('wm1.example-2.test', new Uint8Array(32).fill(255));
  assert.equal(mixed, 'WM1.EXAMPLE-2.TEST');
  assert.equal(mixCase('wm.test', new Uint8Array(32)), 'wm.test');
});

test('search domains come first for short names and last for long ones', () => {
  const search = ['corp.test', 'test'];
  assert.deepEqual(candidateNames('wm', search, 1), ['wm.corp.test', 'wm.test', 'wm']);
  assert.deepEqual(candidateNames('wm.dc', search, 1), ['wm.dc', 'wm.dc.corp.test', 'wm.dc.test']);
  assert.deepEqual(candidateNames('wm.', search, 1), ['wm']);
});

const question = { name: 'a.test', type: 'A' } as const;
const reply = (answers: readonly ResourceRecord[], more: Partial<Reply> = {}): Reply => ({
  ...{ code: 'NOERROR', isTruncated: false, answers, authorities: [] },
  ...more,
});
const alias = (name: string, target: string, ttlSec = 9): ResourceRecord => ({
  ...{ type: 'CNAME', name, target, ttlSec },
});
const host = (name: string, address: string, ttlSec = 60): ResourceRecord => ({
  ...{ type: 'A', name, address, ttlSec },
});
const soa: ResourceRecord = {
  ...{ type: 'SOA', name: 'test', ttlSec: 300 },
  soa: { mname: 'ns.test', rname: 'x', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 30 },
};

test('a chain is followed and its smallest TTL counts', () => {
  const found = followReply(
    reply([host('c.test', '192.0.2.1'), alias('a.test', 'b.test', 5), alias('b.test', 'c.test')]),
    question,
  );
  assert.equal(found.kind === 'records' ? found.ttlSec : 0, 5);
  assert.deepEqual(found.kind === 'records' ? found.chain : [], ['a.test', 'b.test', 'c.test']);
});

test('records of names nobody asked for are ignored', () => {
  const found = followReply(
    reply([host('evil.test', '203.0.113.1'), host('a.test', '192.0.2.1')]),
    question,
  );
  assert.deepEqual(found.kind === 'records' ? found.records.map(({ name }) => name) : [], [
    'a.test',
  ]);
});

test('a loop of aliases fails, an unfinished chain is asked on, a referral is no answer', () => {
  const loop = followReply(reply([alias('a.test', 'b.test'), alias('b.test', 'a.test')]), question);
  assert.equal(loop.kind, 'failed');
  assert.deepEqual(followReply(reply([alias('a.test', 'b.test')]), question), {
    ...{ kind: 'next', name: 'b.test', ttlSec: 9 },
  });
  const referral: ResourceRecord = { type: 'NS', name: 'test', target: 'ns.test', ttlSec: 60 };
  assert.equal(followReply(reply([], { authorities: [referral] }), question).kind, 'failed');
});

test('a negative answer lives as long as the smaller of SOA TTL and minimum, without SOA briefly', () => {
  const named = followReply(reply([], { code: 'NXDOMAIN', authorities: [soa] }), question);
  assert.deepEqual(named, { kind: 'nothing', why: 'no_name', ttlSec: 30 });
  const bare = followReply(reply([], { code: 'NXDOMAIN' }), question);
  assert.deepEqual(bare, { kind: 'nothing', why: 'no_name', ttlSec: 5 });
});

const answer = (ttlSec: number): Answered => ({ kind: 'records', records: [], ttlSec, chain: [] });

test('the cache holds a TTL within floor and ceiling, then stale within its bound', () => {
  const cache = new DnsCache({ ...defaultCacheSettings, maxTtlSec: 100, maxStaleSec: 50 });
  assert.equal(cache.put('zero', answer(0), 0).expiresAtMs, 1_000);
  assert.equal(cache.put('year', answer(31_536_000), 0).expiresAtMs, 100_000);
  assert.equal(cache.get('year', 89_999)?.state, 'fresh');
  assert.equal(cache.get('year', 90_000)?.state, 'due');
  assert.equal(cache.get('year', 100_000)?.state, 'stale');
  assert.equal(cache.get('year', 150_000), undefined);
});

test('a negative answer is never served stale', () => {
  const cache = new DnsCache(defaultCacheSettings);
  cache.put('gone', { kind: 'nothing', why: 'no_name', ttlSec: 5 }, 0);
  assert.equal(cache.get('gone', 5_000), undefined);
});

test('the cache never grows past its bound, the newest entries stay', () => {
  const cache = new DnsCache({ ...defaultCacheSettings, maxEntries: 10 });
  for (let index = 0; index < 1_000; index += 1) cache.put(`n${index}`, answer(60), 0);
  assert.equal(cache.size, 10);
  assert.equal(cache.get('n999', 0)?.state, 'fresh');
});

const server = (last: number): NameServer => ({
  address: `192.0.2.${last}`,
  port: 53,
  transport: 'udp',
});

test('a server that failed is asked last, and first again once that is long ago', () => {
  const book = new ServerBook([server(1), server(2)]);
  book.failed(server(1), 0);
  assert.deepEqual(book.order(0).map(serverText), ['192.0.2.2:53', '192.0.2.1:53']);
  assert.deepEqual(book.order(60_000).map(serverText), ['192.0.2.1:53', '192.0.2.2:53']);
});

test('waiting grows with what a server takes and with each round, within bounds', () => {
  const book = new ServerBook([server(1)]);
  assert.equal(book.waitMs(server(1), 0), 800);
  book.answered(server(1), 1);
  assert.equal(book.waitMs(server(1), 0), 400);
  assert.equal(book.waitMs(server(1), 1), 800);
  assert.equal(book.waitMs(server(1), 9), 2_500);
});

test('resolv.conf: servers, search, ndots; what is unknown is skipped', () => {
  const config = parseResolvConf(
    '# x\nnameserver 192.0.2.1 ; first\nnameserver fe80::1%eth0\nnameserver nonsense\nsearch corp.test -bad-\noptions rotate ndots:99\nsortlist 1\n',
  );
  assert.deepEqual(config.servers.map(serverText), ['192.0.2.1:53', '[fe80::1%eth0]:53']);
  assert.deepEqual(config.search, ['corp.test']);
  assert.equal(config.ndots, 15);
  assert.deepEqual(parseResolvConf('').servers.map(serverText), ['127.0.0.1:53']);
});

test('configured servers: plain, with port, IPv6, TLS with a name', () => {
  const texts = [
    '192.0.2.1',
    '192.0.2.1:5353',
    '[2001:db8::1]:53',
    '2001:db8::1',
    'tls://192.0.2.1#dns.test',
  ];
  assert.deepEqual(
    texts.map((text) => {
      const parsed = parseServer(text);
      return parsed === undefined ? undefined : serverText(parsed);
    }),
    [
      '192.0.2.1:53',
      '192.0.2.1:5353',
      '[2001:db8::1]:53',
      '[2001:db8::1]:53',
      'tls://192.0.2.1:853#dns.test',
    ],
  );
  for (const bad of [
    'dns.test',
    '192.0.2.1:0',
    '192.0.2.1:70000',
    '192.0.2.1#name',
    'tls://1.2.3.4#-',
    '',
  ]) {
    assert.equal(parseServer(bad), undefined, bad);
  }
});

test('the hosts file: all addresses of a name in order, names in any case, comments apart', () => {
  const hosts = parseHostsFile(
    '192.0.2.1 WM wm.test # x\n2001:db8::1 wm\nnot-an-ip wm\n# 192.0.2.9 wm\n',
  );
  assert.deepEqual(hosts.addressesOf('wm'), ['192.0.2.1', '2001:db8::1']);
  assert.deepEqual(hosts.addressesOf('other'), []);
});

const world = (a: readonly string[] | 'fails', aaaa: readonly string[] | 'fails') => ({
  clock: systemClock,
  resolver: {
    lookup: async ({ type }: { readonly type: string }) => {
      const addresses = type === 'A' ? a : aaaa;
      if (addresses === 'fails') throw new PeerError('dns_failed', 'nobody');
      const records = addresses.map((address) => ({
        ...{ type: 'A' as const, name: 'wm.test', ttlSec: 9 },
        address,
      }));
      const found: Answered =
        records.length === 0
          ? { kind: 'nothing', why: 'no_data', ttlSec: 9 }
          : { kind: 'records', records, ttlSec: 9, chain: ['wm.test'] };
      return { answer: found, ttlLeftMs: 9_000, isStale: false };
    },
  },
  hosts: async () => parseHostsFile('192.0.2.77 local.test'),
  search: async () => ({ search: [], ndots: 1 }),
});

test('every address of both families is given; one family that fails does not hide the other', async () => {
  const both = await resolveAddresses(
    world(['192.0.2.1', '192.0.2.2'], ['2001:db8::1']),
    'wm.test',
  );
  assert.deepEqual(both.addresses, ['192.0.2.1', '192.0.2.2', '2001:db8::1']);
  const half = await resolveAddresses(world(['192.0.2.1'], 'fails'), 'wm.test');
  assert.deepEqual([half.addresses, half.unanswered], [['192.0.2.1'], 6]);
});

test('literals and the hosts file need no server; a name without address is an error', async () => {
  const dead = world('fails', 'fails');
  assert.equal((await resolveAddresses(dead, '192.0.2.5')).source, 'literal');
  assert.deepEqual((await resolveAddresses(dead, 'local.test')).addresses, ['192.0.2.77']);
  await assert.rejects(resolveAddresses(dead, 'wm.test'), { reason: 'dns_failed' });
  await assert.rejects(resolveAddresses(world([], []), 'wm.test'), /no such name/);
  await assert.rejects(resolveAddresses(dead, 'not a name'), /no host name/);
});

test('services by priority, then weight, then name; the target . means none', () => {
  const srv = (priority: number, weight: number, target: string) => ({
    priority,
    weight,
    port: 1514,
    target,
  });
  const ordered = orderServices([
    srv(10, 5, 'b'),
    srv(10, 5, 'a'),
    srv(5, 0, 'z'),
    srv(10, 9, 'c'),
    srv(1, 1, ''),
  ]);
  assert.deepEqual(
    ordered.map(({ target }) => target),
    ['z', 'c', 'a', 'b'],
  );
});

test('SVCB data survives encode and decode, and breaks when its rules are broken', () => {
  const binding = {
    ...{ priority: 1, target: 'wm.test', alpn: ['h2', 'http/1.1'], port: 1517, mandatory: [1] },
    ...{ ipv4hint: ['192.0.2.1', '192.0.2.2'], ipv6hint: ['2001:db8:0:0:0:0:0:1'] },
  };
  assert.deepEqual(decodeServiceBinding(encodeServiceBinding(binding)), binding);
  assert.equal(isUsable(binding), true);
  assert.equal(isUsable({ ...binding, mandatory: [7] }), false);
  const bad = [
    '00', // too short
    '0001c00c', // compressed target
    '000100000400030a0000', // length of addresses
    '0001000003000205ea0001000302683200', // keys out of order
    '00010000030009', // parameter past the end
  ];
  for (const hex of bad) {
    assert.throws(() => decodeServiceBinding(Buffer.from(hex, 'hex')), { kind: 'malformed' }, hex);
  }
});

test('native failover by DNS: measured formulas, worst case by TTL', () => {
  const at = (ttlSec: number): readonly number[] =>
    nativeAway(ttlSec, defaultAgentTimes).map(({ awaySec }) => awaySec);
  assert.deepEqual(at(5), [11, 60, 60]);
  assert.deepEqual(at(300), [301, 340, 350]);
});

test('the lint warns of a TTL that is no failover and of a single address', () => {
  const levels = (ttlSec: number, addresses: number): readonly string[] =>
    lintName(ttlSec, addresses, defaultAgentTimes).map(({ level }) => level);
  assert.deepEqual(levels(30, 2), ['ok', 'ok']);
  assert.deepEqual(levels(300, 1), ['warn', 'warn']);
  assert.deepEqual(levels(3_600, 2), ['warn', 'ok', 'warn']);
});

test('a search domain whose servers fail hides neither the next one nor the name itself', async () => {
  const worldOf = (answers: Readonly<Record<string, Answered>>, ndots: number): NameWorld => ({
    clock: systemClock,
    hosts: async () => parseHostsFile(''),
    search: async () => ({ search: ['gone.test', 'corp.test'], ndots }),
    resolver: {
      lookup: async ({ name, type }) => {
        const answer = answers[name];
        if (answer === undefined) throw new PeerError('dns_failed', `${name}: SERVFAIL`);
        const none = { kind: 'nothing', why: 'no_data', ttlSec: 5 } as const;
        return { answer: type === 'A' ? answer : none, ttlLeftMs: 5_000, isStale: false };
      },
    },
  });
  const here = (name: string, address: string): Answered => {
    const records = [{ name, ttlSec: 5, type: 'A' as const, address }];
    return { kind: 'records', records, ttlSec: 5, chain: [name] };
  };
  const none: Answered = { kind: 'nothing', why: 'no_name', ttlSec: 5 };
  const [corp, full] = [here('wm.corp.test', '192.0.2.1'), here('wm.dc.test', '192.0.2.2')];
  const short = await resolveAddresses(worldOf({ 'wm.corp.test': corp }, 1), 'wm');
  assert.deepEqual([short.name, short.addresses], ['wm.corp.test', ['192.0.2.1']]);
  const pod = worldOf({ 'wm.dc.test.corp.test': none, 'wm.dc.test': full }, 5);
  assert.deepEqual((await resolveAddresses(pod, 'wm.dc.test')).addresses, ['192.0.2.2']);
  await assert.rejects(resolveAddresses(worldOf({ wm: none }, 1), 'wm'), /gone.test: SERVFAIL/);
});
