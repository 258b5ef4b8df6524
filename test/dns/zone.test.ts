/** The zone as dig, a real BIND secondary and a real BIND primary see it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { decodeReply, encodeQuery } from '../../src/dns/query.ts';
import { ResponseRate } from '../../src/dns/rate-limit.ts';
import type { ZoneManager } from '../../src/dns/zone-content.ts';
import { firstRecordSets, recordSets } from '../../src/dns/zone-update.ts';
import { listenDns } from '../../src/host/dns-listener.ts';
import { buildZonePeers } from '../../src/host/dns-notify.ts';
import { buildDnsSockets } from '../../src/host/dns-sockets.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import { ZoneDesk, type ZoneDeskSettings } from '../../src/publisher/zone-desk.ts';
import { missing, startBind, startKnot } from '../fakes/name-servers.ts';
import { eventually } from '../fakes/processes.ts';

const skip = existsSync('/usr/bin/dig') ? false : 'needs dig';
const kdig = '/usr/bin/kdig';
const origin = 'wm.example.test';

const settings: ZoneDeskSettings = {
  ...{ origin, ttlSec: 5, nameServers: [`ns.${origin}`], hostmaster: `hostmaster.${origin}` },
  glue: { [`ns.${origin}`]: ['127.0.0.1'] },
  views: [{ networks: ['127.0.0.9/32'], site: 'north' }],
  secondaries: ['127.0.0.1/32'],
  answersPerSecond: 1_000,
};

const manager = (id: string, address: string, more: Partial<ZoneManager> = {}): ZoneManager => ({
  ...{ id, site: 'south', addresses: [address], port: 1_514, protocol: 'tcp' },
  ...{ prio: 0, weight: 100, isServing: true, ...more },
});
const fleet: readonly ZoneManager[] = [
  manager('wm1', '192.0.2.1'),
  manager('wm2', '192.0.2.2', { weight: 300 }),
  manager('wm_3', '2001:db8::3', { site: 'north' }),
  manager('wm4', '192.0.2.4', { prio: 9 }),
];

async function startZone(t: TestContext, wish: Partial<ZoneDeskSettings> = {}) {
  let changes = 0;
  const desk = new ZoneDesk({
    ...{ clock: systemClock, random: systemRandom, settings: { ...settings, ...wish } },
    onChange: () => {
      changes += 1;
    },
  });
  desk.update(fleet, '1.0.7');
  const listener = await listenDns('127.0.0.1', 0, desk);
  t.after(() => listener.close());
  return { desk, port: listener.port, changes: () => changes };
}

const run = promisify(execFile);

async function dig(port: number, ...args: readonly string[]): Promise<string> {
  const all = ['@127.0.0.1', '-p', String(port), '+time=5', '+tries=2', ...args];
  return (await run('/usr/bin/dig', all)).stdout;
}

const lines = (text: string): readonly string[] => text.trim().split('\n').toSorted();

test('dig: addresses of the preferred managers, services, version, apex records', {
  skip,
}, async (t) => {
  const { port } = await startZone(t);
  assert.deepEqual(lines(await dig(port, origin, 'A', '+short')), ['192.0.2.1', '192.0.2.2']);
  assert.deepEqual(lines(await dig(port, origin, 'AAAA', '+short')), ['2001:db8::3']);
  assert.deepEqual(lines(await dig(port, `_wazuh._tcp.${origin}`, 'SRV', '+short')), [
    '0 100 1514 wm-3.wm.example.test.',
    '0 100 1514 wm1.wm.example.test.',
    '0 300 1514 wm2.wm.example.test.',
    '9 100 1514 wm4.wm.example.test.',
  ]);
  assert.equal((await dig(port, origin, 'TXT', '+short')).trim(), '"pilotfish-list 1.0.7"');
  assert.equal((await dig(port, origin, 'NS', '+short')).trim(), `ns.${origin}.`);
  const full = await dig(port, origin, 'A');
  assert.match(full, /flags: qr aa rd;/);
  assert.match(full, /wm\.example\.test\.\s+5\s+IN\s+A/);
  assert.match(
    await dig(port, `_wazuh._tcp.${origin}`, 'SRV'),
    /ADDITIONAL SECTION:[\s\S]*192\.0\.2\.4/,
  );
});

test('what is not there is denied with a SOA, what is not ours is refused', { skip }, async (t) => {
  const { port, desk } = await startZone(t);
  assert.match(await dig(port, `no.${origin}`, 'A'), /NXDOMAIN[\s\S]*SOA/);
  assert.match(await dig(port, origin, 'MX'), /NOERROR[\s\S]*ANSWER: 0[\s\S]*SOA/);
  assert.match(await dig(port, `_tcp.${origin}`, 'A'), /NOERROR/);
  assert.match(await dig(port, 'example.org', 'A'), /REFUSED/);
  assert.match(await dig(port, origin, 'A', '+opcode=update'), /NOTIMP/);
  assert.match(await dig(port, '-c', 'CH', origin, 'TXT'), /REFUSED/);
  assert.equal(desk.counts.negative, 3);
});

test('names in any case, TCP, ANY without amplification', { skip }, async (t) => {
  const { port } = await startZone(t);
  assert.match(
    await dig(port, 'WM.Example.TEST', 'A'),
    /WM\.Example\.TEST\.\s+IN\s+A[\s\S]*ANSWER SECTION/,
  );
  assert.match(await dig(port, origin, 'A', '+tcp', '+short'), /192\.0\.2\.1/);
  const any = await dig(port, origin, 'ANY', '+notcp');
  assert.match(any, /ANSWER: 1,/);
});

test('a client of a view gets the managers of its site', { skip }, async (t) => {
  const { port } = await startZone(t);
  const near = await dig(port, '-b', '127.0.0.9', origin, 'A', '+short');
  assert.equal(near.trim(), '');
  assert.equal(
    (await dig(port, '-b', '127.0.0.9', origin, 'AAAA', '+short')).trim(),
    '2001:db8::3',
  );
});

test('a client of a view gets managers at their addresses for it, and hears of a change of those', {
  skip,
}, async (t) => {
  const { desk, port, changes } = await startZone(t);
  const north = (address: string) => ({
    site: 'north',
    elsewhere: { north: { address, port: 2_514 } },
  });
  const first = (address: string) => [
    manager('wm1', '192.0.2.1', north(address)),
    ...fleet.filter(({ id }) => id === 'wm2'),
  ];
  desk.update(first('198.51.100.1'), '1.0.8');
  const asked = (from: string) => dig(port, '-b', from, origin, 'A', '+short');
  assert.deepEqual(lines(await asked('127.0.0.9')), ['198.51.100.1']);
  assert.match(await dig(port, '-b', '127.0.0.9', `_wazuh._tcp.${origin}`, 'SRV'), / 2514 wm1\./);
  assert.equal(lines(await asked('127.0.0.8')).includes('198.51.100.1'), false);
  desk.update(first('198.51.100.2'), '1.0.8');
  assert.deepEqual(lines(await asked('127.0.0.9')), ['198.51.100.2']);
  assert.equal(changes(), 3);
});

test('weights decide which address comes first', async () => {
  const desk = new ZoneDesk({
    ...{ clock: systemClock, settings, onChange: () => undefined },
    random: { bytes: (length) => new Uint8Array(length), fraction: seeded() },
  });
  desk.update(fleet.slice(0, 2), '1.0.7');
  const query = encodeQuery({ name: origin, type: 'A' }, { id: 1 });
  let heavyFirst = 0;
  for (let times = 0; times < 2_000; times += 1) {
    const [bytes] = desk.answer(query, '127.0.0.1', 'tcp');
    const [first] = decodeReply(bytes ?? Buffer.alloc(0), query).answers;
    if (first?.type === 'A' && first.address === '192.0.2.2') heavyFirst += 1;
  }
  assert.ok(Math.abs(heavyFirst - 1_500) < 100, `${heavyFirst} of 2000, by weight 1500`);
});

test('a manager that stops serving leaves; when none serves the last answer stays', {
  skip,
}, async (t) => {
  const { desk, port, changes } = await startZone(t);
  assert.equal(desk.update(fleet, '1.0.7'), false);
  const before = desk.zone()?.serial ?? 0;
  desk.update([manager('wm1', '192.0.2.1', { isServing: false }), ...fleet.slice(1)], '1.0.7');
  assert.deepEqual(lines(await dig(port, origin, 'A', '+short')), ['192.0.2.2']);
  assert.ok((desk.zone()?.serial ?? 0) - before > 0);
  desk.update(
    fleet.map((one) => ({ ...one, isServing: false })),
    '1.0.7',
  );
  assert.deepEqual(lines(await dig(port, origin, 'A', '+short')), ['192.0.2.2']);
  assert.equal(changes(), 2);
});

test('over its rate a network is sent to TCP or not answered, over TCP it always is', {
  skip,
}, async (t) => {
  const { port, desk } = await startZone(t, { answersPerSecond: 1 });
  const query = encodeQuery({ name: origin, type: 'A' }, { id: 1 });
  const answered = Array.from({ length: 50 }, () => desk.answer(query, '192.0.2.200', 'udp')[0]);
  const truncated = answered.filter((bytes) => bytes !== undefined && ((bytes[2] ?? 0) & 2) !== 0);
  const whole = answered.filter((bytes) => bytes !== undefined && ((bytes[2] ?? 0) & 2) === 0);
  assert.ok(whole.length <= 2, `${whole.length}`);
  assert.ok(truncated.length >= 23 && truncated.length <= 25, `${truncated.length}`);
  assert.match(await dig(port, origin, 'A', '+tcp', '+short'), /192\.0\.2\.1/);
});

test('a transfer is for secondaries only', { skip }, async (t) => {
  const { port } = await startZone(t);
  const whole = await dig(port, origin, 'AXFR');
  assert.equal(whole.match(/\tSOA\t/g)?.length, 2);
  assert.match(whole, /wm-3\.wm\.example\.test\.\s+5\s+IN\s+AAAA\s+2001:db8::3/);
  const other = await startZone(t, { secondaries: ['192.0.2.0/24'] });
  assert.match(await dig(other.port, origin, 'AXFR'), /Transfer failed/);
});

test('nonsense, replies and floods of connections are not answered and not fatal', {
  skip,
}, async (t) => {
  const { port, desk } = await startZone(t);
  const query = encodeQuery({ name: origin, type: 'A' }, { id: 1 });
  const reply = Buffer.from(query);
  reply[2] = 0x80;
  for (const bytes of [Buffer.alloc(0), Buffer.from('x'), reply, query.subarray(0, 15)]) {
    assert.deepEqual(desk.answer(bytes, '192.0.2.1', 'udp'), []);
  }
  const greedy = connect(port, '127.0.0.1');
  greedy.on('error', () => undefined);
  greedy.write(Buffer.from([0xff, 0xff, ...new Array<number>(5_000).fill(0)]));
  await once(greedy, 'close');
  assert.match(await dig(port, origin, 'A', '+short'), /192\.0\.2\.1/);
});

test('a real BIND secondary transfers the zone, and again when it is told of a change', {
  skip: missing('bind'),
}, async (t) => {
  const { desk, port } = await startZone(t);
  const secondary = await startBind(
    t,
    {},
    'notify no; allow-notify { any; }; minimal-responses no; serial-query-rate 100;',
    (folder) => `
    zone "${origin}" { type secondary; primaries port ${port} { 127.0.0.1; }; file "${folder}/second"; };`,
  );
  const ask = async (): Promise<string> =>
    (await dig(secondary.port, origin, 'A', '+short')).trim();
  await eventually(
    'the first transfer',
    async () => (await ask()).split('\n').length === 2 || undefined,
  );
  desk.update(fleet.slice(1), '1.0.8');
  const peers = buildZonePeers(systemClock, systemRandom);
  const server = { address: '127.0.0.1', port: secondary.port, transport: 'udp' } as const;
  assert.equal(await peers.notify(server, origin, AbortSignal.timeout(30_000)), true);
  await eventually('the change', async () => (await ask()) === '192.0.2.2' || undefined);
});

test('a real knot secondary transfers the zone for kdig, and again when it is told of a change', {
  skip: missing('knot') || (existsSync(kdig) ? false : 'needs kdig'),
}, async (t) => {
  const { desk, port } = await startZone(t);
  const more = `remote:\n  - id: ours\n    address: 127.0.0.1@${port}\nacl:\n  - id: told\n    address: 127.0.0.1\n    action: notify\nzone:\n  - domain: ${origin}\n    master: ours\n    acl: told\n`;
  const secondary = await startKnot(t, {}, more);
  const at = ['@127.0.0.1', '-p', String(secondary.port)];
  const ask = async (...question: readonly string[]): Promise<string> =>
    (await run(kdig, [...at, '+short', ...question]).catch(() => ({ stdout: '' }))).stdout.trim();
  const addresses = async () => lines(await ask(origin, 'A'));
  await eventually('the first transfer', async () => (await addresses()).length === 2);
  assert.match(await ask(`_wazuh._tcp.${origin}`, 'SRV'), /0 300 1514 wm2/);
  desk.update(fleet.slice(1), '1.0.8');
  const peers = buildZonePeers(systemClock, systemRandom);
  const server = { address: '127.0.0.1', port: secondary.port, transport: 'udp' } as const;
  assert.equal(await peers.notify(server, origin, AbortSignal.timeout(30_000)), true);
  await eventually('the change', async () => String(await addresses()) === '192.0.2.2');
});

test('a primary that knows us by our address alone takes updates without a signature', {
  skip: missing('bind'),
}, async (t) => {
  const dynamic = (allowed: string) => (folder: string) => {
    writeFileSync(
      `${folder}/dyn`,
      '$TTL 5\n@ IN SOA ns admin 1 60 10 600 5\n@ IN NS ns\nns IN A 127.0.0.1\n@ IN A 192.0.2.9\n@ IN AAAA 2001:db8::9\n@ IN MX 5 mx.test.\n',
    );
    return `zone "${origin}" { type primary; file "${folder}/dyn"; allow-update { ${allowed}; }; };`;
  };
  const record = { type: 'A', name: origin, ttlSec: 5, address: '192.0.2.1' } as const;
  const sets = firstRecordSets([record]);
  const peers = buildZonePeers(systemClock, systemRandom);
  const update = ({ port }: { readonly port: number }) =>
    peers.update(
      { address: '127.0.0.1', port, transport: 'udp' },
      { zone: origin, sets },
      undefined,
      AbortSignal.timeout(30_000),
    );
  const open = await startBind(t, {}, '', dynamic('127.0.0.1'));
  await update(open);
  assert.equal((await dig(open.port, origin, 'A', '+short')).trim(), '192.0.2.1');
  assert.equal((await dig(open.port, origin, 'AAAA', '+short')).trim(), '', 'of an earlier life');
  assert.match(await dig(open.port, origin, 'MX', '+short'), /mx\.test/, 'not ours, left alone');
  const closed = await startBind(t, {}, '', dynamic('none'));
  await assert.rejects(update(closed), { reason: 'peer_refused' });
});

test('a real BIND primary takes signed updates, and refuses those of another key', {
  skip: missing('bind'),
}, async (t) => {
  const secret = Buffer.from('0123456789abcdef0123456789abcdef');
  const primary = await startBind(t, {}, '', (folder) => {
    writeFileSync(
      `${folder}/dyn`,
      '$TTL 5\n@ IN SOA ns admin 1 60 10 600 5\n@ IN NS ns\nns IN A 127.0.0.1\n@ IN A 192.0.2.99\n',
    );
    return `key "pf." { algorithm hmac-sha256; secret "${secret.toString('base64')}"; };
      zone "${origin}" { type primary; file "${folder}/dyn"; allow-update { key "pf."; }; };`;
  });
  const desk = new ZoneDesk({
    ...{ clock: systemClock, random: systemRandom, settings },
    onChange: () => undefined,
  });
  desk.update(fleet, '1.0.7');
  const old = { type: 'A', name: origin, ttlSec: 5, address: '192.0.2.99' } as const;
  const sets = recordSets([old], desk.zone()?.records ?? []);
  const peers = buildZonePeers(systemClock, systemRandom);
  const server = { address: '127.0.0.1', port: primary.port, transport: 'udp' } as const;
  const key = { name: 'pf', secret };
  await peers.update(server, { zone: origin, sets }, key, AbortSignal.timeout(30_000));
  assert.deepEqual(lines(await dig(primary.port, origin, 'A', '+short')), [
    '192.0.2.1',
    '192.0.2.2',
  ]);
  assert.match(await dig(primary.port, `_wazuh._tcp.${origin}`, 'SRV', '+short'), /0 300 1514 wm2/);
  const forged = { name: 'pf', secret: Buffer.from('another secret of some length!!!') };
  await assert.rejects(
    peers.update(server, { zone: origin, sets }, forged, AbortSignal.timeout(30_000)),
    {
      reason: 'peer_refused',
    },
  );
});

function seeded(): () => number {
  let state = 7;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 0x80000000;
  };
}

const hasIpv6 = Object.values(networkInterfaces())
  .flat()
  .some((one) => one?.family === 'IPv6');

test('on :: a client by IPv4 is known by its IPv4 address, over UDP and TCP', {
  skip: hasIpv6 ? false : 'no IPv6 here',
}, async (t) => {
  const clients: string[] = [];
  const listener = await listenDns('::', 0, {
    answer(bytes, client, transport) {
      clients.push(`${transport} ${client}`);
      return [Buffer.from(bytes)];
    },
  });
  t.after(() => listener.close());
  const server = { address: '127.0.0.1', port: listener.port, transport: 'udp' } as const;
  const [sockets, signal] = [buildDnsSockets(), AbortSignal.timeout(30_000)];
  await sockets.datagram(server, Buffer.from('?'), () => 'accept', signal);
  await sockets.stream(server, Buffer.from('?'), signal);
  assert.deepEqual(clients, ['udp 127.0.0.1', 'tcp 127.0.0.1']);
});

test('the hosts of one IPv6 network share its answers, however their addresses are written', () => {
  const rate = new ResponseRate({ perSecond: 1, maxNetworks: 10 });
  const addresses = ['2001:db8::1', '2001:db8::2', '2001:db8:0:0:a::1', '2001:db8:0:1::1', '::1'];
  assert.deepEqual(
    addresses.map((address) => rate.judge(address, 1_000)),
    ['answer', 'drop', 'truncate', 'answer', 'answer'],
  );
});
