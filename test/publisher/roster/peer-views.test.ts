/** What publishers that stand by say they see: proven, young, one voice each, and never more than that. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeUtf8 } from '../../../src/bytes.ts';
import { ListError } from '../../../src/errors.ts';
import { verifyPinnedRoot } from '../../../src/list/root.ts';
import { signDocument } from '../../../src/list/sign.ts';
import { DissentBook } from '../../../src/publisher/roster/dissent.ts';
import {
  PeerViewsBook,
  signViews,
  type ViewsWord,
  verifyViews,
} from '../../../src/publisher/roster/peer-views.ts';
import {
  defaultReadiness,
  judgeViews,
  listedReadiness,
} from '../../../src/publisher/roster/readiness.ts';
import type { ManagerViews, PeerView } from '../../../src/publisher/roster/view.ts';
import { listKey, rootKey, startMs } from '../fixture.ts';
import { firstRoot, trust } from '../follow/ground.ts';

const word: ViewsWord = {
  publisher: 'p2',
  site: 'eu-2',
  atMs: startMs,
  seen: { wm1: 'up', wm2: 'down' },
};
const at = (ms: number) => ({ nowMs: startMs + ms, monotonicMs: ms });

test('a word that the list key signed is taken as it was said, whatever else comes is refused', async () => {
  const { root } = await verifyPinnedRoot(firstRoot, trust);
  assert.deepEqual(await verifyViews(signViews(word, 'acme', listKey), root), word);
  const full = Object.fromEntries(
    Array.from({ length: 16 }, (_, index) => [`${'m'.repeat(62)}${10 + index}`, 'down' as const]),
  );
  const longest = { ...word, publisher: 'p'.repeat(64), site: 's'.repeat(64), seen: full };
  assert.deepEqual(await verifyViews(signViews(longest, 'acme', listKey), root), longest);
  const right = { typ: 'pf-views', spec: 1, org: 'acme', ...word };
  const sign = (payload: object) =>
    signDocument('views', encodeUtf8(JSON.stringify(payload)), [listKey]);
  const bad: readonly Uint8Array[] = [
    signViews(word, 'other', listKey),
    signViews(word, 'acme', rootKey), // a key, but none that signs lists
    signDocument('leaving', encodeUtf8(JSON.stringify(right)), [listKey]),
    sign({ ...right, typ: 'pf-leaving' }),
    sign({ ...right, spec: 2 }),
    sign({ ...right, publisher: '../p2' }),
    sign({ ...right, site: 'a b' }),
    sign({ ...right, atMs: '0' }),
    sign({ ...right, seen: ['wm1'] }),
    sign({ ...right, seen: { wm1: 'gone' } }),
    sign({ ...right, seen: { '../x': 'up' } }),
    sign({ ...right, seen: { ...full, wm1: 'up' } }), // more managers than a list has
    sign({ ...right, seen: undefined }),
    encodeUtf8('not JSON'),
    new Uint8Array(9_000),
  ];
  for (const [index, bytes] of bad.entries()) {
    await assert.rejects(verifyViews(bytes, root), ListError, `case ${index}`);
  }
});

test('a word counts for three seconds; one that falls silent may be late, then is named', () => {
  const book = new PeerViewsBook('p1');
  assert.equal(book.take(word, at(0)), 'taken');
  const opinionOf = (ms: number) => book.views(ms).get('wm2')?.[0]?.opinion;
  assert.deepEqual([opinionOf(0), opinionOf(3_000)], ['down', 'down']);
  assert.deepEqual([opinionOf(3_001), opinionOf(15_000)], ['unknown', 'unknown']);
  assert.equal(book.seen(15_000)[0]?.ignored, undefined);
  assert.equal(opinionOf(15_001), undefined);
  assert.match(book.seen(16_000)[0]?.ignored ?? '', /nothing was heard for 16 s/);
  assert.deepEqual(book.seen(4_000_000), []); // gone for good, and no trouble for ever
});

test('old words, words from the future, replays and namesakes do not count, and are told', () => {
  const book = new PeerViewsBook('p1');
  const say = (change: Partial<ViewsWord>, ms = 0) => book.take({ ...word, ...change }, at(ms));
  assert.equal(say({ publisher: 'p1' }), 'own_name');
  assert.equal(say({ atMs: startMs + 31_000 }), 'future');
  assert.equal(book.views(0).size, 0);
  assert.match(book.seen(0)[0]?.ignored ?? '', /31 s ahead of the clock here/);
  assert.equal(say({ atMs: startMs + 1 }), 'taken'); // its clock was put right
  assert.equal(book.seen(0)[0]?.ignored, undefined);
  assert.equal(say({ atMs: startMs + 1, seen: { wm1: 'down' } }), 'replayed');
  assert.equal(say({ atMs: startMs - 31_000 }), 'stale');
  assert.equal(say({ atMs: startMs + 40_000 }), 'future');
  assert.equal(say({ atMs: startMs + 1, seen: { wm1: 'down' } }), 'replayed'); // still known
  assert.equal(say({ atMs: startMs - 31_000 }), 'stale');
  assert.equal(book.views(0).get('wm1')?.[0]?.opinion, 'up'); // what it said in time
  assert.equal(book.views(15_001).size, 0);
  assert.match(book.seen(1)[0]?.ignored ?? '', /31 s behind the clock here/);
  for (let index = 0; index < 40; index += 1) say({ publisher: `x${index}` });
  assert.equal(book.seen(0).length, 16);
  assert.equal(say({ publisher: 'one-more' }), 'too_many');
});

test('a publisher that sees nobody sees itself; one that can see but one is believed', () => {
  const book = new PeerViewsBook('p1');
  book.take({ ...word, seen: { wm1: 'down', wm2: 'down' } }, at(0));
  assert.equal(book.views(0).size, 0);
  assert.match(book.seen(0)[0]?.ignored ?? '', /sees no manager/);
  book.take({ ...word, atMs: startMs + 1, seen: { wm1: 'down' } }, at(1));
  assert.equal(book.views(1).get('wm1')?.[0]?.opinion, 'down');
});

const peer = (publisher: string, opinion: PeerView['opinion'], site?: string): PeerView => ({
  ...{ publisher, opinion },
  ...(site === undefined ? {} : { site }),
});
const view = (change: Partial<ManagerViews>): ManagerViews => ({
  ...{ id: 'wm1', probe: 'down', cluster: 'unknown', inStep: { kind: 'unknown' }, sites: [] },
  ...change,
});
const stays = (change: Partial<ManagerViews>) =>
  judgeViews(view(change), true, defaultReadiness).isReady;

test('a leader that is blind drains nobody whom others see; two places that agree do', () => {
  const eu = [{ site: 'eu', opinion: 'down' as const }];
  const cases: readonly (readonly [Partial<ManagerViews>, boolean])[] = [
    [{ peers: [] }, false], // the only witness there is
    [{ peers: [peer('p2', 'up'), peer('p3', 'up')] }, true],
    [{ peers: [peer('p2', 'up')] }, true],
    [{ peers: [peer('p2', 'down')] }, false],
    [{ peers: [peer('p2', 'down'), peer('p3', 'up')] }, false],
    [{ peers: [peer('p2', 'down'), peer('p3', 'up')], cluster: 'up' }, true],
    [{ probe: 'up', peers: [peer('p2', 'down'), peer('p3', 'down')] }, false], // blind for its death
    [{ probe: 'up', peers: [peer('p2', 'down')] }, true], // no authority by itself
    [{ probe: 'unknown', peers: [peer('p2', 'down'), peer('p3', 'unknown')] }, true],
    [{ peers: [peer('p2', 'unknown')] }, true], // perhaps only late
    [{ peers: [peer('p2', 'unknown')], cluster: 'down' }, false],
    // One site is one place, however many look from there.
    [{ site: 'eu', cluster: 'up', peers: [peer('p2', 'down', 'eu')], sites: eu }, true],
    [{ cluster: 'up', peers: [peer('p2', 'down', 'us')], sites: eu }, false],
    [{ site: 'eu', peers: [peer('p2', 'up', 'eu')] }, true], // reached from there, so it can be
  ];
  for (const [seen, isReady] of cases) assert.equal(stays(seen), isReady, JSON.stringify(seen));
  const newcomer = { probe: 'up', peers: [peer('p2', 'down')] } as const;
  assert.equal(judgeViews(view(newcomer), false, defaultReadiness).isReady, false);
});

test('who goes on contradicting all others is not heard on that manager, and is named once', () => {
  const book = new DissentBook();
  const liar = [peer('p2', 'down'), peer('p3', 'up')];
  const seen = [view({ probe: 'up', peers: liar }), view({ id: 'wm2', probe: 'up', peers: liar })];
  assert.deepEqual(book.hear(seen, 0), { views: seen, told: [] });
  const { views, told } = book.hear(seen, 60_000);
  assert.deepEqual(told, [
    'p2 says wm1 is down, all others see otherwise',
    'p2 says wm2 is down, all others see otherwise',
  ]);
  assert.deepEqual(views[0]?.peers, [liar[1]]);
  // One against one is no lie: nobody knows who is wrong.
  const even = [view({ probe: 'up', peers: [peer('p2', 'down')] })];
  book.hear(even, 60_000);
  assert.deepEqual(book.hear(even, 600_000).told, []);
  // It agreed in between, so its patience begins anew.
  book.hear(seen, 700_000);
  book.hear([view({ probe: 'up', peers: [peer('p2', 'up'), peer('p3', 'up')] })], 730_000);
  assert.deepEqual(book.hear(seen, 780_000).told, []);
});

test('who does not decide begins with the list when it comes to lead, and forgets no flapping', () => {
  const ids = ['wm1', 'wm2', 'wm3'];
  const all = new Set(ids);
  const others = new Set(['wm1', 'wm3']);
  let now = listedReadiness(ids, all, new Map(), startMs);
  for (let flap = 0; flap < 4; flap += 1) {
    for (const offered of [others, others, all]) now = listedReadiness(ids, offered, now, startMs);
  }
  now = listedReadiness(ids, others, now, startMs);
  assert.deepEqual(
    [...now.values()].map(({ id, isReady, wasReady }) => [id, isReady, wasReady]),
    [
      ['wm1', true, true],
      ['wm2', false, false],
      ['wm3', true, true],
    ],
  );
  assert.deepEqual(now.get('wm2')?.damping, { penalty: 5_000, atMs: startMs, isSuppressed: true });
  assert.equal(now.get('wm1')?.damping, undefined);
});
