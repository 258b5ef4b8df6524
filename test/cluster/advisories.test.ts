/** The list of advisory tests is locked: a merge cannot drop one silently. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const locked = JSON.parse(
  readFileSync(new URL('../cases/cluster/advisories.json', import.meta.url), 'utf8'),
) as { readonly tests: Readonly<Record<string, string>> };
const here = new URL('.', import.meta.url);
const sources = globSync('**/*.test.ts', { cwd: here })
  .filter((file) => file !== 'advisories.test.ts')
  .map((file) => readFileSync(new URL(file, here), 'utf8'))
  .join('\n');

/** What the list held when it was locked. Raise it when the list grows, never lower it. */
const fewestEntries = 73;

test('the list of advisories never shrinks', () => {
  assert.ok(Object.keys(locked.tests).length >= fewestEntries);
});

for (const [id, name] of Object.entries(locked.tests)) {
  test(`the test of ${id} exists and runs`, () => {
    assert.ok(name.startsWith(`${id}: `));
    const quoted = [`test('${name}'`, `test("${name}"`, `test(\n  '${name}'`];
    assert.ok(
      quoted.some((text) => sources.includes(text)),
      `no test is called: ${name}`,
    );
  });
}

/** Hazards of the stock design (cluster-protocol.md 9, real-cluster-lab.md 2); only ever more. */
const hazards = [
  'abandoned-upload',
  'bad-checksum',
  'before-hello',
  'broken-manifest',
  'duplicate name',
  'empty-map',
  'empty-token',
  'ghost',
  'hang',
  'killed-midway',
  'log-flood',
  'mass-deletion',
  'merged-name',
  'no-permission',
  'second-hello',
  'separator',
  'ten-connections',
  'unreadable',
  'worker-called-master',
];

for (const hazard of hazards) {
  test(`the test of the hazard ${hazard} exists and runs`, () => {
    assert.ok(sources.includes(`'hazard ${hazard}: `), `no test is called: hazard ${hazard}: …`);
  });
}
