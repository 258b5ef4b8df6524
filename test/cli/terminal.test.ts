import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearestOf } from '../../src/cli/nearest.ts';
import { reportFailure } from '../../src/cli/run-command.ts';
import {
  paint,
  printable,
  printableLines,
  renderDuration,
  renderJson,
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
  assert.equal(printable('a\u061cb\u2028c'), 'a\\u061cb\\u2028c');
});

test('ends of lines and tabs of several lines stay as they are', () => {
  assert.equal(printableLines('\ta\r\nb\rc\u009b\n'), '\ta\r\nb\\u000dc\\u009b\n');
});

test('a hostile name is not obeyed in JSON either, and reads back as it was', () => {
  const value = { name: 'a\u001b[2J\u009b2J\u202eb\n', 'k\u0085': [1] };
  const text = renderJson(value, 2);
  assert.deepEqual(JSON.parse(text), value);
  assert.doesNotMatch(text, /(?!\n)[\p{Cc}\u202e]/u);
});

test('a bug whose text is hostile is told, not obeyed', () => {
  const told: string[] = [];
  const loud = { ...terminal(true, false), err: (text: string) => void told.push(text) };
  assert.equal(reportFailure(new SyntaxError('at \u001b]0;x\u0007'), false, loud), 1);
  assert.match(told.join(''), /^bug: SyntaxError: at \\u001b\]0;x\\u0007\n/);
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
