import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  compareMarks,
  type Holding,
  isContested,
  judgeHolder,
  judgeSplit,
  parseArpTable,
} from '../../src/health/holder.ts';

const nowMs = 1_000_000;
const after = (before: Holding | undefined, server: string, atMs: number, goneMs = 0) =>
  judgeHolder(before, { marks: { server }, goneMs }, atMs);

test('the signed key of a publisher counts more than one that nobody vouches for', () => {
  assert.equal(
    compareMarks({ publisher: 'p', server: 'x' }, { publisher: 'p', server: 'y' }),
    'same',
  );
  assert.equal(
    compareMarks({ publisher: 'p', server: 'x' }, { publisher: 'q', server: 'x' }),
    'other',
  );
  assert.equal(compareMarks({ publisher: 'p', server: 'x' }, { server: 'x' }), 'same');
  assert.equal(compareMarks({ publisher: 'p' }, { server: 'x' }), 'unknown');
});

test('the first node seen is no move, another one is, nothing seen changes nothing', () => {
  const first = after(undefined, 'a', nowMs);
  assert.deepEqual(first, { marks: { server: 'a' }, changes: [] });
  assert.equal(judgeHolder(first, { marks: {}, goneMs: 0 }, nowMs), first);
  const moved = after(first, 'b', nowMs + 5_000, 4_000);
  assert.equal(moved?.movedAtMs, nowMs + 5_000);
  assert.equal(moved?.goneMs, 4_000);
  assert.equal(after(moved, 'b', nowMs + 9_000)?.movedAtMs, nowMs + 5_000);
});

test('what a node shows later is added to what it showed', () => {
  const first = after(undefined, 'a', nowMs);
  const known = judgeHolder(first, { marks: { publisher: 'p', server: 'a' }, goneMs: 0 }, nowMs);
  assert.deepEqual(known?.marks, { publisher: 'p', server: 'a' });
  assert.equal(known?.movedAtMs, undefined);
});

test('an address that goes to and fro, or shows two nodes at once, is contested for two minutes', () => {
  let holding = after(undefined, 'a', nowMs);
  for (const [index, node] of ['b', 'a', 'b'].entries()) {
    holding = after(holding, node, nowMs + index * 10_000);
  }
  assert.ok(holding !== undefined && isContested(holding, nowMs + 30_000));
  assert.ok(!isContested(holding, nowMs + 200_000));
  const split = judgeSplit({ marks: {}, changes: [] }, nowMs);
  assert.ok(isContested(split, nowMs + 1));
  assert.ok(!isContested(split, nowMs + 130_000));
});

test('the neighbour table: complete entries only', () => {
  const text = `IP address       HW type     Flags       HW address            Mask     Device
10.0.0.9         0x1         0x2         02:42:0A:00:00:0b     *        eth0
10.0.0.8         0x1         0x0         00:00:00:00:00:00     *        eth0
nonsense
`;
  assert.deepEqual([...parseArpTable(text)], [['10.0.0.9', '02:42:0a:00:00:0b']]);
  assert.equal(parseArpTable('').size, 0);
});
