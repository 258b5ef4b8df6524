/** Agreement with the agent's own parser on recorded files; the whole record is a campaign. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { campaign, disagreement, parseRecord } from '../../scripts/campaigns/verdicts.ts';
import type { Dialect } from '../../src/agent-config/dialect.ts';
import { readConfig } from '../../src/agent-config/servers.ts';

const fixtures = new URL('../fixtures/agent-config/', import.meta.url);
const recorded: readonly { readonly dialect: Dialect; readonly least: number }[] = [
  { dialect: '4', least: 397 },
  { dialect: '5', least: 300 },
];

function fixture(dialect: Dialect): string {
  return fileURLToPath(new URL(`verdicts-${dialect}.jsonl.gz`, fixtures));
}

function linesOf(dialect: Dialect): readonly string[] {
  const text = gunzipSync(readFileSync(fixture(dialect))).toString('utf8');
  return text.split('\n').filter((line) => line !== '');
}

for (const { dialect, least } of recorded) {
  test(`every recorded ${dialect}.x file has the agent's verdict, servers and words`, () => {
    const records = linesOf(dialect).map(parseRecord);
    const differences = records.flatMap((record) => {
      const reading = readConfig(record.file, dialect);
      const difference = disagreement(record, reading, dialect);
      const said = reading.kind === 'refused' ? reading.problem.said : undefined;
      const words = said?.replace("'ossec.conf'", "'FILE'");
      if (difference !== undefined) return [`${record.id}: ${difference}`];
      return words === record.error
        ? []
        : [`${record.id}: we say ${words}, it said ${record.error}`];
    });
    assert.deepEqual(differences, []);
    assert.ok(records.length >= least, `only ${records.length} records left`);
  });

  test(`every recorded ${dialect}.x file that can be edited loads the wanted list afterwards`, async () => {
    const lines: string[] = [];
    const code = await campaign.run([fixture(dialect), '--dialect', dialect], (line) => {
      lines.push(line);
    });
    assert.equal(code, 0, lines.join('\n'));
  });
}

test('the campaign fails on a verdict we do not share', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pilotfish-verdicts-'));
  const path = join(folder, 'turned.jsonl');
  const [first = ''] = linesOf('4');
  writeFileSync(path, `${first.replace('"verdict": "starts"', '"verdict": "refused"')}\n`);
  const lines: string[] = [];
  const code = await campaign.run([path], (line) => lines.push(line));
  rmSync(folder, { recursive: true, maxRetries: 9 });
  assert.equal(code, 1);
  assert.ok(lines.includes('disagreement: basic: agent: refused, we: starts'), lines.join('\n'));
});

test('the campaign fails on an empty file and refuses an unknown dialect', async () => {
  const ignore = (): void => undefined;
  const folder = mkdtempSync(join(tmpdir(), 'pilotfish-verdicts-'));
  const path = join(folder, 'empty.jsonl');
  writeFileSync(path, '');
  const empty = await campaign.run([path], ignore);
  const unknown = await campaign.run([path, '--dialect', '3'], ignore);
  rmSync(folder, { recursive: true, maxRetries: 9 });
  assert.deepEqual([empty, unknown], [1, 2]);
});
