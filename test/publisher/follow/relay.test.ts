/** What a follower asks and tells on behalf of sidecars, with bounds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../../src/clock.ts';
import { PeerError } from '../../../src/errors.ts';
import { systemClock } from '../../../src/host/system-clock.ts';
import type { Receipt } from '../../../src/list/model.ts';
import { signReceipt } from '../../../src/list/sign.ts';
import type { FetchPort } from '../../../src/publisher/follow/https-source.ts';
import { buildReceiptRelay } from '../../../src/publisher/follow/relay-receipts.ts';
import { buildReportRelay } from '../../../src/publisher/follow/relay-reports.ts';
import type { TellAnswer, TellPort } from '../../../src/publisher/reports/forward.ts';
import { listKey, rootKey, scratchDirectory, startMs } from '../fixture.ts';
import { FollowerGround, signVersions } from './ground.ts';

const nonce = 'A'.repeat(22);
const { signal } = new AbortController();

/** Nobody waits for anything here. */
class StillClock implements Clock {
  atMs = startMs;

  nowMs(): number {
    return this.atMs;
  }

  monotonicMs(): number {
    return this.atMs;
  }

  after(): () => void {
    return () => undefined;
  }
}

type Got = Awaited<ReturnType<FetchPort['get']>>;
type Question = Parameters<FetchPort['get']>[0];

/** A writer, as a follower reaches it. */
class Writer implements FetchPort {
  readonly asked: Question[] = [];
  answer: (question: Question) => Got;

  constructor(answer: (question: Question) => Got) {
    this.answer = answer;
  }

  async get(question: Question): Promise<Got> {
    this.asked.push(question);
    return this.answer(question);
  }
}

async function followed(t: Parameters<typeof signVersions>[0]) {
  const [first] = await signVersions(t, ['a', 'b']);
  assert.ok(first);
  const ground = new FollowerGround(scratchDirectory(t));
  ground.put(first.files);
  await ground.look();
  const { held } = ground.follower;
  assert.ok(held);
  const { hash, position } = held.proven;
  const receipt = (change: Partial<Receipt> = {}, key = listKey): string =>
    signReceipt({ ...position, nonce, list: hash, nowMs: startMs, ...change }, key);
  return { held, hash, receipt };
}

test("the writer's receipt for the sidecar's own nonce is handed back, proven", async (t) => {
  const { held, hash, receipt } = await followed(t);
  const writer = new Writer(() => ({ kind: 'unchanged', receipt: receipt() }));
  const clock = new StillClock();
  const ask = buildReceiptRelay({ clock, sources: [writer], maxPerSecond: 10, held: () => held });
  assert.equal(await ask({ nonce, hash, isNewcomer: false, signal }), receipt());
  assert.deepEqual(
    writer.asked.map(({ nonce: sent, etag }) => [sent, etag]),
    [[nonce, `"${hash}"`]],
  );
});

test('no word of anybody else, for another poll or about another list, is passed on', async (t) => {
  const { held, hash, receipt } = await followed(t);
  const clock = new StillClock();
  const wish = { nonce, hash, isNewcomer: false, signal };
  const bad = [
    receipt({ nonce: 'B'.repeat(22) }),
    receipt({ list: `sha256:${'0'.repeat(64)}` }),
    receipt({}, rootKey),
    'not.a.receipt',
  ];
  for (const one of bad) {
    const liar = new Writer(() => ({ kind: 'unchanged', receipt: one }));
    const honest = new Writer(() => ({ kind: 'unchanged', receipt: receipt() }));
    const sources = [liar, honest];
    const ask = buildReceiptRelay({ clock, sources, maxPerSecond: 10, held: () => held });
    assert.equal(await ask(wish), receipt(), one);
    assert.equal(await ask(wish), receipt());
    assert.equal(liar.asked.length, 1, 'who lies rests');
  }
  const body = held.bundle.list;
  const newer = new Writer(() => ({
    kind: 'document',
    body: Buffer.from(body),
    receipt: receipt(),
  }));
  const ask = buildReceiptRelay({ clock, sources: [newer], maxPerSecond: 10, held: () => held });
  assert.equal(await ask({ ...wish, hash: `sha256:${'1'.repeat(64)}` }), undefined);
});

