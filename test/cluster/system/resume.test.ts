/** A first sync over a line that breaks: what was carried is not carried again. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Home, startMaster, startWorker, until } from './nodes.ts';

const mebibyte = 1024 * 1024;
const cluster = {
  intervals: {
    master: { recalculate_integrity: 0.2 },
    worker: { sync_integrity: 300, connection_retry: 0.2 },
  },
};

/** A line to the master's port that breaks once, after so many bytes towards the worker. */
async function breakingLine(t: TestContext, port: number, breakAfter: number) {
  const carried: number[] = [];
  const line = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    const at = carried.push(0) - 1;
    const end = (): void => void [near, far].map((socket) => socket.destroy());
    for (const socket of [near, far]) socket.on('error', end).on('close', end);
    t.after(end);
    near.pipe(far);
    far.on('data', (bytes: Buffer) => {
      carried[at] = (carried[at] ?? 0) + bytes.length;
      if (at === 0 && (carried[0] ?? 0) > breakAfter) end();
      else if (!near.write(bytes)) {
        far.pause();
        near.once('drain', () => far.resume());
      }
    });
  });
  line.listen(0, '127.0.0.1');
  await once(line, 'listening');
  t.after(() => line.close());
  return { port: (line.address() as AddressInfo).port, carried };
}

test('a bundle that a broken link cut goes on where it stopped, though keys changed meanwhile', async (t) => {
  const home = new Home(t, {
    'etc/lists/large': randomBytes(24 * mebibyte),
    'etc/client.keys': '001 a any k1\n',
  });
  const { port, ...master } = await startMaster(t, home, { cluster });
  await until('scan', () => master.log.has('Calculated metadata of 2 files'));
  const line = await breakingLine(t, port, 16 * mebibyte);
  const there = new Home(t);
  const worker = startWorker(t, there, { name: 'w', port: line.port, cluster });
  await until('it breaks', () => line.carried.length > 1);
  home.write('etc/client.keys', '001 a any k1\n002 b any k2\n');

  await until('in step', () => there.tree()['etc/lists/large'] !== undefined);
  await until('keys too', () => there.read('etc/client.keys') === home.read('etc/client.keys'));
  assert.deepEqual(there.tree(), home.tree());
  assert.equal(master.log.count(/The worker holds \d+ bytes of it: the rest follows\./), 1);
  const [first = 0, ...later] = line.carried;
  const whole = (24 * mebibyte * 4) / 3; // sealed bytes are base64
  const total = first + later.reduce((sum, bytes) => sum + bytes, 0);
  assert.ok(total < whole + 10 * mebibyte, `${total} bytes for ${whole}`);
  await until('nothing is left', () => there.leftovers().every((name) => !name.endsWith('.part')));
  await worker.stop();
});
