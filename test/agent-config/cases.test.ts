/** The case table of agent-side.md 8.2: every number, input, dialect and outcome is data. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { editedSpans, onlyDiffersIn } from '../../src/agent-config/bytes-edit.ts';
import type { Dialect } from '../../src/agent-config/dialect.ts';
import { type EditPlan, type EditWish, planEdit } from '../../src/agent-config/edit.ts';
import { readConfig } from '../../src/agent-config/servers.ts';
import { UneditableError } from '../../src/agent-config/uneditable.ts';
import { PilotfishError } from '../../src/errors.ts';

interface TextCase {
  readonly number: number;
  readonly title: string;
  readonly kind: 'text';
  readonly dialect: Dialect;
  /** `{{repeat:N:text}}` stands for N times text. */
  readonly input: string;
  readonly encoding?: 'latin1' | 'utf16le';
  /** What the agent reads: the first four servers, or `refused`. */
  readonly reads: 'refused' | readonly string[];
  readonly wish: EditWish;
  readonly expect: Expectation;
}

type Expectation =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'edited'; readonly output: string }
  | {
      readonly kind: 'edited';
      readonly edits: readonly {
        readonly start: number;
        readonly end: number;
        readonly text: string;
      }[];
    }
  | {
      readonly kind: 'refused';
      readonly reason: string;
      readonly said: string;
      readonly line?: number;
      readonly rule?: number;
    };

interface OtherCase {
  readonly number: number;
  readonly title: string;
  readonly kind: 'file-system' | 'time';
  readonly dialects: readonly Dialect[];
  /** Folder whose tests carry `case NUMBER` in their name. */
  readonly shownBy: string;
}

type Case = TextCase | OtherCase;

const CASES = 94;
const root = new URL('../../', import.meta.url);
const caseFolder = new URL('test/cases/agent-config/', root);

const cases: readonly Case[] = readdirSync(caseFolder)
  .filter((name) => name.endsWith('.json'))
  .flatMap((name) => JSON.parse(readFileSync(new URL(name, caseFolder), 'utf8')));

const textCases = cases.filter((row) => row.kind === 'text');
const otherCases = cases.filter((row) => row.kind !== 'text');

/** Numbers that speak of one dialect only. */
const onlyFour = new Set([6, 56, 90]);
const onlyFive = new Set([82, 83, 84, 85, 86, 87, 88, 89, 91]);

for (const [index, row] of textCases.entries()) {
  test(`case ${row.number} (${row.dialect}.x, row ${index}): ${row.title}`, () => {
    const bytes = bytesOf(row);
    assert.deepEqual(readingOf(bytes, row.dialect), row.reads);
    if (row.expect.kind === 'refused') assertRefused(row, bytes, row.expect);
    else assertPlanned(row, bytes, row.expect);
  });
}

test('the case table names every number from 1 to 94 and cannot shrink', () => {
  const numbers = new Set(cases.map(({ number }) => number));
  assert.deepEqual(
    [...numbers].toSorted((left, right) => left - right),
    Array.from({ length: CASES }, (_, index) => index + 1),
  );
  assert.ok(textCases.length >= 248, `only ${textCases.length} rows left`);
});

test('every case of text is shown in each dialect it applies to', () => {
  const missing = textCases.flatMap(({ number }) =>
    (['4', '5'] as const)
      .filter((dialect) => !(dialect === '4' ? onlyFive : onlyFour).has(number))
      .filter(
        (dialect) => !textCases.some((row) => row.number === number && row.dialect === dialect),
      )
      .map((dialect) => `${number} in ${dialect}.x`),
  );
  assert.deepEqual(missing, []);
});

test('every case of file system or time is shown by a test that carries its number', () => {
  const missing = otherCases.filter(({ number, shownBy }) => {
    const folder = fileURLToPath(new URL(shownBy, root));
    const tests = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => readFileSync(`${folder}/${name}`, 'utf8'));
    return !tests.some((source) => new RegExp(`\\bcase ${number}\\b`).test(source));
  });
  assert.deepEqual(
    missing.map(({ number, shownBy }) => `${number}: ${shownBy}`),
    [],
  );
});

function bytesOf(row: TextCase): Buffer {
  return Buffer.from(expand(row.input), row.encoding ?? 'utf8');
}

function expand(text: string): string {
  return text.replace(/\{\{repeat:(\d+):([^}]*)\}\}/g, (_, count, part) =>
    part.repeat(Number(count)),
  );
}

function readingOf(bytes: Uint8Array, dialect: Dialect): 'refused' | readonly string[] {
  const reading = readConfig(bytes, dialect);
  if (reading.kind === 'refused') return 'refused';
  return reading.servers
    .slice(0, 4)
    .map(({ address, port, protocol }) => `${address} ${port} ${protocol}`);
}

function assertRefused(
  row: TextCase,
  bytes: Uint8Array,
  expected: Extract<Expectation, { readonly kind: 'refused' }>,
): void {
  assert.throws(
    () => planEdit(bytes, row.dialect, row.wish),
    (thrown) => {
      assert.ok(thrown instanceof PilotfishError);
      assert.equal(thrown.reason, expected.reason);
      assert.ok(thrown.message.includes(expected.said), thrown.message);
      const problem = thrown instanceof UneditableError ? thrown.problem : undefined;
      assert.equal(problem?.line, expected.line);
      assert.equal(problem?.ruleNumber, expected.rule);
      assert.notEqual(problem?.fix, '');
      return true;
    },
  );
}

function assertPlanned(
  row: TextCase,
  bytes: Buffer,
  expected: Exclude<Expectation, { readonly kind: 'refused' }>,
): void {
  const plan = planEdit(bytes, row.dialect, row.wish);
  assert.equal(plan.kind, expected.kind === 'unchanged' ? 'unchanged' : 'changed');
  if (plan.kind === 'unchanged' || expected.kind === 'unchanged') return;
  if ('output' in expected) {
    assert.equal(plan.bytes.toString(row.encoding ?? 'utf8'), expected.output);
  } else {
    assert.deepEqual(editsOf(plan), expected.edits);
  }
  assert.ok(onlyDiffersIn(bytes, plan.bytes, plan.edits));
  assert.equal(planEdit(plan.bytes, row.dialect, row.wish).kind, 'unchanged');
  // Case 77: we write no comment, so no marker of ours can end one early.
  const written = editedSpans(plan.edits).map(({ start, end }) => plan.bytes.subarray(start, end));
  const comments = written.filter((text) => text.includes('<!') && !bytes.includes(text));
  assert.deepEqual(comments, []);
}

function editsOf(plan: Extract<EditPlan, { readonly kind: 'changed' }>): unknown {
  return plan.edits.map(({ start, end, text }) => {
    return { start, end, text: Buffer.from(text).toString('latin1') };
  });
}
