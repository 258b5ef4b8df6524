import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { platform } from 'node:os';
import { test } from 'node:test';
import { parseSendQueue, readSendQueue } from '../../src/host/send-queue.ts';
import { eventually } from '../fakes/processes.ts';

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:C350 0200007F:05EA 01 00004E20:00000000 01:00000014 00000003     0        0 4711 1 0
   1: 0100007F:C351 0200007F:05EA 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0
   2: 0100007F:C352 0200007F:05EA 01 00010000:00000000 04:00000014 00000000     0        1 4713 1 0
   3: 0100007F:C353 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4714 1 0
`;

function of(localPort: number) {
  return parseSendQueue(table, { localPort, remotePort: 1514, isIpv6: false });
}

test('bytes sent again and again without an answer are counted', () => {
  assert.deepEqual(of(50_000), { unackedBytes: 20_000, retransmits: 3, isWindowClosed: false });
});

test('an empty queue has nothing under way', () => {
  assert.deepEqual(of(50_001), { unackedBytes: 0, retransmits: 0, isWindowClosed: false });
});

test('a closed window is told by the probe timer', () => {
  assert.deepEqual(of(50_002), { unackedBytes: 65_536, retransmits: 0, isWindowClosed: true });
});

test('a listening socket and an unknown connection have no queue', () => {
  assert.equal(of(50_003), undefined);
  assert.equal(of(50_004), undefined);
  assert.equal(parseSendQueue('', { localPort: 1, remotePort: 2, isIpv6: false }), undefined);
});

test('the kernel of this host tells of a peer that does not read', {
  skip: platform() === 'linux' ? false : 'the table is of Linux',
}, async (context) => {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  const accepted = once(server, 'connection');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const socket = connect(address.port, '127.0.0.1');
  const [peer] = await accepted;
  context.after(() => {
    socket.destroy();
    peer.destroy();
    server.close();
  });
  const look = () =>
    readSendQueue({
      localPort: socket.localPort ?? 0,
      remotePort: address.port,
      isIpv6: false,
    });
  assert.deepEqual(look(), { unackedBytes: 0, retransmits: 0, isWindowClosed: false });
  socket.write(Buffer.alloc(32 * 1024 * 1024));
  await eventually('the window closes', () => look()?.isWindowClosed);
});
