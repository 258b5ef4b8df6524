/** fast-check generators of well-formed documents. */
import fc from 'fast-check';
import { present } from '../../src/list/members.ts';
import type { JoinToken, ManagerList, Receipt, Root } from '../../src/list/model.ts';
import { aRoot, keyNamed } from './documents.ts';

const wordCharacters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-';
const word = fc.string({ unit: fc.constantFrom(...wordCharacters), minLength: 1, maxLength: 64 });
const count = fc.nat(Number.MAX_SAFE_INTEGER);
const second = fc.integer({ min: 0, max: 4_000_000_000 }).map((value) => value * 1_000);
const millisecond = fc.integer({ min: 0, max: 4_000_000_000_000 });
const hash = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => `sha256:${Buffer.from(bytes).toString('hex')}`);
const pin = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => `sha256/${Buffer.from(bytes).toString('base64')}`);
const nonce = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString('base64url'));
const address = fc.oneof(fc.constantFrom('wm.acme.example', 'a', '2001:db8::1', '::1'), fc.ipV4());
const url = fc.constantFrom('https://p1.acme.example:8443', 'https://10.0.0.1', 'https://[::1]:1');
/** Records like our own: with the ordinary prototype. */
function record<Value>(model: { [Name in keyof Value]: fc.Arbitrary<Value[Name]> }) {
  return fc.record(model, { noNullPrototype: true });
}

const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });

const zoneAddresses = fc.uniqueArray(
  record({ zone: word, address, port: maybe(fc.integer({ min: 1, max: 65_535 })) }).map(present),
  { minLength: 1, maxLength: 8, selector: (one) => one.zone },
);

const manager = record({
  id: word,
  address,
  port: fc.integer({ min: 1, max: 65_535 }),
  protocol: fc.constantFrom('tcp' as const, 'udp' as const),
  zone: word,
  prio: fc.integer({ min: 0, max: 1_000 }),
  weight: fc.integer({ min: 0, max: 1_000 }),
  state: fc.constantFrom('up' as const, 'drain' as const, 'down' as const),
  acceptRate: maybe(fc.integer({ min: 1, max: 100_000 })),
  addresses: maybe(zoneAddresses),
}).map(present);

const client = record({
  maxRetries: maybe(fc.integer({ min: 1, max: 100 })),
  retryInterval: maybe(fc.integer({ min: 1, max: 3_600 })),
  notifyTime: maybe(fc.integer({ min: 1, max: 3_600 })),
  timeReconnect: maybe(fc.integer({ min: 1, max: 86_400 })),
  pollSec: fc.integer({ min: 1, max: 86_400 }),
  spreadSec: fc.nat(86_400),
  cooldownSec: fc.nat(86_400),
  panicPct: fc.nat(100),
  agents: fc.nat(10_000_000),
  probeBudgetPerManager: fc.integer({ min: 1, max: 100_000 }),
}).map(present);

export const anyList: fc.Arbitrary<ManagerList> = record({
  org: word,
  rootVersion: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  epoch: count,
  term: count,
  version: count,
  aud: record({ group: fc.oneof(word, fc.constant('*')), site: word }),
  issuedAtMs: millisecond,
  validFor: fc.integer({ min: 1, max: 1_000_000 }),
  prev: maybe(hash),
  managers: fc.array(manager, { minLength: 1, maxLength: 16 }),
  client,
  rollout: maybe(record({ id: word, salt: word, pct: fc.nat(100) })),
  admission: maybe(
    record({
      id: word,
      ratePerServer: fc.integer({ min: 1, max: 100_000 }),
      startSlotAtMs: millisecond,
    }),
  ),
  balancers: maybe(
    fc.array(record({ address, port: fc.integer({ min: 1, max: 65_535 }) }), {
      minLength: 1,
      maxLength: 8,
    }),
  ),
}).map(present);

export const anyRoot: fc.Arbitrary<Root> = record({
  org: word,
  version: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  issuedAtMs: second,
  lifeMs: fc.integer({ min: 1, max: 100_000_000 }),
  names: fc.uniqueArray(fc.string({ maxLength: 8 }), { minLength: 1, maxLength: 6 }),
  epoch: count,
  staticDelivery: fc.boolean(),
  minClient: maybe(fc.constantFrom('0.1.0', '1.2.30')),
  publishers: fc.uniqueArray(record({ id: word, url, spki: fc.array(pin, { maxLength: 2 }) }), {
    selector: (one) => one.id,
    maxLength: 4,
  }),
  maxRemovedPct: fc.nat(100),
}).map(({ lifeMs, names, maxRemovedPct, ...same }) => {
  const keys = names.map(keyNamed);
  const role = { threshold: keys.length, kids: keys.map((key) => key.kid) };
  return present({
    ...same,
    expiresAtMs: same.issuedAtMs + lifeMs,
    keys: Object.fromEntries(keys.map((key) => [key.kid, key.publicKey])),
    roles: { root: role, list: { ...role, threshold: 1 }, rescue: role },
    constraints: { ...aRoot().constraints, maxRemovedPct },
  });
});

export const anyReceipt: fc.Arbitrary<Receipt> = record({
  nonce,
  list: hash,
  epoch: count,
  term: count,
  version: count,
  nowMs: millisecond,
  agent: maybe(hash),
}).map(present);

export const anyToken: fc.Arbitrary<JoinToken> = record({
  org: word,
  publishers: fc.array(url, { maxLength: 4 }),
  ca: maybe(pin),
  rootHash: hash,
  rootVersion: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  kids: fc.array(
    word.map((text) => keyNamed(text).kid),
    { minLength: 1, maxLength: 3 },
  ),
  threshold: fc.integer({ min: 1, max: 8 }),
  group: word,
  site: word,
  id: word,
  notBefore: maybe(fc.constantFrom('2026-11-01')),
}).map(present);
