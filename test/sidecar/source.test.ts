import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReasonName } from '../../src/errors.ts';
import type { Memory } from '../../src/sidecar/memory.ts';
import { rememberNews } from '../../src/sidecar/remember.ts';
import type { News } from '../../src/sidecar/source.ts';
import {
  aList,
  aRoot,
  issuedAtMs,
  signedList,
  signedRoot,
  strangerKey,
} from '../list/documents.ts';
import { honest, joinedMemory, p1, p2, Scene, theRoot } from './scene.ts';

const year = 365 * 86_400_000;

function reasons(news: News): readonly ReasonName[] {
  return news.faults.map(({ error }) => error.reason);
}

/** A scene whose memory holds `list` already. */
async function withList(list = aList(), changes: Partial<Memory> = {}) {
  const scene = new Scene();
  scene.publishers.behaviours.set(p1, honest({ list }));
  const before = joinedMemory({ lastPublisher: p1 });
  const memory = rememberNews(before, await scene.poll(before), '001', scene.clock.nowMs());
  assert.ok(memory.list);
  scene.publishers.asked.splice(0);
  return { scene, memory: { ...memory, ...changes } };
}

test('a first list with a receipt is proven, fresh, and comes with all it needs to be proven again', async () => {
  const { memory } = await withList();
  assert.deepEqual(memory.list?.position, { epoch: 3, term: 12, version: 4211 });
  assert.ok(memory.list?.receipt);
  assert.equal(memory.stalePolls, 0);
  assert.equal(memory.lastPublisher, p1);
  assert.equal(memory.floorMs, issuedAtMs);
});

test('the last good publisher is asked first, and nobody else when it answers', async () => {
  const { scene, memory } = await withList();
  scene.publishers.behaviours.set(p2, honest({ list: aList() }));
  const news = await scene.poll({ ...memory, lastPublisher: p2 });
  assert.equal(news.freshness, 'fresh');
  assert.ok(scene.publishers.asked.every((url) => url.startsWith(p2)));
});

test('a publisher that fails costs its turn, not the list', async () => {
  const { scene, memory } = await withList();
  scene.publishers.behaviours.delete(p1);
  scene.publishers.behaviours.set(p2, honest({ list: aList({ version: 4212 }) }));
  const news = await scene.poll(memory);
  assert.deepEqual(reasons(news), ['connect_failed']);
  assert.equal(news.list?.position.version, 4212);
});

test('nobody answers: the last good list stays, and backing off grows', async () => {
  const { scene, memory } = await withList();
  scene.publishers.behaviours.clear();
  const news = await scene.poll(memory);
  assert.deepEqual([news.list, news.freshness], [undefined, 'none']);
  assert.equal(rememberNews(memory, news, '001', 0).list, memory.list);
  scene.publishers.asked.splice(0);
  await scene.poll(memory);
  assert.deepEqual(scene.publishers.asked, [], 'both are backed off');
  await scene.clock.pass(301_000);
  await scene.poll(memory);
  assert.equal(scene.publishers.asked.length, 2);
});

const forgeries: readonly (readonly [string, Uint8Array, ReasonName])[] = [
  ['signed by a stranger', signedList(aList({ version: 4212 }), [strangerKey]), 'unknown_key'],
  ['older than the known one', signedList(aList({ version: 4210 })), 'rolled_back'],
  ['the same version with other managers', signedList(aList({ validFor: 80_000 })), 'equivocation'],
  ['of another organisation', signedList(aList({ org: 'evil', version: 4212 })), 'wrong_audience'],
  [
    'for another group',
    signedList(aList({ aud: { group: 'web', site: '*' }, version: 4212 })),
    'wrong_audience',
  ],
  ['of an earlier epoch', signedList(aList({ epoch: 2, version: 9999 })), 'wrong_epoch'],
  ['with a leap in its version', signedList(aList({ version: 9_999_999 })), 'version_jump'],
  ['no envelope at all', Buffer.from('<html>'), 'envelope_syntax'],
];

for (const [what, envelope, reason] of forgeries) {
  test(`a list ${what} is refused as ${reason}; the last good one stays`, async () => {
    const { scene, memory } = await withList();
    const body = async () => ({ kind: 'document', body: envelope, warnings: [] }) as const;
    const list = honest({ list: aList() });
    scene.publishers.behaviours.set(p1, (question, signal) =>
      question.path.startsWith('/v1/list') ? body() : list(question, signal),
    );
    const news = await scene.poll(memory);
    assert.equal(reasons(news)[0], reason);
    assert.equal(news.list, undefined);
  });
}

