/** A SQLite file that is damaged: what can be made anew is, and nothing is thrown away. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { SqliteFile } from '../../src/host/sqlite-file.ts';

const migrations = ['CREATE TABLE notes (text TEXT NOT NULL) STRICT;'];
const maxBytes = 2 ** 28;

/** The path of a good file with some pages. */
function filled(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'pf-sqlite-'));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 9 }));
  const path = join(folder, 'a.db');
  const file = new SqliteFile({ path, migrations, maxBytes });
  for (let note = 0; note < 500; note++) {
    file.run('INSERT INTO notes (text) VALUES (?)', 'x'.repeat(500));
  }
  file.close();
  return path;
}

const damages: readonly (readonly [string, (path: string) => void])[] = [
  ['something else', (path) => writeFileSync(path, Buffer.alloc(8_192, 7))],
  ['a file cut short', (path) => truncateSync(path, 50_000)],
  [
    'pages of zeros',
    (path) => {
      const bytes = readFileSync(path);
      writeFileSync(path, bytes.fill(0, 8_192, 65_536));
    },
  ],
];

for (const [what, damage] of damages) {
  test(`${what} is set aside whole, and the file begins anew`, (t) => {
    const path = filled(t);
    damage(path);
    const { size } = statSync(path);
    const told: string[] = [];
    const renewed = (aside: string): void => void told.push(aside);

    const file = new SqliteFile({ path, migrations, maxBytes, renewed });
    t.after(() => file.close());

    assert.deepEqual(file.all('SELECT * FROM notes'), []);
    assert.deepEqual(told, [`${path}.damaged`]);
    assert.equal(statSync(`${path}.damaged`).size, size);
  });

  test(`${what} is an error where it cannot be made anew, and stays as it is`, (t) => {
    const path = filled(t);
    damage(path);
    const before = readFileSync(path);

    assert.throws(() => new SqliteFile({ path, migrations, maxBytes }), { code: 'E702' });
    assert.ok(readFileSync(path).equals(before));
  });
}

test('a file of a newer program is no damage', (t) => {
  const path = filled(t);
  new SqliteFile({ path, migrations: [...migrations, 'SELECT 1'], maxBytes }).close();
  const renewed = (): void => assert.fail('nothing is set aside');

  assert.throws(() => new SqliteFile({ path, migrations, maxBytes, renewed }), /newer program/);
});
