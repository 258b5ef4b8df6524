import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256Tag } from '../../src/bytes.ts';
import { renderRoot } from '../../src/list/parse-root.ts';
import { renderToken } from '../../src/list/token.ts';
import { join } from '../../src/sidecar/join.ts';
import { encodeMemory, parseMemory } from '../../src/sidecar/memory.ts';
import { aList, aRoot, aToken, signedList, strangerKey } from '../list/documents.ts';
import { honest, p1, p2, Scene, theRoot } from './scene.ts';

const pin = sha256Tag(renderRoot(theRoot));
const token = renderToken(aToken({ rootHash: pin, publishers: [p1, p2], notBefore: '2026-11-01' }));

function request(changes: object = {}) {
  return { token, before: undefined, agentId: '001', ...changes };
}

test('a host joins through whichever publisher of the token answers', async () => {
  const scene = new Scene();
  scene.publishers.behaviours.set(p2, honest({ list: aList(), roots: [theRoot] }));
  const { memory, news } = await join(scene.sources(), request());
  assert.equal(news.freshness, 'fresh');
  assert.equal(memory.rootPin, pin);
  assert.equal(memory.list?.position.version, 4211);
  assert.ok(memory.floorMs >= Date.UTC(2026, 10, 1), 'no clock before the token is believed');
  assert.equal(parseMemory(encodeMemory(memory)).list?.hash, memory.list?.hash);
});

test('a publisher that serves another root is refused by the pin of the token', async () => {
  const scene = new Scene();
  const other = aRoot({ ...theRoot, epoch: 9 });
  scene.publishers.behaviours.set(p1, honest({ list: aList(), roots: [other] }));
  await assert.rejects(join(scene.sources(), request()), { reason: 'root_hash' });
});

test('a forged first list is the reason, not the publisher that could not be reached', async () => {
  const scene = new Scene();
  const envelope = signedList(aList(), [strangerKey]);
  scene.publishers.behaviours.set(p1, honest({ list: aList(), envelope, roots: [theRoot] }));
  await assert.rejects(join(scene.sources(), request()), { reason: 'unknown_key' });
});

test('joining again with a newer token of the same organisation keeps what was reached', async () => {
  const scene = new Scene();
  scene.publishers.behaviours.set(p1, honest({ list: aList(), roots: [theRoot] }));
  const { memory } = await join(scene.sources(), request());
  const again = renderToken(aToken({ rootHash: pin, publishers: [p1], id: 'tok-20' }));
  const rejoined = await join(scene.sources(), request({ token: again, before: memory }));
  assert.equal(rejoined.memory.token, again);
  assert.deepEqual(rejoined.memory.list, memory.list);
});

test('another group starts without a list; an older one is not taken for it either', async () => {
  const scene = new Scene();
  scene.publishers.behaviours.set(p1, honest({ list: aList(), roots: [theRoot] }));
  const { memory } = await join(scene.sources(), request());
  const moved = renderToken(aToken({ rootHash: pin, publishers: [p1], group: 'web' }));
  await assert.rejects(join(scene.sources(), request({ token: moved, before: memory })), {
    reason: 'wrong_audience',
  });
});

test('a token of another organisation is refused before anything is asked', async () => {
  const scene = new Scene();
  scene.publishers.behaviours.set(p1, honest({ list: aList(), roots: [theRoot] }));
  const { memory } = await join(scene.sources(), request());
  scene.publishers.asked.splice(0);
  const foreign = renderToken(aToken({ org: 'other' }));
  await assert.rejects(join(scene.sources(), request({ token: foreign, before: memory })), {
    reason: 'token_other_org',
  });
  assert.deepEqual(scene.publishers.asked, []);
});
