/** The link over real sockets on loopback: requests, uploads, ends. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { LinkHandler } from '../../src/cluster/link.ts';
import { broadcast } from '../../src/cluster/session/broadcast.ts';
import { sealMessage } from '../../src/cluster/session/sealed-message.ts';
import { expectOk, sendFile, sendString } from '../../src/cluster/upload.ts';
import { fault } from '../../src/cluster/wire/fault.ts';
import { joined, listen } from './links.ts';
import { seal } from './pair.ts';

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

test('what one chunk asks is answered in the order in which the answers were sealed', async (t) => {
  const offer = { node: 'm', features: [], mustBeOurs: false };
  const { port } = await listen(t, { session: { offer } });
  const { link } = await joined(t, port, 'w1', { offer: { ...offer, node: 'w1' } });

  // A chunk with requests for the role and for the session itself: the role answers while the
  // session's answers are still to be written. Out of order, the link's own MAC ends it.
  for (let round = 0; round < 20; round++) {
    const asked = Array.from({ length: 6 }, (_, index) =>
      index % 2 === 0
        ? link.request('mayCheckIntegrity', undefined)
        : link.request('echo', Buffer.from(`${index}`)),
    );
    for (const answer of await Promise.all(asked)) assert.equal(answer.kind, 'ok');
  }
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
