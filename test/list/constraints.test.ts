import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../../src/list/address.ts';
import { allowExactly, isHostAllowed } from '../../src/list/constraints.ts';
import { aRoot } from './documents.ts';

const given = ['wm-01.acme.example', '10.0.0.1', '2001:db8::1', '10.0.0.1'];
const constraints = { ...aRoot().constraints, ...allowExactly(given) };

function isAllowed(text: string): boolean {
  const address = parseAddress(text);
  assert.ok(address !== undefined, text);
  return isHostAllowed(address, text, constraints);
}

test('names become hosts and numbers become networks of one address', () => {
  const { hosts, cidrs } = constraints;
  assert.deepEqual(hosts, ['wm-01.acme.example']);
  assert.deepEqual(cidrs, ['10.0.0.1/32', '2001:db8::1/128']);
});

test('exactly the given addresses are allowed', () => {
  for (const text of [...given, 'WM-01.acme.example']) assert.equal(isAllowed(text), true, text);
  for (const text of ['wm-02.acme.example', 'a.wm-01.acme.example', '10.0.0.2', '2001:db8::2']) {
    assert.equal(isAllowed(text), false, text);
  }
});

test('a wildcard stands for one label or more, never for none', () => {
  const wide = { ...constraints, hosts: ['*.acme.example'] };
  const isUnder = (text: string): boolean =>
    isHostAllowed({ kind: 'name', labels: text.split('.') }, text, wide);
  assert.equal(isUnder('a.acme.example'), true);
  assert.equal(isUnder('a.b.acme.example'), true);
  assert.equal(isUnder('acme.example'), false);
  assert.equal(isUnder('xacme.example'), false);
});
