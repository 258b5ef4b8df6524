/** Who gets a place where there are no more: nodes before strangers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionCounts, type Seat } from '../../../src/cluster/master/connection-counts.ts';

const ended: string[] = [];
const seat = (name: string, address: string): Seat => ({
  address,
  end: () => void ended.push(name),
});
const counts = () => {
  ended.length = 0;
  return new ConnectionCounts({ maxConnectionsPerAddress: 2, maxConnections: 4 });
};

test('where an address is full its oldest stranger makes room, and nobody else', () => {
  const places = counts();
  const [a1, a2, a3, b1] = [seat('a1', 'a'), seat('a2', 'a'), seat('a3', 'a'), seat('b1', 'b')];
  for (const one of [b1, a1, a2, a3]) assert.ok(places.enter(one));
  assert.deepEqual([ended, places.of('a'), places.of('b')], [['a1'], 2, 1]);
  places.leave(a1); // its link ends when it ends
  assert.equal(places.of('a'), 2);
});

test('where all places are taken the oldest stranger of all makes room', () => {
  const places = counts();
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) assert.ok(places.enter(seat(name, name)));
  assert.deepEqual(ended, ['a', 'b']);
  assert.deepEqual(
    ['a', 'b', 'c', 'f'].map((address) => places.of(address)),
    [0, 0, 1, 1],
  );
});

test('a node makes room for nobody: the newcomer is refused, and nothing is counted', () => {
  const places = counts();
  const nodes = ['a', 'a', 'b', 'b'].map((address) => seat('node', address));
  for (const node of nodes) {
    assert.ok(places.enter(node));
    places.known(node);
  }
  assert.equal(places.enter(seat('new', 'a')), false);
  assert.equal(places.enter(seat('new', 'c')), false);
  assert.deepEqual([ended, places.of('a'), places.of('c')], [[], 2, 0]);
  for (const node of nodes) places.leave(node);
  for (const name of ['a', 'a', 'b', 'b']) assert.ok(places.enter(seat(name, name)));
  assert.deepEqual(ended, []);
});
