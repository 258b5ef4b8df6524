/** What publishers say of the managers of their hosts: proven, young, of our organisation, or nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeUtf8 } from '../../src/bytes.ts';
import { ListError } from '../../src/errors.ts';
import { verifyPinnedRoot } from '../../src/list/root.ts';
import { signDocument } from '../../src/list/sign.ts';
import { LeavingBook, signLeaving, verifyLeaving } from '../../src/publisher/leaving.ts';
import { listKey, rootKey, startMs } from './fixture.ts';
import { firstRoot, trust } from './follow/ground.ts';

const word = { manager: 'wm1', isLeaving: true, atMs: startMs };

test('the word of a publisher that holds the list key is taken as it was said', async () => {
  const { root } = await verifyPinnedRoot(firstRoot, trust);
  assert.deepEqual(await verifyLeaving(signLeaving(word, 'acme', listKey), root, startMs), word);
});

test('whatever else comes is refused', async () => {
  const { root } = await verifyPinnedRoot(firstRoot, trust);
  const sign = (payload: object, key = listKey) =>
    signDocument('leaving', encodeUtf8(JSON.stringify(payload)), [key]);
  const right = { typ: 'pf-leaving', spec: 1, org: 'acme', ...word };
  const bad: readonly Uint8Array[] = [
    signLeaving(word, 'other', listKey),
    signLeaving(word, 'acme', rootKey), // a key, but none that signs lists
    signLeaving({ ...word, atMs: startMs - 3_600_000 }, 'acme', listKey),
    signLeaving({ ...word, atMs: startMs + 3_600_000 }, 'acme', listKey),
    signDocument('state', encodeUtf8(JSON.stringify(right)), [listKey]),
    sign({ ...right, typ: 'pf-state' }),
    sign({ ...right, spec: 2 }),
    sign({ ...right, manager: '../x' }),
    sign({ ...right, isLeaving: 'yes' }),
    sign({ ...right, atMs: undefined }),
    encodeUtf8('{"payload":"e30","signatures":[]}'),
    encodeUtf8('not JSON'),
    new Uint8Array(4_096),
  ];
  for (const [at, bytes] of bad.entries()) {
    await assert.rejects(verifyLeaving(bytes, root, startMs), ListError, `case ${at}`);
  }
});

test('only a newer word counts, so a replay of an older one changes nothing', () => {
  const book = new LeavingBook();
  assert.ok(book.take(word));
  assert.ok(book.take({ ...word, isLeaving: false, atMs: startMs + 1 }));
  assert.equal(book.take(word), false);
  assert.deepEqual([...book.states()], [['wm1', false]]);
});
