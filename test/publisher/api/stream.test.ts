/** Live streams: so many, so long, for good tokens, and never a queue for who is slow. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../../../src/log.ts';
import { type Listener, StreamHub, streamLimits } from '../../../src/publisher/api/stream.ts';
import type { TokenRecord } from '../../../src/publisher/api/token.ts';

/** Timers run when `pass` says so. */
class TimerClock {
  atMs = 1_000;
  #timers: { readonly atMs: number; readonly task: () => void }[] = [];
  nowMs = (): number => this.atMs;
  monotonicMs = (): number => this.atMs;
  after = (delayMs: number, task: () => void): (() => void) => {
    const timer = { atMs: this.atMs + delayMs, task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  };
  pass(ms: number): void {
    const endMs = this.atMs + ms;
    for (;;) {
      const [next] = this.#timers.toSorted((left, right) => left.atMs - right.atMs);
      if (next === undefined || next.atMs > endMs) break;
      this.#timers = this.#timers.filter((one) => one !== next);
      this.atMs = Math.max(this.atMs, next.atMs);
      next.task();
    }
    this.atMs = endMs;
  }
  get waiting(): number {
    return this.#timers.length;
  }
}

function tokenOf(id: string): TokenRecord {
  const hash = id.padEnd(43, 'h');
  return { id, name: id, role: 'read', hash, createdAtMs: 0, expiresAtMs: 1e12 };
}

class Client implements Listener {
  readonly token: TokenRecord;
  readonly heard: string[] = [];
  isSlow = false;
  isCut = false;
  ended: string | undefined;
  constructor(id: string) {
    this.token = tokenOf(id);
  }
  pending = (): number => (this.isSlow ? 1_000 : 0);
  send = (text: string): void => void this.heard.push(text);
  end(text: string): void {
    this.ended = text;
  }
  cut(): void {
    this.isCut = true;
  }
}

function openHub() {
  const clock = new TimerClock();
  const tokens = ['aaaaaaaa', 'bbbbbbbb'].map(tokenOf);
  const state = { picture: 1, tokens, fault: undefined as Error | undefined };
  const board = {
    look() {
      if (state.fault !== undefined) throw state.fault;
      return { agents: state.picture } as never;
    },
    loads: () => new Map(),
    async count() {
      if (state.fault !== undefined) throw state.fault;
    },
  };
  const hub = new StreamHub({ clock, log: silentLog, board, tokens: () => state.tokens });
  return { clock, state, hub };
}

test('a picture comes at once, again when it changes, and a beat in between', () => {
  const { clock, state, hub } = openHub();
  const client = new Client('aaaaaaaa');
  hub.open(client);
  assert.deepEqual(client.heard, ['event: overview\ndata: {"atMs":1000,"agents":1}\n\n']);
  clock.pass(5_000);
  assert.equal(client.heard.length, 1);
  state.picture = 2;
  clock.pass(300);
  assert.match(client.heard[1] ?? '', /"agents":2/);
  clock.pass(11_000);
  assert.deepEqual(client.heard.slice(2), [': beat\n\n']);
});

test('who is slow misses pictures, is sent the newest later, and is cut off in the end', () => {
  const { clock, state, hub } = openHub();
  const client = new Client('aaaaaaaa');
  hub.open(client);
  client.isSlow = true;
  for (state.picture = 2; state.picture < 50; state.picture += 1) clock.pass(300);
  assert.equal(client.heard.length, 1, 'nothing is queued');
  client.isSlow = false;
  clock.pass(300);
  assert.match(client.heard[1] ?? '', /"agents":50/);
  client.isSlow = true;
  clock.pass(streamLimits.stalledMs + 1_000);
  assert.ok(client.isCut);
  assert.equal(hub.count(), 0);
});

test('streams end with their token, with their time, and with the publisher', () => {
  const { clock, state, hub } = openHub();
  const [revoked, old, last] = [
    new Client('aaaaaaaa'),
    new Client('bbbbbbbb'),
    new Client('bbbbbbbb'),
  ];
  hub.open(revoked);
  hub.open(old);
  state.tokens = [tokenOf('bbbbbbbb')];
  clock.pass(300);
  assert.match(revoked.ended ?? '', /"why":"token"/);
  clock.pass(streamLimits.lifeMs);
  assert.match(old.ended ?? '', /"why":"age"/);
  hub.open(last);
  hub.endAll();
  assert.match(last.ended ?? '', /"why":"stopping"/);
  clock.pass(1_000);
  assert.equal(clock.waiting, 0, 'nobody looks, nothing runs');
});

test('one token has so many streams, and all of them together', () => {
  const { hub } = openHub();
  for (let at = 0; at < streamLimits.perToken; at += 1) {
    assert.ok(hub.hasRoomFor(tokenOf('aaaaaaaa')));
    hub.open(new Client('aaaaaaaa'));
  }
  assert.equal(hub.hasRoomFor(tokenOf('aaaaaaaa')), false);
  const close = hub.open(new Client('bbbbbbbb'));
  for (let at = hub.count(); at < streamLimits.all; at += 1) hub.open(new Client(`c${at}`));
  assert.equal(hub.hasRoomFor(tokenOf('dddddddd')), false);
  close();
  assert.ok(hub.hasRoomFor(tokenOf('dddddddd')));
});

test('a picture that cannot be drawn leaves the last one and ends nothing', async () => {
  const { clock, state, hub } = openHub();
  const client = new Client('aaaaaaaa');
  hub.open(client);
  state.fault = new TypeError('a bug of ours');
  state.picture = 2;
  clock.pass(1_000);
  await new Promise((resolve) => setImmediate(resolve)); // the count fails too
  assert.equal(client.heard.length, 1);
  state.fault = undefined;
  clock.pass(1_000);
  assert.match(client.heard.at(-1) ?? '', /"agents":2/);
  assert.equal(hub.count(), 1);
});
