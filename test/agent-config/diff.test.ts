/** The diff shown to people, and the plumbing of edits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { applyEdits, onlyDiffersIn } from '../../src/agent-config/bytes-edit.ts';
import { diffLines } from '../../src/agent-config/diff.ts';

function diff(before: string, after: string): string {
  return diffLines(Buffer.from(before), Buffer.from(after));
}

test('equal files have no diff', () => {
  assert.equal(diff('a\nb\n', 'a\nb\n'), '');
  assert.equal(diff('', ''), '');
});

test('a changed line shows with three lines around it', () => {
  const lines = ['1', '2', '3', '4', '5', '6', '7', '8', '9'];
  const text = `${lines.join('\n')}\n`;
  assert.equal(
    diff(text, text.replace('5', 'five')),
    '@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n',
  );
});

test('a changed end of line and a missing last one show', () => {
  assert.equal(
    diff('a\r\nb', 'a\nb'),
    '@@ -1,2 +1,2 @@\n-a\r\n+a\n b\n\\ No newline at end of file\n',
  );
});

test('the diff leads from one file to the other', () => {
  const line = fc.constantFrom('a\n', 'b\n', 'c\n', '  <server>\n', '\n');
  const file = fc.array(line, { maxLength: 40 }).map((lines) => lines.join(''));
  fc.assert(
    fc.property(file, file, (before, after) => {
      assert.equal(patched(before, diff(before, after)), after);
    }),
    { seed: 5, numRuns: 300 },
  );
});

/** What `patch` does with complete lines. Fails when context or removed lines do not fit. */
function patched(before: string, hunks: string): string {
  const source = before.split(/(?<=\n)/).filter((line) => line !== '');
  const result: string[] = [];
  let at = 0;
  for (const line of hunks.split(/(?<=\n)/).filter((part) => part !== '')) {
    const start = /^@@ -(\d+),/.exec(line)?.[1];
    if (start !== undefined) {
      while (at < Number(start) - 1) result.push(source[at++] ?? '');
    } else {
      if (!line.startsWith('+')) assert.equal(source[at++], line.slice(1));
      if (!line.startsWith('-')) result.push(line.slice(1));
    }
  }
  return [...result, ...source.slice(at)].join('');
}

test('edits that overlap or leave the file are refused', () => {
  const bytes = Buffer.from('0123456789');
  const edit = (start: number, end: number) => ({ start, end, text: Buffer.from('x') });
  assert.equal(applyEdits(bytes, [edit(1, 1), edit(1, 3), edit(9, 10)]).toString(), '0xx345678x');
  assert.throws(() => applyEdits(bytes, [edit(1, 4), edit(3, 5)]), RangeError);
  assert.throws(() => applyEdits(bytes, [edit(9, 11)]), RangeError);
});

test('a byte that changed outside the edits is noticed', () => {
  const edits = [{ start: 2, end: 4, text: Buffer.from('xyz') }];
  const before = Buffer.from('0123456789');
  assert.ok(onlyDiffersIn(before, Buffer.from('01xyz456789'), edits));
  assert.ok(!onlyDiffersIn(before, Buffer.from('01xyz456_89'), edits));
  assert.ok(!onlyDiffersIn(before, Buffer.from('01xyz4567890'), edits));
});
