/** Name servers that say nothing at all, in virtual time: what was true last is there for whoever is in a hurry. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from 'dns-packet';
import { deadline, untilAborted } from '../../src/clock.ts';
import { type NameWorld, resolveAddresses } from '../../src/dns/addresses.ts';
import { defaultCacheSettings } from '../../src/dns/cache.ts';
import type { DnsTransport } from '../../src/dns/exchange.ts';
import { parseHostsFile } from '../../src/dns/hosts-file.ts';
import { Resolver } from '../../src/dns/resolver.ts';
import { systemRandom } from '../../src/host/system-clock.ts';
import { PassingClock } from '../promotion/world.ts';

const question = { name: 'wm.test', type: 'A' } as const;
const ttlSec = 30;

/** Answers until it falls silent. There is no AAAA. */
class Server implements DnsTransport {
  isSilent = false;
  /** As a middlebox that knows nothing of IPv6 does. */
  dropsSix = false;
  asked = 0;

  async datagram(
    _server: unknown,
    query: Uint8Array,
    judge: (bytes: Uint8Array) => unknown,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    this.asked += 1;
    const { id = 0, questions = [] } = decode(Buffer.from(query));
    const [{ name, type } = { name: '', type: 'A' }] = questions;
    const isSix = type === 'AAAA';
    if (this.isSilent || (isSix && this.dropsSix)) {
      return untilAborted(new Promise<never>(() => undefined), signal);
    }
    const four = { name, type: 'A' as const, ttl: ttlSec, data: '192.0.2.1' };
    const answers = isSix ? [] : [four];
    const bytes = encode({ type: 'response', id, flags: 0x180, questions, answers });
    judge(bytes);
    return bytes;
  }

  async stream(): Promise<never> {
    throw new Error('not here');
  }
}

/** How many probes, one a second for a minute, have the address within their deadline. */
async function minuteOf(clock: PassingClock, ask: () => Promise<unknown>): Promise<number> {
  let inTime = 0;
  for (let second = 0; second < 60; second += 1) {
    const limit = deadline(clock, 800);
    void untilAborted(ask(), limit.signal)
      .then(() => {
        inTime += 1;
      })
      .catch(() => undefined)
      .finally(limit.cancel);
    await clock.pass(1_000);
  }
  return inTime;
}

function start() {
  const [clock, transport] = [new PassingClock(), new Server()];
  const servers = [{ address: '192.0.2.53', port: 53, transport: 'udp' }] as const;
  const resolver = new Resolver({
    ...{ clock, transport, random: systemRandom, cache: defaultCacheSettings },
    config: async () => ({ servers, search: [], ndots: 1 }),
  });
  const world: NameWorld = {
    ...{ clock, resolver },
    hosts: async () => parseHostsFile(''),
    search: async () => ({ search: [], ndots: 1 }),
  };
  const wish = { isInHurry: true };
  const probe = (maxAgeMs = Number.POSITIVE_INFINITY) =>
    resolveAddresses(world, question.name, { ...wish, maxAgeMs });
  return { clock, transport, resolver, probe };
}

test('while every name server is silent, each probe has the last address within its deadline', async () => {
  const { clock, transport, probe } = start();
  assert.deepEqual((await probe()).addresses, ['192.0.2.1']);
  transport.isSilent = true;
  await clock.pass(ttlSec * 1_000);
  assert.equal(await minuteOf(clock, probe), 60);
  assert.equal(await minuteOf(clock, () => probe(900)), 60, 'as a suspect, too');
  assert.ok(transport.asked < 240, `${transport.asked} questions in two minutes`);
});

test('where questions for IPv6 are dropped, a probe has the IPv4 address within its deadline', async () => {
  const { clock, transport, probe } = start();
  transport.dropsSix = true;
  assert.equal(await minuteOf(clock, probe), 60);
});

test('a server that answers is waited for: who comes after the TTL has the new answer', async () => {
  const { clock, transport, resolver } = start();
  await resolver.lookup(question);
  await clock.pass(2 * ttlSec * 1_000);
  const { isStale, ttlLeftMs } = await resolver.lookup(question);
  assert.deepEqual([isStale, ttlLeftMs, transport.asked], [false, ttlSec * 1_000, 2]);
});
