/** Our client against stock local servers as they were recorded, and against bad ones. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { LocalClient, LocalFault } from '../../../src/cluster/local/local-client.ts';
import { healthJson, momentMs } from '../../../src/cluster/local/node-health.ts';
import { encodeFrame } from '../../../src/cluster/wire/frame.ts';
import { PeerError } from '../../../src/errors.ts';
import { dialUnix } from '../../../src/host/cluster-local-socket.ts';
import { systemClock, systemRandom } from '../../../src/host/system-clock.ts';
import { recordedFrames } from '../recording.ts';
import { connectionsOf, folderOf, playServer } from './played-server.ts';

const master = '09-cluster-control-master.local-m';
const worker = '08-cluster-control-worker.local-w';

function clientOf(path: string): LocalClient {
  const dial = (signal: AbortSignal) => dialUnix(systemClock, path, signal);
  return new LocalClient({ clock: systemClock, random: systemRandom, dial });
}

for (const recording of [master, worker]) {
  test(`nodes and health of ${recording} as typed values`, async (t) => {
    const [nodes = 0] = connectionsOf(recording, 'get_nodes');
    const [health = 0] = connectionsOf(recording, 'get_health');
    const server = await playServer(t, recording, [nodes, health]);
    const client = clientOf(server.path);

    const list = await client.nodes();
    const seen = await client.health(['m', 'w']);

    assert.deepEqual(list, {
      items: [
        { name: 'm', type: 'master', version: '4.14.8', address: '127.0.0.1' },
        { name: 'w', type: 'worker', version: '4.14.8', address: '127.0.0.1' },
      ],
      totalItems: 2,
    });
    assert.equal(seen.connectedNodes, 1);
    const w = seen.nodes.find(({ name }) => name === 'w');
    assert.equal(w?.activeAgents, 0);
    assert.equal(w?.sync?.integritySync.missing, 5);
    assert.ok((momentMs(w?.sync?.lastKeepAlive ?? '') ?? 0) > 1.79e12);
    assert.equal(momentMs(w?.sync?.agentInfo.end ?? ''), undefined);
    const recorded = recordedFrames(recording)
      .filter((frame) => frame.conn === health && frame.dir === 's>c')
      .map((frame) => frame.payload?.toString() ?? '')
      .find((text) => text.startsWith('{"n_connected'));
    assert.deepEqual(healthJson(seen), JSON.parse(recorded ?? ''), 'nothing is lost');
    assert.deepEqual(server.asked, [
      ['get_nodes', recordedText(recording, nodes)],
      ['get_health', '["m", "w"]'],
    ]);
  });

  test(`a call through ${recording} brings its result`, async (t) => {
    const [call = 0] = connectionsOf(recording, 'dapi');
    const server = await playServer(t, recording, [call]);
    const request = JSON.parse(recordedText(recording, call));

    const result = await clientOf(server.path).call(request);

    assert.equal(result.kind, 'document');
    assert.equal(JSON.parse(JSON.stringify(result)).document.totalItems, 4);
    assert.deepEqual(server.asked, [['dapi', recordedText(recording, call)]]);
  });
}

test('an error of the cluster is a fault with its code', async (t) => {
  const server = await playServer(t, master, connectionsOf(master, 'dapi_fwd'));

  await assert.rejects(clientOf(server.path).callTo('nosuch', {}), (error: unknown) => {
    assert.ok(error instanceof LocalFault);
    assert.equal(error.fault.code, 3022);
    return true;
  });
});

test('a call that fails in the cluster is a fault, not a hang', async (t) => {
  const recording = '24-dapi-distributed.local-w';
  const [last = 0] = connectionsOf(recording, 'dapi').slice(-1);
  const server = await playServer(t, recording, [last]);
  const request = JSON.parse(recordedText(recording, last));

  await assert.rejects(clientOf(server.path).call(request), /Decoding callable from module 'os'/);
});

test('no socket: the cluster is not running', async (t) => {
  const client = clientOf(join(folderOf(t), 'none.sock'));

  await assert.rejects(client.nodes(), { reason: 'not_found', message: /Error 3012/ });
});

const answers: readonly (readonly [string, Buffer, RegExp])[] = [
  ['nothing, ever', Buffer.alloc(0), /did not answer/],
  ['no JSON', answer('ok', 'hello'), /cannot be read/],
  ['a class to be revived', answer('ok', '{"__callable__": {"__name__": "x"}}'), /not allowed/],
  ['deep nesting', answer('ok', '['.repeat(100_000)), /nested deeper/],
  ['nodes that are none', answer('ok', '{"items": [{"name": 7}], "totalItems": 1}'), /short text/],
  ['a promise and no more', answer('ok', 'Sent request to master node'), /did not answer/],
];

for (const [what, bytes, message] of answers) {
  test(`a local server that answers with ${what} is an error in time`, async (t) => {
    const path = join(folderOf(t), 's.sock');
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.once('data', (chunk: Buffer) => {
        if (bytes.length > 0)
          socket.write(Buffer.concat([chunk.subarray(0, 4), bytes.subarray(4)]));
      });
      t.after(() => socket.destroy());
    });
    server.listen(path);
    await once(server, 'listening');
    t.after(() => server.close());

    const asking = clientOf(path).nodes({}, { timeoutMs: 600 });

    await assert.rejects(asking, (error: unknown) => {
      assert.ok(error instanceof PeerError);
      assert.match(error.message, message);
      return true;
    });
  });
}

function answer(word: string, text: string): Buffer {
  return encodeFrame({ counter: 0, word, role: 'whole' }, Buffer.from(text));
}

function recordedText(recording: string, conn: number): string {
  const frame = recordedFrames(recording).find((one) => one.conn === conn);
  return frame?.payload?.toString() ?? '';
}
