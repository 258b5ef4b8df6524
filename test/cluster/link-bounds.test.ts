/** What strangers and bad peers may cost a link: bytes, time, memory. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { AddressBudget } from '../../src/cluster/address-budget.ts';
import { HandClock, joined, listen, rawDial } from './links.ts';
import { wireBytes } from './pair.ts';

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