test('a publisher that serves what is not signed is left alone for ten minutes', async () => {
  const { scene, memory } = await withList();
  const forged = signedList(aList({ version: 4212 }), [strangerKey]);
  scene.publishers.behaviours.set(p1, honest({ list: aList({ version: 4212 }), envelope: forged }));
  await scene.poll(memory);
  scene.publishers.asked.splice(0);
  await scene.clock.pass(599_000);
  await scene.poll(memory);
  assert.ok(scene.publishers.asked.every((url) => url.startsWith(p2)));
  await scene.clock.pass(2_000);
  await scene.poll(memory);
  assert.ok(scene.publishers.asked.some((url) => url.startsWith(p1)));
});

test('304 with a receipt for this nonce is fresh; without one it is not', async () => {
  const { scene, memory } = await withList();
  assert.equal((await scene.poll(memory)).freshness, 'fresh');
  scene.publishers.behaviours.set(p1, honest({ list: aList(), receipts: false }));
  const news = await scene.poll(memory);
  assert.equal(news.freshness, 'clock-only');
  assert.equal(rememberNews(memory, news, '001', 10 ** 13).stalePolls, 1);
});

test('indefinite freeze: three polls without a fresh receipt are an alarm, and all publishers are asked', async () => {
  const { scene, memory } = await withList();
  const frozen = honest({ list: aList(), receipts: false });
  scene.publishers.behaviours.set(p1, frozen);
  scene.publishers.behaviours.set(p2, frozen);
  let now = memory;
  for (let poll = 0; poll < 3; poll += 1) {
    await scene.clock.pass(60_000);
    now = rememberNews(now, await scene.poll(now), '001', scene.clock.nowMs());
  }
  assert.equal(now.stalePolls, 3);
  assert.equal(now.list, memory.list, 'the last good list stays');
  scene.publishers.behaviours.set(p2, honest({ list: aList({ version: 4212 }) }));
  await scene.clock.pass(60_000);
  const news = await scene.poll(now);
  assert.equal(news.list?.position.version, 4212, 'the other publisher knew better');
  assert.equal(rememberNews(now, news, '001', scene.clock.nowMs()).stalePolls, 0);
});

test('indefinite freeze: quick retries while nobody answers are one poll', async () => {
  const { scene, memory } = await withList();
  scene.publishers.behaviours.clear();
  const once = rememberNews(memory, await scene.poll(memory), '001', 10 ** 13);
  const twice = rememberNews(once, await scene.poll(once), '001', 10 ** 13 + 5_000);
  assert.deepEqual([once.stalePolls, twice.stalePolls], [1, 1]);
});

for (const [where, offMs] of [
  ['behind', -10 * year],
  ['ahead', 10 * year],
] as const) {
  test(`a clock ten years ${where} takes a new list that a fresh receipt vouches for`, async () => {
    const { scene, memory } = await withList();
    scene.clock.jumpTo(issuedAtMs + offMs);
    const list = aList({ version: 4212, issuedAtMs: issuedAtMs + 3_600_000 });
    scene.publishers.behaviours.set(p1, honest({ list, nowMs: issuedAtMs + 3_601_000 }));
    const news = await scene.poll(memory);
    assert.deepEqual(reasons(news), []);
    assert.equal(news.list?.position.version, 4212);
    const next = rememberNews(memory, news, '001', scene.clock.nowMs());
    assert.equal(
      next.floorMs,
      issuedAtMs + 3_601_000,
      'signed time moves the floor, the clock never',
    );
  });
}

test('an expired list without a receipt is refused as stale; the last good one stays', async () => {
  const { scene, memory } = await withList();
  scene.clock.jumpTo(issuedAtMs + year);
  scene.publishers.behaviours.set(p1, honest({ list: aList({ version: 4212 }), receipts: false }));
  const news = await scene.poll(memory);
  assert.deepEqual(reasons(news)[0], 'stale');
  assert.equal(news.list, undefined);
});

const root8 = aRoot({ ...theRoot, version: 8 });
const root9 = aRoot({ ...theRoot, version: 9 });

test('newer roots are walked one by one and remembered with the list', async () => {
  const { scene, memory } = await withList();
  const list = aList({ version: 4212, rootVersion: 9 });
  scene.publishers.behaviours.set(p1, honest({ list, roots: [root8, root9] }));
  const news = await scene.poll(memory);
  assert.equal(news.roots.length, 2);
  const next = rememberNews(memory, news, '001', 0);
  assert.equal(next.roots.length, 3);
  assert.equal(next.list?.position.version, 4212);
  assert.equal((await scene.poll(next)).freshness, 'fresh', 'the chain proves itself again');
});

