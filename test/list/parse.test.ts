import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeUtf8 } from '../../src/bytes.ts';
import { clientDefaults, parseList, renderList } from '../../src/list/parse-list.ts';
import { parseReceipt, renderReceipt } from '../../src/list/parse-receipt.ts';
import { parseRoot, renderRoot } from '../../src/list/parse-root.ts';
import { parseToken, renderToken } from '../../src/list/token.ts';
import cases from '../cases/list/bad-members.json' with { type: 'json' };
import { anyList, anyReceipt, anyRoot, anyToken } from './arbitrary.ts';
import { aList, aReceipt, aRoot, keyNamed, listKeys, refusedAs } from './documents.ts';

const run = { seed: 20261121, numRuns: 200 };

type Step = string | number;
type Tree = Record<Step, unknown>;

/** The payload with one member set, or taken away when no value is given. */
function changed(payload: Uint8Array, path: readonly Step[], value?: unknown): Uint8Array {
  const document = JSON.parse(Buffer.from(payload).toString('utf8')) as Tree;
  const parent = path.slice(0, -1).reduce<Tree>((at, step) => at[step] as Tree, document);
  const name = path.at(-1) ?? '';
  const setting = { value, enumerable: true, configurable: true, writable: true };
  Object.defineProperty(parent, name, setting);
  return encodeUtf8(JSON.stringify(document));
}

for (const one of cases.list) {
  test(`list: ${one.says}`, () => {
    const bytes = changed(renderList(aList()), one.set, one.to);
    assert.throws(() => parseList(bytes), withText('list_invalid', one.says));
  });
}

for (const one of cases.root) {
  test(`root: ${one.says}`, () => {
    const bytes = changed(renderRoot(aRoot()), one.set, one.to);
    assert.throws(() => parseRoot(bytes), withText('root_invalid', one.says));
  });
}

function withText(reason: string, text: string): (thrown: unknown) => boolean {
  return (thrown) => {
    assert.ok(thrown instanceof Error && 'reason' in thrown, String(thrown));
    assert.equal(thrown.reason, reason);
    assert.ok(thrown.message.includes(text), thrown.message);
    assert.ok(thrown.message.length < 400, 'one line, not the whole document');
    return true;
  };
}

test('render then parse gives the same list', () => {
  const same = (list: Parameters<typeof renderList>[0]): void =>
    assert.deepEqual(parseList(renderList(list)), list);
  fc.assert(fc.property(anyList, same), run);
});

test('render then parse gives the same root', () => {
  const same = (root: Parameters<typeof renderRoot>[0]): void =>
    assert.deepEqual(parseRoot(renderRoot(root)), root);
  fc.assert(fc.property(anyRoot, same), { ...run, numRuns: 60 });
});

test('render then parse gives the same receipt', () => {
  const same = (receipt: Parameters<typeof renderReceipt>[0]): void =>
    assert.deepEqual(parseReceipt(renderReceipt(receipt)), receipt);
  fc.assert(fc.property(anyReceipt, same), run);
});

test('render then parse gives the same token', () => {
  const same = (token: Parameters<typeof renderToken>[0]): void =>
    assert.deepEqual(parseToken(renderToken(token)), token);
  fc.assert(fc.property(anyToken, same), { ...run, numRuns: 60 });
});

test('x- members are ignored wherever we define the members', () => {
  const list = renderList(aList());
  const noted = changed(changed(list, ['x-note'], [1]), ['managers', 0, 'x-rack'], 'r1');
  assert.deepEqual(parseList(noted), aList());
});

test('a key whose thumbprint begins with x- is a key, not an ignored member', () => {
  const name = Array.from({ length: 40_000 }, (_, index) => `search ${index}`).find((one) =>
    keyNamed(one).kid.startsWith('x-'),
  );
  assert.ok(name !== undefined);
  const key = keyNamed(name);
  const role = { threshold: 1, kids: [key.kid] };
  const roles = { root: role, list: role, rescue: role };
  const root = aRoot({ keys: { [key.kid]: key.publicKey }, roles });
  assert.deepEqual(parseRoot(renderRoot(root)), root);
});

test('client members left out get their defaults', () => {
  assert.deepEqual(parseList(changed(renderList(aList()), ['client'], {})).client, clientDefaults);
});

test('one key id twice in a role is refused', () => {
  const kids = [listKeys[0].kid, listKeys[0].kid];
  const root = aRoot();
  const roles = { ...root.roles, list: { threshold: 1, kids } };
  assert.throws(() => parseRoot(renderRoot({ ...root, roles })), refusedAs('root_invalid'));
});

test('one publisher id twice is refused', () => {
  const [publisher] = aRoot().publishers;
  assert.ok(publisher !== undefined);
  const root = aRoot({ publishers: [publisher, publisher] });
  assert.throws(() => parseRoot(renderRoot(root)), refusedAs('root_invalid'));
});

test('more than 32 keys are refused', () => {
  const keys = Array.from({ length: 33 }, (_, index) => keyNamed(`many ${index}`));
  const ring = Object.fromEntries(keys.map((key) => [key.kid, key.publicKey]));
  const root = aRoot({ keys: { ...aRoot().keys, ...ring } });
  assert.throws(() => parseRoot(renderRoot(root)), refusedAs('root_invalid'));
});

test('receipts with anything but 16 bytes of nonce are refused', () => {
  const [, payload = ''] = aReceipt(aList(), { nonce: 'short' }).split('.');
  const bytes = Buffer.from(payload, 'base64url');
  assert.throws(() => parseReceipt(bytes), refusedAs('receipt_invalid'));
});

test('another spec version is another type', () => {
  const bytes = changed(renderList(aList()), ['spec'], 2);
  assert.throws(() => parseList(bytes), refusedAs('wrong_type'));
});
