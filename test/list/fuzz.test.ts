/** Random damage: whatever arrives, the gate answers with a list or a ListError. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeBase64Url, encodeUtf8 } from '../../src/bytes.ts';
import { ListError } from '../../src/errors.ts';
import { signDocument } from '../../src/list/sign.ts';
import { verifyList } from '../../src/list/verify.ts';
import { listKeys, proofOf } from './documents.ts';

const seed = 20261121;
const [listKey] = listKeys;

test('any mutation of an envelope ends in the same list or in a ListError', async () => {
  const base = await proofOf();
  const { payload, signatures } = JSON.parse(Buffer.from(base.envelope).toString('utf8'));
  const slice = fc.record({
    at: fc.nat(base.envelope.length),
    cut: fc.nat(40),
    extra: fc.uint8Array({ maxLength: 40 }),
  });
  const raw = slice.map(({ at, cut, extra }) =>
    Buffer.concat([base.envelope.slice(0, at), extra, base.envelope.slice(at + cut)]),
  );
  const inner = slice.map(({ at, cut, extra }) => {
    const bytes = Buffer.from(decodeBase64Url(payload) ?? []);
    const changed = Buffer.concat([bytes.subarray(0, at), extra, bytes.subarray(at + cut)]);
    return signDocument('list', changed, [listKey]); // well signed: the parser alone decides
  });
  const shuffled = fc
    .array(fc.constantFrom(...signatures), { maxLength: 9 })
    .map((some) => encodeUtf8(JSON.stringify({ payload, signatures: some })));
  const mutation = fc.asyncProperty(fc.oneof(raw, inner, shuffled), async (envelope) => {
    const verdict = await verifyList({ ...base, envelope }).catch((thrown: unknown) => thrown);
    assert.ok(verdict instanceof ListError || Object(verdict).kind === 'new', String(verdict));
  });
  await fc.assert(mutation, { seed, numRuns: 2_000 });
});