test('a root published while the question was held back is walked before the list is judged', async () => {
  const { scene, memory } = await withList();
  let roots: readonly (typeof root8)[] = [];
  const list = aList({ version: 4212, rootVersion: 8 });
  scene.publishers.behaviours.set(p1, (question, signal) => {
    const answer = honest({ list, roots })(question, signal);
    if (question.path.startsWith('/v1/list')) roots = [root8];
    return answer;
  });
  const news = await scene.poll(memory);
  assert.deepEqual(reasons(news), []);
  assert.equal(news.roots.length, 1);
  assert.equal(news.list?.position.version, 4212);
});

test('a root that the old keys did not sign is refused, and what was proven before it stays', async () => {
  const { scene, memory } = await withList();
  const stolen = aRoot({
    ...theRoot,
    version: 8,
    keys: { [strangerKey.kid]: strangerKey.publicKey, ...theRoot.keys },
    roles: { ...theRoot.roles, root: { threshold: 1, kids: [strangerKey.kid] } },
  });
  scene.publishers.behaviours.set(p1, async () => ({
    kind: 'document',
    body: signedRoot(stolen, [strangerKey]),
    warnings: [],
  }));
  const news = await scene.poll(memory);
  assert.deepEqual(reasons(news)[0], 'root_threshold');
  assert.deepEqual(news.roots, []);
});

test('endless data: roots without end stop at the bytes of one poll', async () => {
  const { scene, memory } = await withList();
  const chain = Array.from({ length: 300 }, (_, index) =>
    aRoot({ ...theRoot, version: 8 + index }),
  );
  scene.publishers.behaviours.set(p1, honest({ list: aList(), roots: chain }));
  const news = await scene.poll(memory);
  assert.ok(news.roots.length <= 64, `${news.roots.length} roots`);
});

test('slow publisher: one that never answers costs a minute, then the poll is over', async () => {
  const { scene, memory } = await withList();
  scene.publishers.behaviours.set(
    p1,
    (_question, signal) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      }),
  );
  const polling = scene.poll(memory);
  while (scene.publishers.asked.length === 0) await scene.clock.pass(0);
  await scene.clock.pass(60_000);
  const news = await polling;
  assert.deepEqual(reasons(news), ['too_slow']);
  assert.equal(news.freshness, 'none');
});

test('a signed file is taken where no publisher answers; a broken one is refused', async () => {
  const { scene, memory } = await withList();
  scene.publishers.behaviours.clear();
  scene.filePaths = ['/share/v1/list'];
  scene.files.set('/share/v1/list', signedList(aList({ version: 4213 })));
  assert.equal((await scene.poll(memory)).list?.position.version, 4213);
  scene.files.set('/share/v1/list', signedList(aList({ version: 4213 })).subarray(0, 100));
  assert.ok(reasons(await scene.poll(memory)).includes('envelope_syntax'));
  scene.files.set('/share/v1/list', Buffer.alloc(70_000));
  assert.ok(reasons(await scene.poll(memory)).includes('too_big'));
  scene.files.delete('/share/v1/list');
  assert.ok(reasons(await scene.poll(memory)).includes('not_found'));
});

test('roots for a file lie beside it', async () => {
  const { scene, memory } = await withList();
  scene.publishers.behaviours.clear();
  scene.filePaths = ['/share/v1/list'];
  scene.files.set('/share/v1/root/8', signedRoot(root8));
  scene.files.set('/share/v1/list', signedList(aList({ version: 4213, rootVersion: 8 })));
  const news = await scene.poll(memory);
  assert.equal(news.roots.length, 1);
  assert.equal(news.list?.position.version, 4213);
});

test('a rollout that has not reached this host leaves the list pending and the old one in use', async () => {
  const { scene, memory } = await withList();
  const waiting = aList({ version: 4212, rollout: { id: 'r-1', salt: 's', pct: 0 } });
  scene.publishers.behaviours.set(p1, honest({ list: waiting }));
  const held = rememberNews(memory, await scene.poll(memory), '001', 0);
  assert.equal(held.list, memory.list);
  assert.equal(held.pending?.position.version, 4212);
  const older = honest({ list: aList() });
  scene.publishers.behaviours.set(p1, (question, signal) => {
    const { etag: _, ...rest } = question;
    return older(rest, signal);
  });
  const back = await scene.poll(held);
  assert.deepEqual(
    reasons(back)[0],
    'rolled_back',
    'the floor is what was accepted, not what is used',
  );
  const everybody = aList({ version: 4213, rollout: { id: 'r-1', salt: 's', pct: 100 } });
  scene.publishers.behaviours.set(p1, honest({ list: everybody }));
  await scene.clock.pass(700_000);
  const taken = rememberNews(held, await scene.poll(held), '001', 0);
  assert.equal(taken.list?.position.version, 4213);
  assert.equal(taken.pending, undefined);
});
