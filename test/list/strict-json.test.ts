import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeUtf8 } from '../../src/bytes.ts';
import { ListError } from '../../src/errors.ts';
import { parseStrictJson } from '../../src/list/strict-json.ts';
import cases from '../cases/list/strict-json.json' with { type: 'json' };
import { refusedAs } from './documents.ts';

const rules = { what: 'list', reason: 'list_invalid' } as const;
const run = { seed: 20261121, numRuns: 400 };

for (const { text } of cases.accepted) {
  test(`reads ${text.trim()} as JSON.parse does`, () => {
    const seen = parseStrictJson(encodeUtf8(text), rules);
    assert.equal(JSON.stringify(seen), JSON.stringify(JSON.parse(text)));
  });
}

for (const { why, text, hex, reason } of cases.refused) {
  test(`refuses ${why}`, () => {
    const bytes = hex === undefined ? encodeUtf8(text) : Buffer.from(hex, 'hex');
    assert.throws(() => parseStrictJson(bytes, rules), { reason });
  });
}

for (const text of ['1.5', '1e3', '[2E1]', '12345678901234567']) {
  test(`says of ${text} that numbers are integers`, () => {
    assert.throws(() => parseStrictJson(encodeUtf8(text), rules), /numbers are integers/);
  });
}

test('a member named __proto__ is data and changes no prototype', () => {
  const seen = parseStrictJson(encodeUtf8('{"__proto__":{"min":0}}'), rules);
  assert.equal(Reflect.get(Object(seen), 'min'), undefined);
  assert.deepEqual(Object.keys(Object(seen)), ['__proto__']);
});

test('size is judged before anything is read', () => {
  const bytes = Buffer.alloc(65 * 1024, 0xff); // not even UTF-8
  assert.throws(() => parseStrictJson(bytes, rules), refusedAs('too_big'));
});

test('strings end at 256 characters unless the rules say otherwise', () => {
  const bytes = encodeUtf8(`"${'a'.repeat(257)}"`);
  assert.throws(() => parseStrictJson(bytes, rules), refusedAs('list_invalid'));
  assert.equal(parseStrictJson(bytes, { ...rules, maxStringLength: 257 }), 'a'.repeat(257));
});

test('member names end at 256 characters whatever the rules say', () => {
  const bytes = encodeUtf8(`{"${'a'.repeat(257)}":1}`);
  const wide = { ...rules, maxStringLength: 1_000 };
  assert.throws(() => parseStrictJson(bytes, wide), refusedAs('list_invalid'));
});

test('what JSON.stringify writes of plain values is read back the same', () => {
  const text = fc.string({ unit: 'grapheme-ascii', maxLength: 20 });
  const leaf = fc.oneof(fc.maxSafeInteger(), fc.boolean(), fc.constant(null), text);
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      leaf,
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(text, tie('tree'), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(tree, (value) => {
      const written = JSON.stringify(value).replaceAll('-0', '0');
      const seen = parseStrictJson(encodeUtf8(written), rules);
      assert.equal(JSON.stringify(seen), written);
    }),
    run,
  );
});

test('any bytes give a value or a ListError', () => {
  const pieces = fc.constantFrom('{', '}', '[', ']', '"', ':', ',', '\\', '\\u', '1', '-', 'true');
  const soup = fc.array(fc.oneof(pieces, fc.string({ maxLength: 3 })), { maxLength: 40 });
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    soup.map((parts) => encodeUtf8(parts.join(''))),
  );
  fc.assert(
    fc.property(bytes, (input) => {
      try {
        parseStrictJson(input, rules);
      } catch (thrown) {
        assert.ok(thrown instanceof ListError, String(thrown));
      }
    }),
    { ...run, numRuns: 3_000 },
  );
});

test('the largest hostile inputs cost what their length costs', () => {
  const members = Array.from({ length: 6_000 }, (_, index) => `"${index}":0`).join(',');
  const hostile = [
    `{${members}}`,
    '"\\u0061"'.repeat(8_000),
    '['.repeat(60_000),
    `"${'\\\\'.repeat(32_000)}"`,
  ];
  const startedAtMs = performance.now();
  for (const text of hostile) {
    try {
      parseStrictJson(encodeUtf8(text), { ...rules, maxStringLength: 65_536 });
    } catch (thrown) {
      assert.ok(thrown instanceof ListError, String(thrown));
    }
  }
  const tookMs = performance.now() - startedAtMs;
  assert.ok(tookMs < 20_000, `${tookMs} ms`); // quadratic reading would take minutes
});
