/** A worker as its master sees it. */
import { test } from 'node:test';
import { parseClusterJson } from '../../../src/cluster/files/cluster-json.ts';
import type { Link } from '../../../src/cluster/link.ts';
import type { MasterDesk } from '../../../src/cluster/master/desk.ts';
import { RemoteWorker } from '../../../src/cluster/master/remote-worker.ts';
import { MemoryHeldBook } from '../../../src/cluster/tasks/held-book.ts';
import type { TransferFolder } from '../../../src/cluster/tasks/node-ports.ts';
import { HandClock, random } from '../links.ts';
import { LineLog, until } from '../system/nodes.ts';

function remoteWorker() {
  const log = new LineLog();
  const link = { isOpen: true } as unknown as Link;
  const end = () => Promise.reject(new Error('ENOTEMPTY: directory not empty'));
  const ports = { clock: new HandClock(), random, log, heldBook: new MemoryHeldBook() };
  const settings = { cluster: parseClusterJson({}) };
  const desk = { settings, ports, local: {} } as unknown as MasterDesk;
  const hello = { node: 'w', cluster: 'wazuh', type: 'worker', version: '4.14.8' };
  const worker = new RemoteWorker(hello, link, { end } as unknown as TransferFolder, desk);
  return { worker, log };
}

test('a folder of uploads that cannot be removed when the link ends costs a line, not the node', async () => {
  const { worker, log } = remoteWorker();
  worker.end();
  await until('told', () => log.has('What it uploaded could not be removed: ENOTEMPTY'), 3_000);
});
