import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '../../src/list/address.ts';
import { isCidr, isInside } from '../../src/list/cidr.ts';

const run = { seed: 20261121, numRuns: 1_000 };

for (const text of [
  '10.20.0.0/16',
  '10.20.0.1/32',
  '0.0.0.0/0',
  '2001:db8:20::/48',
  '::/0',
  '::1/128',
]) {
  test(`${text} is a network`, () => assert.equal(isCidr(text), true));
}

for (const text of [
  '10.20.0.1/16',
  '10.20.0.0',
  '10.20.0.0/33',
  '10.20.0.0/016',
  '10.20.0.0/-1',
  '10.20.0.0/16/8',
  '2001:db8:20::1/48',
  '::/129',
  'a.example/8',
  '/8',
  '',
]) {
  test(`${JSON.stringify(text)} is no network`, () => assert.equal(isCidr(text), false));
}

function inside(address: string, cidr: string): boolean {
  const parsed = parseAddress(address);
  assert.ok(parsed !== undefined, address);
  return isInside(parsed, cidr);
}

test('an address is inside by its leading bits only', () => {
  assert.equal(inside('10.20.255.255', '10.20.0.0/16'), true);
  assert.equal(inside('10.21.0.0', '10.20.0.0/16'), false);
  assert.equal(inside('10.20.15.255', '10.20.0.0/20'), true);
  assert.equal(inside('10.20.16.0', '10.20.0.0/20'), false);
  assert.equal(inside('2001:db8:20:ffff::1', '2001:db8:20::/48'), true);
  assert.equal(inside('2001:db8:21::', '2001:db8:20::/48'), false);
});

test('one family is never inside the other, nor a name inside any', () => {
  assert.equal(inside('10.20.0.1', '::/0'), false);
  assert.equal(inside('::1', '0.0.0.0/0'), false);
  assert.equal(inside('a.example', '0.0.0.0/0'), false);
});

test('IPv4 matching agrees with the one of Node', () => {
  const byte = fc.integer({ min: 0, max: 255 });
  const near = fc.tuple(fc.constantFrom(10, 11), fc.constantFrom(20, 21), byte, byte);
  fc.assert(
    fc.property(near, near, fc.integer({ min: 0, max: 32 }), (one, other, bits) => {
      const list = new BlockList();
      list.addSubnet(other.join('.'), bits, 'ipv4');
      const seen = inside(one.join('.'), `${other.join('.')}/${bits}`);
      assert.equal(seen, list.check(one.join('.'), 'ipv4'));
    }),
    run,
  );
});
