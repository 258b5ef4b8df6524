import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { ConfigError } from '../../src/errors.ts';
import { checkTokenOrg, parseToken, renderToken } from '../../src/list/token.ts';
import { aToken } from './documents.ts';

const token = renderToken(aToken());

function refused(text: string, says: RegExp): void {
  assert.throws(
    () => parseToken(text),
    (thrown) => {
      assert.ok(thrown instanceof ConfigError, String(thrown));
      assert.equal(thrown.reason, 'token_invalid');
      assert.match(thrown.message, says);
      return true;
    },
  );
}

function tokenOf(body: string): string {
  return `pfj1.${body}.${crc32(body).toString(16).padStart(8, '0')}`;
}

test('a token is one word without blanks, which blanks around do not hurt', () => {
  assert.match(token, /^pfj1\.[A-Za-z0-9_-]+\.[0-9a-f]{8}$/);
  assert.deepEqual(parseToken(`  ${token}\n`), aToken());
});

test('something else is told from a damaged token', () => {
  refused('', /does not begin with "pfj1\."/);
  refused('hello', /does not begin with/);
  refused(token.replace('pfj1', 'pfs1'), /does not begin with/);
});

test('a token cut anywhere is refused', () => {
  for (let length = 5; length < token.length; length += 1) {
    refused(token.slice(0, length), /incomplete|checksum|does not begin/);
  }
});

test('a wrong character anywhere behind the prefix is caught by the checksum', () => {
  for (let at = 5; at < token.length; at += 1) {
    const other = token[at] === 'a' ? 'b' : 'a';
    refused(token.slice(0, at) + other + token.slice(at + 1), /checksum|incomplete/);
  }
});

test('a good checksum does not excuse the content', () => {
  const json = (text: string): string => tokenOf(Buffer.from(text).toString('base64url'));
  refused(json('{"o":"acme"}'), /u is missing/);
  refused(json('{"o":1}'), /o is 1/);
  refused(json('{"o":"a","o":"b"}'), /occurs twice/);
  refused(json('nothing'), /token:/);
  refused(tokenOf('****'), /not base64url/);
  refused(tokenOf('A'.repeat(5_000)), /5014 characters; allowed: at most 4096/);
});

test('a host never joins another organisation by accident', () => {
  const same = aToken();
  assert.doesNotThrow(() => checkTokenOrg(same, undefined));
  assert.doesNotThrow(() => checkTokenOrg(same, 'acme-7f3a'));
  assert.throws(() => checkTokenOrg(same, 'other-1'), { reason: 'token_other_org' });
});
