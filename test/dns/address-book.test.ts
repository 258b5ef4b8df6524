import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AddressBook } from '../../src/dns/address-book.ts';

test('an answer that shares nothing with the last one is a change: the old addresses are gone', () => {
  const book = new AddressBook();
  book.note('wm', ['192.0.2.1']);
  assert.deepEqual(book.note('wm', ['192.0.2.9']), ['192.0.2.9']);
});

test('a part of a turning set moves nobody: what is missing counts for two answers more', () => {
  const book = new AddressBook();
  book.note('wm', ['192.0.2.1', '192.0.2.2']);
  assert.deepEqual(book.note('wm', ['192.0.2.2', '192.0.2.3']), [
    '192.0.2.2',
    '192.0.2.3',
    '192.0.2.1',
  ]);
  assert.ok(book.note('wm', ['192.0.2.3', '192.0.2.2']).includes('192.0.2.1'));
  assert.ok(!book.note('wm', ['192.0.2.2', '192.0.2.4']).includes('192.0.2.1'));
});

test('reading the same answer again is no new miss', () => {
  const book = new AddressBook();
  book.note('wm', ['192.0.2.1', '192.0.2.2']);
  for (let times = 0; times < 10; times += 1) {
    assert.deepEqual(book.note('wm', ['192.0.2.2']), ['192.0.2.2', '192.0.2.1']);
  }
});

test('names are independent', () => {
  const book = new AddressBook();
  book.note('a', ['192.0.2.1']);
  assert.deepEqual(book.note('b', ['192.0.2.2']), ['192.0.2.2']);
});
