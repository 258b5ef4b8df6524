import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeJournal, encodeJournal, judgeJournal } from '../../src/host/write-journal.ts';

const bytes = fc.uint8Array({ maxLength: 64 });

test('a journal survives only whole: any cut or flipped byte makes it void', () => {
  const whole = encodeJournal({ before: Buffer.from('before'), after: Buffer.from('after!') });
  assert.notEqual(decodeJournal(whole), undefined);
  for (let at = 0; at < whole.length; at += 1) {
    assert.equal(decodeJournal(whole.subarray(0, at)), undefined, `cut at ${at}`);
    const flipped = Uint8Array.from(whole);
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    assert.equal(decodeJournal(flipped), undefined, `flipped at ${at}`);
  }
});

test('any mix of old and new bytes is torn or whole, never foreign', () => {
  const property = fc.property(
    bytes,
    bytes,
    fc.infiniteStream(fc.boolean()),
    (before, after, coins) => {
      const length = Math.max(before.length, after.length);
      const mixed = Array.from({ length }, (_, at) => {
        const fresh = coins.next().value === true;
        return (fresh ? (after[at] ?? before[at]) : (before[at] ?? 0x0a)) ?? 0;
      });
      const verdict = judgeJournal(Uint8Array.from(mixed), { before, after });
      assert.notEqual(verdict, 'foreign');
    },
  );
  fc.assert(property, { seed: 20261121, numRuns: 300 });
});

test('one byte that is neither old nor new is foreign', () => {
  const journal = { before: Buffer.from('aaaa'), after: Buffer.from('bbbb') };
  assert.equal(judgeJournal(Buffer.from('abab'), journal), 'torn');
  assert.equal(judgeJournal(Buffer.from('abcb'), journal), 'foreign');
  assert.equal(judgeJournal(Buffer.from('aaaaaaaa'), journal), 'foreign');
});
