/** Workers that come back, or cannot: neither a dead line nor a full disk keeps one away. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { createSeal } from '../../../src/cluster/wire/seal.ts';
import { Home, key, startMaster, startWorker, until } from './nodes.ts';
import { dialAs, rawDial, requestBytes } from './peers.ts';

test('a name that is taken is refused, and whoever has it must answer an echo', async (t) => {
  const master = await startMaster(t, new Home(t));
  const silent = await rawDial(t, master.port);
  let heard = '';
  silent.on('data', (bytes: Buffer) => {
    heard += bytes.toString('latin1');
  });
  silent.write(requestBytes(createSeal(key), 1, 'hello', 'w wazuh worker 4.14.8'));
  await until('known', () => master.role.workers().length === 1);
  const link = await dialAs(t, master.port);
  const hello = { node: 'w', cluster: 'wazuh', type: 'worker', version: '4.14.8' };
  const answer = await link.request('hello', hello);
  assert.equal(answer.kind === 'fault' ? answer.fault.code : 0, 3028);
  await until('asked', () => heard.includes('echo-m '));
});

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
