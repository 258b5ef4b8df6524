/** The attack table is locked: no row and no named test may vanish unnoticed. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import table from '../cases/list/attacks.json' with { type: 'json' };

const repository = fileURLToPath(new URL('../..', import.meta.url));

const rows = [
  'Arbitrary installation',
  'XML injection',
  'Rollback',
  'Fast-forward',
  'Indefinite freeze',
  'Endless data',
  'Slow retrieval',
  'Mix-and-match',
  'Extraneous dependency',
  'Wrong software / type confusion',
  'Key compromise',
  'Duplicate-signature threshold bypass',
  'Weak key',
  'JSON differential',
  'Persist-before-check',
  'Torn client state',
];

test('every one of the sixteen attacks has a named test', () => {
  assert.deepEqual([...new Set(table.rows.map((one) => one.row))], rows);
  assert.ok(table.rows.length >= 16);
});

for (const { file, test: name } of table.rows) {
  test(`the table names a test that exists: ${name}`, () => {
    const source = readFileSync(`${repository}/${file}`, 'utf8');
    assert.ok(source.includes(`test('${name}'`), `${file} has no such test`);
  });
}
