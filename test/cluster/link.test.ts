/** The link over real sockets on loopback. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Cancel, Clock, Random } from '../../src/clock.ts';
import { AddressBudget } from '../../src/cluster/address-budget.ts';
import {
  Link,
  type LinkHandler,
  type LinkPorts,
  type LinkSession,
} from '../../src/cluster/link.ts';
import { broadcast } from '../../src/cluster/session/broadcast.ts';
import type { StoreStep } from '../../src/cluster/session/output.ts';
import { sealMessage } from '../../src/cluster/session/sealed-message.ts';
import type { TransferStore } from '../../src/cluster/store-queue.ts';
import { expectOk, sendFile, sendString } from '../../src/cluster/upload.ts';
import { fault } from '../../src/cluster/wire/fault.ts';
import { seal, wireBytes } from './pair.ts';

const clock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
};
const random: Random = { bytes: (length) => randomBytes(length), fraction: () => 0.5 };

class MemoryStore implements TransferStore {
  readonly parts = new Map<number, Buffer[]>();
  readonly actions: string[] = [];
  failOn: StoreStep['action'] | undefined;

  async perform(step: StoreStep): Promise<void> {
    this.actions.push(step.action);
    if (step.action === this.failOn) throw new Error('ENOSPC: no space left on device');
    if (step.action === 'open') this.parts.set(step.transfer, []);
    if (step.action === 'append') this.parts.get(step.transfer)?.push(Buffer.from(step.bytes));
    if (step.action === 'drop') this.parts.delete(step.transfer);
  }

  content(transfer: number): Buffer {
    return Buffer.concat(this.parts.get(transfer) ?? []);
  }
}

interface Peer {
  readonly link: Link;
  readonly store: MemoryStore;
}

/** A master that admits everybody, and answers role commands with `ok`. */
const admitAll: LinkHandler = {
  asked(asked, link) {
    if (asked.command === 'hello') link.admit(asked.counter, { mustBeOurs: false });
    else link.answer(asked.counter, { kind: 'ok', payload: 'True' });
  },
};

interface Master {
  readonly server: Server;
  readonly port: number;
  readonly peers: Peer[];
}

async function listen(
  t: TestContext,
  more: {
    handler?: LinkHandler;
    budget?: AddressBudget;
    session?: Partial<LinkSession>;
    clock?: Clock;
  } = {},
): Promise<Master> {
  const peers: Peer[] = [];
  const server = createServer((socket) => {
    const store = new MemoryStore();
    const ports: LinkPorts = {
      clock: more.clock ?? clock,
      random,
      store,
      handler: more.handler ?? admitAll,
      ...(more.budget && { budget: more.budget }),
    };
    peers.push({ link: new Link(socket, { role: 'master', seal, ...more.session }, ports), store });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const { link } of peers) void link.close();
  });
  return { server, port: (server.address() as AddressInfo).port, peers };
}

async function dial(port: number, handler: LinkHandler = admitAll): Promise<Peer> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const store = new MemoryStore();
  return {
    link: new Link(socket, { role: 'worker', seal }, { clock, random, store, handler }),
    store,
  };
}

async function joined(t: TestContext, port: number, node = 'w1'): Promise<Peer> {
  const peer = await dial(port);
  t.after(() => peer.link.close());
  const hello = { node, cluster: 'wazuh', type: 'worker', version: '4.14.8' };
  expectOk(await peer.link.request('hello', hello), 'hello');
  return peer;
}

