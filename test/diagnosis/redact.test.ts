/** Nothing secret leaves: by value in every spelling, by shape, and the last look refuses. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeBundle } from '../../src/diagnosis/bundle.ts';
import { buildRedactor, mark } from '../../src/diagnosis/redact.ts';

const secret = 'c4n4ry/+s3cr3t"value';

test('a known secret is taken out in every usual spelling', () => {
  const bytes = Buffer.from(secret);
  const spelled = [
    secret,
    JSON.stringify({ note: secret }),
    encodeURIComponent(secret),
    bytes.toString('hex'),
    bytes.toString('base64'),
    bytes.toString('base64url'),
  ];
  const redactor = buildRedactor([secret]);
  const out = redactor.text(spelled.join('\n'));
  assert.ok(redactor.isClean(Buffer.from(out)));
  for (const one of spelled.slice(2)) assert.ok(!out.includes(one), one);
});

test('secrets nobody named are known by their shape', () => {
  const { privateKey } = generateKeyPairSync('ed25519');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const jwk = privateKey.export({ format: 'jwk' });
  const samples: readonly (readonly [string, string])[] = [
    [pem, pem.split('\n')[1] ?? ''],
    [JSON.stringify(jwk), jwk.d ?? '-'],
    [JSON.stringify(JSON.stringify(jwk)), jwk.d ?? '-'],
    ['joinToken: pfj1.eyJhIjoxfQ', 'eyJhIjoxfQ'],
    ['said pft1.abcdefghijkl.mnopqrst and left', 'abcdefghijkl'],
    [`001 web-1 any ${'ab12'.repeat(16)}`, 'ab12ab12'],
    ['  password: hunter2-hunter2', 'hunter2'],
    ['node: {name: n1, key: 0123456789abcdef, port: 1}', '0123456789abcdef'],
    ['<key>9d273b53510fef702b54a92e9cffc82e</key>', '9d273b53'],
    ['{"api_key": "sk-123456"}', 'sk-123456'],
    ['Authorization: Bearer abc.def', 'abc.def'],
    ['http://user:pa55word@proxy:8080/', 'pa55word'],
  ];
  const { text } = buildRedactor([]);
  for (const [given, mustGo] of samples) {
    assert.ok(!text(given).includes(mustGo), `${given} -> ${text(given)}`);
  }
});

test('a name is found in any longer name, and a value behind any space', () => {
  const { text } = buildRedactor([]);
  for (const given of [
    `{"${'long.'.repeat(40)}db-password": "hunter2"}`,
    `{"cluster.token_of_node-1":   "hunter2"}`,
    `db.password=${' '.repeat(40)}hunter2`,
    '<wpk.password>hunter2</wpk.password>',
    '\n\n  001 web-1 any hunter2hunter2hunter2',
    'password: "two words, hunter2"',
    "password: 'it''s hunter2'",
    'curl --api-token hunter2 --silent',
    "stop: [[tool, '--db-password', 'hunter2', --quiet]]",
    '["--password", "hunter2"]',
    '{"Authorization":"Bearer hunter2"}',
    "http://user:it's-hunter2@proxy:8080/",
    'private_key=hunter2',
  ]) {
    assert.ok(!text(given).includes('hunter2'), `${given} -> ${text(given)}`);
  }
});

test('secrets that overlap leave nothing of either, in a text or as bytes', () => {
  const redactor = buildRedactor(['abcdefgh-1234', '1234-ijklmnop', 'abcdefgh', 'ümläut-geheim']);
  assert.equal(redactor.text('<abcdefgh-1234-ijklmnop> ümläut-geheim!'), `<${mark}> ${mark}!`);
  assert.equal(redactor.isClean(Buffer.from('x ümläut-geheim y')), false);
  assert.equal(redactor.isClean(Buffer.from('x abcdefg y')), true);
});

test('what strangers wrote costs its length only, whatever it repeats', () => {
  const units = ['a.', 'a-', '"a', 'pass', 'pass-', 'pass:', 'pass ', '<pass', '<pass>', 'a://'];
  const options = ['--pass', '--pass ', "--pass '", 'pass="', "pass='", "pass=''", '--'];
  const more = ['token":"\\', '"d":"', '\n', '1 ', '-----BEGIN ', 'PRIVATE KEY', 'key=', 'pfa1.'];
  const { text } = buildRedactor([secret]);
  for (const unit of [...units, ...more, ...options]) {
    const [small, large] = [50_000, 800_000].map((length) => {
      const given = unit.repeat(length / unit.length);
      const startedMs = process.cpuUsage().user;
      text(given);
      return (process.cpuUsage().user - startedMs) / 1_000;
    });
    // Linear is 16 times; quadratic, as it once was, would be 256 times, or for ever.
    assert.ok((large ?? 0) < 64 * Math.max(small ?? 0, 10), `${unit}: ${small} then ${large} ms`);
  }
});

test('the keys of a fleet are looked for in one pass', () => {
  const keys = Array.from({ length: 20_000 }, (_, at) => createHash('sha256').update(`${at}`));
  const values = keys.map((key) => key.digest('hex'));
  const redactor = buildRedactor(values);
  const [first = '', last = ''] = [values[0], values.at(-1)];
  const log = `${'nothing to see here '.repeat(40_000)}${first} ${last}`;
  const out = redactor.text(log);
  assert.ok(out.endsWith(`${mark} ${mark}`));
  assert.ok(redactor.isClean(Buffer.from(out)));
});

test('plain words stay readable', () => {
  const { text } = buildRedactor(['shrt']);
  const plain = 'manager.down manager=wm1 seen=silent; list 1/1/7 published, no password needed';
  assert.equal(text(plain), plain);
});

test('the archive is one that tar reads, bounded, and refused when a secret is still in it', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pf-bundle-'));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 9 }));
  const redactor = buildRedactor([secret]);
  const long = `${secret}\n`.repeat(100_000);
  const parts = [
    { name: 'a.json', content: { a: 1 } },
    { name: 'log', content: long, keep: 'tail' as const },
    { name: 'none', content: undefined },
  ];
  const path = join(folder, 'b.tar.gz');
  writeFileSync(path, makeBundle('top', parts, redactor, Date.UTC(2026, 10, 28)));
  execFileSync('tar', ['-xzf', path, '-C', folder]);
  assert.deepEqual(JSON.parse(readFileSync(join(folder, 'top/a.json'), 'utf8')), { a: 1 });
  const log = readFileSync(join(folder, 'top/log'), 'utf8');
  assert.ok(log.length < 300 * 1024 && !log.includes('c4n4ry'));
  const blind = { ...redactor, text: (text: string) => text };
  assert.throws(() => makeBundle('top', parts, blind, 0), /secret/);
});

test('what is cut is cut at a line, so that no half of a secret stays', () => {
  const lines = `${'x'.repeat(100)} ${secret}\n`.repeat(20_000);
  for (const keep of ['head', 'tail'] as const) {
    const redactor = buildRedactor([secret]);
    const bundle = makeBundle('t', [{ name: 'l', content: lines, keep }], redactor, 0);
    assert.ok(bundle.length > 0);
  }
});
