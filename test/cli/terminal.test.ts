import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearestOf } from '../../src/cli/nearest.ts';
import {
  paint,
  printable,
  renderDuration,
  renderTable,
  type Terminal,
} from '../../src/cli/terminal.ts';

const terminal = (isTty: boolean, noColor: boolean): Terminal => ({
  out: () => undefined,
  err: () => undefined,
  isTty,
  noColor,
  columns: 80,
});

test('a table aligns words left and numbers right', () => {
  assert.equal(
    renderTable(
      ['name', 'n'],
      [
        ['a', 7],
        ['long', 12],
      ],
    ),
    'name   n\na      7\nlong  12\n',
  );
});

test('control and bidirectional characters of a hostile name are shown, not obeyed', () => {
  assert.equal(printable('a\u001b[2J\u202eb\n'), 'a\\u001b[2J\\u202eb\\u000a');
});

test('colour only on a terminal and only without NO_COLOR', () => {
  assert.equal(paint(terminal(true, false), 'red', 'x'), '\u001b[31mx\u001b[0m');
  assert.equal(paint(terminal(true, true), 'red', 'x'), 'x');
  assert.equal(paint(terminal(false, false), 'red', 'x'), 'x');
});

test('durations read as people say them', () => {
  assert.deepEqual([800, 65_000, 7_200_000, 200_000_000].map(renderDuration), [
    '0.8 s',
    '65 s',
    '2 h 0 min',
    '2 d 7 h',
  ]);
});

test('the nearest known word is offered, a far one is not', () => {
  assert.equal(nearestOf('statsu', ['status', 'list']), 'status');
  assert.equal(nearestOf('frobnicate', ['status', 'list']), undefined);
});