/** Whoever knows no protocol of ours. */
async function rawDial(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

test('requests are answered over a socket, also many at once', async (t) => {
  const { port } = await listen(t);
  const { link } = await joined(t, port);
  const sizes = [0, 1, 1000, 70_000, 5_242_880, 5_242_881, 6_000_000];
  const answers = await Promise.all(
    sizes.map((size) => link.request('echo', Buffer.alloc(size, 'a'))),
  );
  assert.deepEqual(
    answers.map((answer) => answer.kind === 'ok' && answer.payload.length),
    sizes,
  );
  const many = await Promise.all(
    Array.from({ length: 500 }, () => link.request('mayCheckIntegrity', undefined)),
  );
  assert.ok(many.every((answer) => answer.kind === 'ok' && answer.payload.toString() === 'True'));
});

test('a string and a file arrive whole; large ones through the store', async (t) => {
  const { port, peers } = await listen(t);
  const { link } = await joined(t, port);
  const [master] = peers;
  const text = randomBytes(3_000_000);
  const small = master?.link.takeString(await sendString(link, text));
  assert.equal(small?.kind === 'memory' && small.bytes.compare(text), 0);
  const large = randomBytes(9_000_000);
  const taken = master?.link.takeString(await sendString(link, large));
  assert.equal(taken?.kind, 'stored');
  assert.equal(
    master?.store.content(taken?.kind === 'stored' ? taken.transfer : 0).compare(large),
    0,
  );
  const path = '/queue/cluster/w1/w1-1.zip';
  const sent = await sendFile(link, path, asyncOf([large, text]));
  assert.equal(sent.sentBytes, 12_000_000);
  assert.ok(sent.digest.equals(createHash('sha256').update(large).update(text).digest()));
  const file = master?.link.takeFile(path);
  assert.equal(file?.sizeBytes, 12_000_000);
  assert.equal(master?.store.content(file?.transfer ?? 0).compare(Buffer.concat([large, text])), 0);
});

async function* asyncOf(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

test('a disk that is full is an error for the sender; no half file can be taken', async (t) => {
  const { port, peers } = await listen(t);
  const { link } = await joined(t, port);
  const [master] = peers;
  if (master !== undefined) master.store.failOn = 'append';
  const path = '/queue/cluster/w1/w1-2.zip';
  await assert.rejects(sendFile(link, path, asyncOf([Buffer.alloc(10_000_000)])), {
    reason: 'peer_refused',
  });
  assert.equal(master?.link.takeFile(path), undefined);
  assert.equal(master?.store.parts.size, 0);
});

test('an aborted upload is ended on the peer and rejects with the reason', async (t) => {
  const { port, peers } = await listen(t);
  const { link } = await joined(t, port);
  const controller = new AbortController();
  async function* source(): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(10);
    controller.abort(new Error('enough'));
    yield Buffer.alloc(10);
  }
  const path = '/queue/cluster/w1/w1-3.zip';
  const sending = sendFile(link, path, source(), { signal: controller.signal });
  await assert.rejects(sending, /enough/);
  assert.equal(peers[0]?.link.takeFile(path)?.sizeBytes, 10);
});

test('a body sealed once reaches many peers', async (t) => {
  const { port, peers } = await listen(t);
  await joined(t, port, 'w1');
  await joined(t, port, 'w2');
  const message = sealMessage(seal, 'integrityUnchanged', undefined, {
    iv: randomBytes(16),
    unixSeconds: 1,
  });
  const receivers = new Map(
    peers.map(({ link }, index) => [
      `w${index + 1}`,
      { request: () => link.requestSealed(message) },
    ]),
  );
  const answers = broadcast(receivers, message);
  assert.deepEqual([...answers.keys()], ['w1', 'w2']);
  for (const answer of answers.values()) assert.equal((await answer).kind, 'ok');
});

test('when the peer goes, requests reject and the link says who ended it', async (t) => {
  const { port, peers } = await listen(t);
  const { link } = await joined(t, port);
  const waiting = assert.rejects(
    link
      .request('hello', { node: 'x', cluster: 'x', type: 'x', version: 'x' }, { timeoutMs: 60_000 })
      .then((answer) => {
        assert.equal(answer.kind, 'fault');
        throw new Error('answered');
      }),
    /answered/,
  );
  await waiting;
  void peers[0]?.link.close();
  const end = await link.ended;
  assert.equal(end.by, 'peer');
  await assert.rejects(link.request('echo', Buffer.alloc(1)), { reason: 'link_closed' });
});

test('a request whose signal aborts rejects at once, and its late answer changes nothing', async (t) => {
  let release: (() => void) | undefined;
  const handler: LinkHandler = {
    asked(asked, link) {
      if (asked.command === 'hello') link.admit(asked.counter, { mustBeOurs: false });
      else release = () => link.answer(asked.counter, { kind: 'ok', payload: 'late' });
    },
  };
  const { port } = await listen(t, { handler });
  const { link } = await joined(t, port);
  const controller = new AbortController();
  const waiting = link.request('mayCheckIntegrity', undefined, { signal: controller.signal });
  expectOk(await link.request('echo', Buffer.from('x')), 'echo');
  controller.abort(new Error('not needed'));
  await assert.rejects(waiting, /not needed/);
  release?.();
  expectOk(await link.request('echo', Buffer.from('x')), 'echo');
});

test('a handler that throws is an error for the peer, not the end of anything', async (t) => {
  const seen: unknown[] = [];
  const handler: LinkHandler = {
    asked(asked, link) {
      if (asked.command === 'hello') return link.admit(asked.counter, { mustBeOurs: false });
      throw new Error('a bug');
    },
    failed: (error) => void seen.push(error),
  };
  const { port } = await listen(t, { handler });
  const { link } = await joined(t, port);
  const answer = await link.request('mayCheckIntegrity', undefined);
  assert.deepEqual(answer, { kind: 'fault', fault: fault(1000, 'a bug') });
  assert.equal(seen.length, 1);
});

test('strangers of one address share one budget, and it is given back', async (t) => {
  const budget = new AddressBudget();
  const { server, port, peers } = await listen(t, { budget });
  const accepted = new Promise<void>((resolve) =>
    server.on('connection', () => peers.length === 8 && resolve()),
  );
  const header = Buffer.alloc(20, ' ');
  header.writeUInt32BE(60_000, 4);
  const sockets = await Promise.all(Array.from({ length: 8 }, () => rawDial(port)));
  for (const socket of sockets) socket.write(Buffer.concat([header, Buffer.alloc(59_000, 'A')]));
  const closed = sockets.map((socket) => once(socket, 'close'));
  await Promise.race(closed);
  assert.ok(budget.usedBytes <= 256 * 1024);
  await accepted;
  for (const socket of sockets) socket.destroy();
  await Promise.all(peers.map(({ link }) => link.ended));
  assert.equal(budget.usedBytes, 0);
  await joined(t, port);
  assert.equal(budget.usedBytes, 0, 'a known node costs nothing');
});

test('a peer that sends but never reads makes us stop reading, not hold its answers', async (t) => {
  const { port, peers } = await listen(t);
  const socket = await rawDial(port);
  t.after(() => socket.destroy());
  socket.pause();
  socket.write(wireBytes(1, 'hello', 'greedy wazuh worker 4.14.8'));
  const echo = wireBytes(2, 'echo', Buffer.alloc(1_000_000));
  const before = process.memoryUsage().arrayBuffers;
  let written = 0;
  while (written < 200 && socket.write(echo)) written += 1;
  for (; written < 200; written++) {
    const drained = await Promise.race([
      once(socket, 'drain').then(() => true),
      new Promise((resolve) => setTimeout(resolve, 300, false)),
    ]);
    if (drained === false) break;
    socket.write(echo);
  }
  assert.ok(written < 100, `${written} requests were read`);
  assert.ok(process.memoryUsage().arrayBuffers - before < 64_000_000);
  assert.equal(peers[0]?.link.isOpen, true);
});

/** A clock that moves when told. */
class HandClock implements Clock {
  #now = 1000;
  readonly #timers = new Set<{ readonly atMs: number; readonly task: () => void }>();

  nowMs(): number {
    return 1e12 + this.#now;
  }

  monotonicMs(): number {
    return this.#now;
  }

  after(delayMs: number, task: () => void): Cancel {
    const timer = { atMs: this.#now + delayMs, task };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  advance(byMs: number): void {
    this.#now += byMs;
    for (const timer of [...this.#timers]) {
      if (timer.atMs > this.#now || !this.#timers.delete(timer)) continue;
      timer.task();
    }
  }
}

test('a connection that never says hello is closed at five seconds', async (t) => {
  const hand = new HandClock();
  const { port, peers, server } = await listen(t, { clock: hand });
  const accepted = once(server, 'connection');
  const socket = await rawDial(port);
  await accepted;
  hand.advance(4999);
  assert.equal(peers[0]?.link.isOpen, true);
  hand.advance(1);
  const end = await peers[0]?.link.ended;
  assert.match(end?.error?.message ?? '', /no good hello within 5000 ms/);
  socket.destroy();
});

test('garbage ends the link with one reason, and the listener goes on', async (t) => {
  const { port, peers } = await listen(t);
  const socket = await rawDial(port);
  socket.write('GET / HTTP/1.1\r\nHost: example\r\n\r\n');
  await once(socket, 'close');
  const end = await peers[0]?.link.ended;
  assert.equal(end?.by, 'us');
  assert.match(end?.error?.message ?? '', /^a frame announces \d+ bytes/);
  await joined(t, port);
});
