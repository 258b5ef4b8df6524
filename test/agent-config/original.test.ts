/** Uninstall: the original sections come back, everything else stays as it is now. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Dialect } from '../../src/agent-config/dialect.ts';
import { planEdit } from '../../src/agent-config/edit.ts';
import { extractClientSections, restoreClientSections } from '../../src/agent-config/original.ts';
import { readConfig } from '../../src/agent-config/servers.ts';
import { UneditableError } from '../../src/agent-config/uneditable.ts';
import { makeFile, makeWish } from './dialect-files.ts';

const block = (name: string, address: string, extra = ''): string =>
  `  <${name}>\n    <server>\n      <address>${address}</address>\n    </server>\n${extra}  </${name}>\n`;
const config = (...sections: readonly string[]): Buffer =>
  Buffer.from(`<ossec_config>\n${sections.join('')}</ossec_config>\n`);

function restored(original: Buffer, current: Buffer, dialect: Dialect): string {
  return restoreClientSections(
    current,
    extractClientSections(original, dialect),
    dialect,
  ).toString();
}

test('the original client returns, later changes elsewhere stay', () => {
  const original = config(block('client', 'old', '    <!-- mine -->\n'));
  const current = config(block('client', 'new'), '  <rootcheck/>\n');
  const expected = config(block('client', 'old', '    <!-- mine -->\n'), '  <rootcheck/>\n');
  assert.equal(restored(original, current, '4'), expected.toString());
});

test('a client that the edit emptied and removed returns behind the last one', () => {
  const original = config(block('client', 'a'), block('client', 'b'));
  const plan = planEdit(original, '4', {
    servers: [{ address: 'c', port: 1514, protocol: 'tcp' }],
  });
  assert.ok(plan.kind === 'changed');
  assert.equal(restored(original, plan.bytes, '4'), original.toString());
});

test('an agent block that the edit added is taken out again', () => {
  const original = config(block('client', 'a'));
  const plan = planEdit(original, '5', {
    servers: [{ address: 'c', port: 1517, protocol: 'tcp' }],
  });
  assert.ok(plan.kind === 'changed');
  assert.equal(restored(original, plan.bytes, '5'), original.toString());
});

test('a file that lost every connection section is not guessed at', () => {
  const original = extractClientSections(config(block('client', 'a')), '4');
  assert.throws(
    () => restoreClientSections(config('  <rootcheck/>\n'), original, '4'),
    UneditableError,
  );
  assert.throws(
    () => restoreClientSections(Buffer.from('<broken'), original, '4'),
    UneditableError,
  );
});

test('edit and restore load the original servers again', () => {
  const both = fc.gen().map((draw) => {
    const choose = (bound: number): number => draw(fc.nat, { max: bound - 1 });
    const dialect: Dialect = choose(2) === 0 ? '4' : '5';
    return { bytes: makeFile(choose, dialect).bytes, dialect, wish: makeWish(choose) };
  });
  let shown = 0;
  fc.assert(
    fc.property(both, ({ bytes, dialect, wish }) => {
      const before = readConfig(bytes, dialect);
      if (before.kind !== 'starts') return;
      try {
        const plan = planEdit(bytes, dialect, wish);
        if (plan.kind === 'unchanged') return;
        const back = restoreClientSections(
          plan.bytes,
          extractClientSections(bytes, dialect),
          dialect,
        );
        const after = readConfig(back, dialect);
        assert.ok(after.kind === 'starts');
        assert.deepEqual(after.servers.map(plainly), before.servers.map(plainly));
        shown += 1;
      } catch (thrown) {
        assert.ok(thrown instanceof UneditableError, String(thrown));
      }
    }),
    { seed: 31, numRuns: 300 },
  );
  assert.ok(shown > 50, `only ${shown} files were restored`);
});

function plainly({ address, port, protocol }: { address: string; port: number; protocol: string }) {
  return { address, port, protocol };
}