test('a writer that is away is asked seldom, and nobody waits for it', async (t) => {
  const { held, hash, receipt } = await followed(t);
  const clock = new StillClock();
  const writer = new Writer(() => {
    throw new PeerError('connect_failed', 'away');
  });
  const ask = buildReceiptRelay({ clock, sources: [writer], maxPerSecond: 100, held: () => held });
  const wish = { nonce, hash, isNewcomer: false, signal };
  for (let poll = 0; poll < 5; poll += 1) assert.equal(await ask(wish), undefined);
  assert.equal(writer.asked.length, 1);
  clock.atMs += 2_000;
  writer.answer = () => ({ kind: 'unchanged', receipt: receipt() });
  assert.equal(await ask(wish), receipt());
});

test('a flood of polls costs the writer so many questions and no more', async (t) => {
  const { held, hash, receipt } = await followed(t);
  const clock = new StillClock();
  const writer = new Writer(() => ({ kind: 'unchanged', receipt: receipt() }));
  const ask = buildReceiptRelay({ clock, sources: [writer], maxPerSecond: 10, held: () => held });
  const wish = { nonce, hash, isNewcomer: false, signal };
  for (let poll = 0; poll < 50; poll += 1) await ask(wish);
  assert.equal(writer.asked.length, 10);
});

/** Takes reports, or does not. */
class Taker implements TellPort {
  count = 0;
  hops: (number | undefined)[] = [];
  readonly #answer: TellAnswer | Error;

  constructor(answer: TellAnswer | Error) {
    this.#answer = answer;
  }

  async tell({ hops }: { readonly hops?: number }): Promise<TellAnswer> {
    this.count += 1;
    this.hops.push(hops);
    if (this.#answer instanceof Error) throw this.#answer;
    return this.#answer;
  }
}

const report = { agent: '001', mac: 'm', body: Buffer.from('x'), ip: '192.0.2.1' };

function relayTo(...targets: readonly Taker[]) {
  const parts = { clock: systemClock, targets: () => targets, maxPerSecond: 1_000 };
  return buildReportRelay(parts);
}

test('a report goes to the first publisher that answers, and its answer goes back', async () => {
  const away = new Taker(new PeerError('connect_failed', 'away'));
  const none = new Taker({ status: 404 });
  const taker = new Taker({ status: 200, nextSec: 77 });
  const relay = relayTo(away, none, taker);
  assert.deepEqual(await relay.take(report, startMs, 0), { kind: 'taken', nextSec: 77 });
  assert.deepEqual(taker.hops, [1]);
  const replayed = await relayTo(new Taker({ status: 409, seq: 5 })).take(report, startMs, 0);
  assert.ok(replayed.kind === 'refused' && replayed.status === 409 && replayed.seq === 5);
  const nobody = await relayTo(away).take(report, startMs, 0);
  assert.ok(nobody.kind === 'refused' && nobody.status === 503);
  const circle = await relay.take({ ...report, hops: 3 }, startMs, 0);
  assert.ok(circle.kind === 'refused' && circle.name === 'circle');
});

test('whoever sends what is not proven is cut off here, and others are not', async () => {
  const taker = new Taker({ status: 401 });
  const relay = relayTo(taker);
  for (let at = 0; at < 100; at += 1) await relay.take(report, startMs, systemClock.monotonicMs());
  assert.ok(taker.count < 60, `${taker.count} went on`);
  const before = taker.count;
  await relay.take({ ...report, ip: '192.0.2.2' }, startMs, systemClock.monotonicMs());
  assert.equal(taker.count, before + 1);
});
