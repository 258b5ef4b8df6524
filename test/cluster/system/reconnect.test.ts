/** Workers that come back, whatever keeps them away. */

import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { Home, startWorker, until } from './nodes.ts';

test('a worker that finds no room for its folder of uploads tries again', async (t) => {
  const home = new Home(t);
  const folder = join(home.path, 'queue/cluster/w');
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    rmSync(folder, { recursive: true, force: true });
    writeFileSync(folder, ''); // no folder can be made there, as on a full disk
    socket.destroy();
  });
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const cluster = { intervals: { worker: { connection_retry: 0.1 } } };
  const worker = startWorker(t, home, { name: 'w', port, cluster });
  await until('again', () => worker.log.count('Could not connect to master: EEXIST') > 1, 10_000);
});
