/** Addresses as the agent stores them, and the ones we are willing to write. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ipKindOf,
  isLiteral,
  isWritable,
  normalAddress,
  storedAddress,
} from '../../src/agent-config/address.ts';

const stored: readonly (readonly [string, string | undefined])[] = [
  ['10.0.0.1', '10.0.0.1'],
  ['10.0.0.1\n', '10.0.0.1\n'],
  ['10.0.0.1/32', undefined],
  ['10.0.0.1/32\n', undefined],
  ['https://wm-1', undefined],
  ['any', 'any'],
  ['!10.0.0.1', '!10.0.0.1'],
  ['', ''],
  ['2001:db8::1', '2001:0DB8:0000:0000:0000:0000:0000:0001'],
  ['::', '0000:0000:0000:0000:0000:0000:0000:0000'],
  ['::ffff:10.0.0.1', '0000:0000:0000:0000:0000:FFFF:0A00:0001'],
  ['1:2:3:4:5:6:7:8', '0001:0002:0003:0004:0005:0006:0007:0008'],
  ['1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8:9'],
  ['1::2::3', '1::2::3'],
  ['fe80::1%eth0', 'fe80::1%eth0'],
  ['wm-1.example.org:1514', 'wm-1.example.org:1514'],
  [`${'h'.repeat(130)}`, 'h'.repeat(126)],
];

for (const [given, expected] of stored) {
  test(`the agent stores ${JSON.stringify(given.slice(0, 30))} as ${expected?.slice(0, 40)}`, () => {
    assert.equal(storedAddress(given), expected);
  });
}

test('server-ip takes single literals only, with the newline the pattern lets stand', () => {
  const kinds = ['10.0.0.1', '10.0.0.1\n', '::1', '10.0.0.0/8', '::1/64', 'any', '010.0.0.1', 'x'];
  assert.deepEqual(kinds.map(ipKindOf), [
    'address',
    'address',
    'address',
    'network',
    'network',
    'network',
    'none',
    'none',
  ]);
});

test('only plain names and literals are written', () => {
  const written = ['10.0.0.1', 'wm-1.example.org', 'manager_1', '2001:db8::1', 'a'.repeat(126)];
  const refused = [
    '',
    '0.0.0.0',
    'MANAGER_IP',
    'any',
    '010.0.0.1',
    '300.1.1.1',
    '1.2.3',
    '[::1]',
    'wm-1:1514',
    'a b',
    'a/b',
    'a&b',
    'caf\u00e9',
    'a'.repeat(127),
    '10.0.0.1\n',
    'fe80::1%eth0',
    '!10.0.0.1',
  ];
  assert.deepEqual(
    written.filter((address) => !isWritable(address)),
    [],
  );
  assert.deepEqual(refused.filter(isWritable), []);
});

test('two spellings of one address are equal, a name and a literal are told apart', () => {
  assert.equal(normalAddress('2001:DB8::1'), normalAddress('2001:db8:0:0::1'));
  assert.equal(normalAddress('WM-1.Example.org'), normalAddress('wm-1.example.org'));
  assert.deepEqual(['10.0.0.1', '::1', 'wm-1', '1.2.3'].map(isLiteral), [true, true, false, false]);
});
