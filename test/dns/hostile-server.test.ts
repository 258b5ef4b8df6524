/** Servers that lie, fold letters, trip over EDNS or flood, on real sockets. */
import assert from 'node:assert/strict';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type DecodedPacket, decode, encode } from 'dns-packet';
import { defaultCacheSettings } from '../../src/dns/cache.ts';
import { Resolver } from '../../src/dns/resolver.ts';
import { buildZonePeers } from '../../src/host/dns-notify.ts';
import { buildDnsSockets } from '../../src/host/dns-sockets.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';

type Send = (bytes: Buffer) => void;
type Behave = (query: DecodedPacket, raw: Buffer, send: Send, from: RemoteInfo) => void;

/** UDP as `behave` says; TCP on the same port answers honestly. */
async function startServer(
  t: TestContext,
  behave: Behave,
): Promise<{ port: number; asked: () => number }> {
  let asked = 0;
  const tcp = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (bytes: Buffer) => {
      const body = honest(decode(bytes.subarray(2)));
      const length = Buffer.alloc(2);
      length.writeUInt16BE(body.length);
      socket.end(Buffer.concat([length, body]));
    });
  });
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
  const address = tcp.address();
  assert.ok(address !== null && typeof address === 'object');
  const udp: Socket = createSocket('udp4');
  udp.on('message', (raw: Buffer, from: RemoteInfo) => {
    asked += 1;
    const send = (bytes: Buffer): void => udp.send(bytes, from.port, from.address, () => undefined);
    behave(decode(raw), raw, send, from);
  });
  await new Promise<void>((resolve) => udp.bind(address.port, '127.0.0.1', resolve));
  t.after(() => {
    udp.close();
    tcp.close();
  });
  return { port: address.port, asked: () => asked };
}

function honest(query: DecodedPacket, address = '192.0.2.1', change: object = {}): Buffer {
  const [question] = query.questions ?? [];
  const answers = [{ name: question?.name ?? '', type: 'A' as const, ttl: 60, data: address }];
  return encode({
    ...{ type: 'response', id: query.id ?? 0, flags: 0x180, questions: query.questions ?? [] },
    ...{ answers, ...change },
  });
}

function resolverFor(port: number): Resolver {
  const servers = [{ address: '127.0.0.1', port, transport: 'udp' as const }];
  return new Resolver({
    ...{ clock: systemClock, random: systemRandom, transport: buildDnsSockets() },
    config: async () => ({ servers, search: [], ndots: 1 }),
    cache: defaultCacheSettings,
  });
}

async function addressFrom(resolver: Resolver): Promise<string> {
  const { answer } = await resolver.lookup({ name: 'wm.example.test', type: 'A' });
  const [record] = answer.kind === 'records' ? answer.records : [];
  return record?.type === 'A' ? record.address : 'none';
}

test('forged datagrams before the true one are counted and change nothing', async (t) => {
  const { port } = await startServer(t, (query, _raw, send) => {
    send(honest(query, '203.0.113.6', { id: ((query.id ?? 0) + 1) & 0xffff }));
    send(honest(query, '203.0.113.6', { questions: [{ name: 'evil.test', type: 'A' }] }));
    send(Buffer.from('nonsense'));
    send(honest(query, '203.0.113.6').subarray(0, -2));
    send(honest(query));
  });
  const resolver = resolverFor(port);
  assert.equal(await addressFrom(resolver), '192.0.2.1');
  const { wrong_id, wrong_question, malformed } = resolver.faults;
  assert.deepEqual([wrong_id, wrong_question, malformed], [1, 1, 2]);
});

test('a server that folds letters is asked over TCP, where nobody can guess', async (t) => {
  const { port, asked } = await startServer(t, (query, _raw, send) => {
    const questions = [{ name: 'wm.example.test', type: 'A' as const }];
    send(honest(query, '203.0.113.6', { questions }));
  });
  const resolver = resolverFor(port);
  assert.equal(await addressFrom(resolver), '192.0.2.1');
  const [standing] = await resolver.standings();
  assert.equal(standing?.keepsCase, false);
  assert.equal(asked(), 1);
});

test('a server that trips over EDNS is asked without it from then on', async (t) => {
  const { port, asked } = await startServer(t, (query, _raw, send) => {
    const hasEdns = (query.additionals ?? []).length > 0;
    send(hasEdns ? honest(query, '', { answers: [], flags: 0x181 }) : honest(query));
  });
  const resolver = resolverFor(port);
  assert.equal(await addressFrom(resolver), '192.0.2.1');
  const [standing] = await resolver.standings();
  assert.equal(standing?.knowsEdns, false);
  await resolver.lookup({ name: 'other.example.test', type: 'A' });
  assert.equal(asked(), 3);
});

test('a truncated answer is asked again over TCP', async (t) => {
  const { port } = await startServer(t, (query, _raw, send) => {
    send(honest(query, '203.0.113.6', { answers: [], flags: 0x380 }));
  });
  assert.equal(await addressFrom(resolverFor(port)), '192.0.2.1');
});

test('a flood of wrong answers ends the question long before its deadline', async (t) => {
  const { port } = await startServer(t, (query, _raw, send) => {
    const forged = honest(query, '203.0.113.6', { id: (query.id ?? 0) ^ 1 });
    for (let index = 0; index < 80; index += 1) send(forged);
  });
  const resolver = resolverFor(port);
  await assert.rejects(addressFrom(resolver), /flooded|no answer/);
  assert.ok(resolver.faults.wrong_id >= 64);
});

test('every question has a random id, a port of its own and letters mixed anew', async (t) => {
  const ports = new Set<number>();
  const spellings = new Set<string>();
  const ids = new Set<number>();
  const { port } = await startServer(t, (query, _raw, send, from) => {
    ports.add(from.port);
    ids.add(query.id ?? 0);
    spellings.add(query.questions?.[0]?.name ?? '');
    send(honest(query, '192.0.2.1', { answers: [], flags: 0x182 })); // SERVFAIL: nothing is kept
  });
  const resolver = resolverFor(port);
  for (let times = 0; times < 40; times += 1) {
    await assert.rejects(addressFrom(resolver), /SERVFAIL/);
  }
  for (const seen of [ports, ids, spellings]) assert.ok(seen.size > 35, `${seen.size}`);
});

test('the same question asked at the same time is asked once', async (t) => {
  const { port, asked } = await startServer(t, (query, _raw, send) => send(honest(query)));
  const resolver = resolverFor(port);
  const found = await Promise.all([1, 2, 3, 4].map(() => addressFrom(resolver)));
  assert.deepEqual(new Set(found), new Set(['192.0.2.1']));
  assert.equal(asked(), 1);
});

test('what is no answer to a NOTIFY is ignored, however short, and stops nobody', async (t) => {
  const { port } = await startServer(t, (query, raw, send) => {
    const answer = Buffer.from(raw);
    answer[2] = (raw[2] ?? 0) | 0x80;
    const { questions = [], id = 0 } = query;
    const other = encode({ type: 'response', id, questions });
    for (const bytes of [Buffer.alloc(0), raw.subarray(0, 1), raw, other, answer]) send(bytes);
  });
  const peers = buildZonePeers(systemClock, systemRandom);
  const server = { address: '127.0.0.1', port, transport: 'udp' } as const;
  assert.equal(await peers.notify(server, 'zone.example', AbortSignal.timeout(30_000)), true);
});
