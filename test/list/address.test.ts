import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '../../src/list/address.ts';
import cases from '../cases/list/addresses.json' with { type: 'json' };

const run = { seed: 20261121, numRuns: 1_000 };

for (const text of cases.names) {
  test(`${text} is a host name`, () => assert.equal(parseAddress(text)?.kind, 'name'));
}

for (const text of cases.numbers) {
  test(`${text} is a canonical address`, () => {
    assert.equal(parseAddress(text)?.kind, text.includes(':') ? 'ipv6' : 'ipv4');
  });
}

for (const text of cases.refused) {
  test(`${JSON.stringify(text)} is no address`, () => assert.equal(parseAddress(text), undefined));
}

test('a label holds at most 63 and a name at most 126 characters', () => {
  const label = 'a'.repeat(63);
  assert.equal(parseAddress(label)?.kind, 'name');
  assert.equal(parseAddress(`${label}a`), undefined);
  assert.equal(parseAddress(`${label}.${'b'.repeat(62)}`)?.kind, 'name');
  assert.equal(parseAddress(`${label}.${'b'.repeat(63)}`), undefined);
});

test('of all spellings of an IPv6 address exactly the RFC 5952 one passes', () => {
  const group = fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const long = groups.map((one) => one.toString(16)).join(':');
      const canonical = new URL(`http://[${long}]/`).hostname.slice(1, -1);
      const isMapped = /^::ffff:[0-9a-f]+:[0-9a-f]+$/.test(canonical);
      assert.equal(parseAddress(canonical)?.kind, isMapped ? undefined : 'ipv6');
      if (long !== canonical) assert.equal(parseAddress(long), undefined);
    }),
    run,
  );
});

test('whatever passes is free of every character that XML, a shell or a URL could mistake', () => {
  const near = fc.constantFrom(...cases.names, ...cases.numbers);
  const dirt = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 3 }),
    fc.constantFrom('<', '>', '&', '"', '\n', '\0'),
  );
  const mutated = fc.tuple(near, dirt, fc.nat(30)).map(([text, extra, place]) => {
    const at = Math.min(place, text.length);
    return text.slice(0, at) + extra + text.slice(at);
  });
  fc.assert(
    fc.property(fc.oneof(mutated, fc.string({ maxLength: 40 })), (text) => {
      if (parseAddress(text) !== undefined) assert.match(text, /^[A-Za-z0-9.:-]+$/);
    }),
    { ...run, numRuns: 5_000 },
  );
});
