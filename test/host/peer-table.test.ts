/** Whom a process is connected to, read anew when its sockets are others. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { PeerTable } from '../../src/host/peer-table.ts';
import { agentHome } from '../../src/wazuh/agent-home.ts';

const onLinux = { skip: process.platform !== 'linux' && 'reads /proc' };

async function listener(context: TestContext, address: string): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => socket.destroy()));
  server.listen(0, address);
  await once(server, 'listening');
  context.after(() => server.close());
  const at = server.address();
  return typeof at === 'object' && at !== null ? at.port : 0;
}

async function dial(context: TestContext, address: string, port: number): Promise<Socket> {
  const socket = connect(port, address);
  await once(socket, 'connect');
  context.after(() => socket.destroy());
  return socket;
}

test(
  'a new connection is seen at the next look, a look at the same sockets reads nothing',
  onLinux,
  async (context) => {
    let nowMs = 0;
    const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs, after: () => () => undefined };
    const table = new PeerTable(clock, agentHome('linux', '/nowhere'));
    const look = async (port: number) =>
      (await table.read([process.pid], false)).filter((peer) => peer.port === port);
    const first = await listener(context, '127.91.7.1');
    const socket = await dial(context, '127.91.7.1', first);
    const [peer, ...more] = await look(first);
    assert.deepEqual([peer?.address, peer?.port, more.length], ['127.91.7.1', first, 0]);
    assert.ok((peer?.localPort ?? 0) > 0);
    assert.equal((await look(first)).length, 1);

    const second = await listener(context, '127.91.7.2');
    await dial(context, '127.91.7.2', second);
    assert.equal((await look(second)).length, 1);

    socket.destroy();
    await once(socket, 'close');
    nowMs += 30_000;
    assert.deepEqual(await look(first), []);
  },
);

test('without a process there is no peer', async () => {
  const clock = { nowMs: () => 0, monotonicMs: () => 0, after: () => () => undefined };
  assert.deepEqual(await new PeerTable(clock, agentHome('linux', '/nowhere')).read([], false), []);
});
