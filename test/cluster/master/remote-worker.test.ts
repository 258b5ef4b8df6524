/** A worker as its master sees it: when its line is taken for dead, and when its folder stays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseClusterJson } from '../../../src/cluster/files/cluster-json.ts';
import type { Link } from '../../../src/cluster/link.ts';
import type { MasterDesk } from '../../../src/cluster/master/desk.ts';
import { RemoteWorker } from '../../../src/cluster/master/remote-worker.ts';
import { MemoryHeldBook } from '../../../src/cluster/tasks/held-book.ts';
import type { TransferFolder } from '../../../src/cluster/tasks/node-ports.ts';
import type { PeerError } from '../../../src/errors.ts';
import { HandClock, random } from '../links.ts';
import { LineLog, until } from '../system/nodes.ts';

function remoteWorker() {
  const log = new LineLog();
  const questions: PromiseWithResolvers<unknown>[] = [];
  const closed: unknown[] = [];
  const request = () => {
    const question = Promise.withResolvers<unknown>();
    questions.push(question);
    return question.promise;
  };
  const close = async (error: PeerError) => void closed.push(error.reason);
  const link = { isOpen: true, request, close } as unknown as Link;
  const end = () => Promise.reject(new Error('ENOTEMPTY: directory not empty'));
  const ports = { clock: new HandClock(), random, log, heldBook: new MemoryHeldBook() };
  const settings = { cluster: parseClusterJson({}) };
  const desk = { settings, ports, local: {} } as unknown as MasterDesk;
  const hello = { node: 'w', cluster: 'wazuh', type: 'worker', version: '4.14.8' };
  const worker = new RemoteWorker(hello, link, { end } as unknown as TransferFolder, desk);
  return { worker, log, questions, closed };
}

test('a worker that must answer and does not loses its link; however often, it is asked once at a time', async () => {
  const { worker, questions, closed } = remoteWorker();
  for (let turn = 0; turn < 3; turn++) worker.mustAnswer();
  assert.equal(questions.length, 1);
  questions[0]?.resolve({ kind: 'ok', payload: Buffer.from('keepalive') });
  await new Promise(setImmediate);
  assert.deepEqual(closed, []);
  worker.mustAnswer();
  questions[1]?.reject(new Error('no answer in time'));
  await new Promise(setImmediate);
  assert.deepEqual([questions.length, closed], [2, ['peer_silent']]);
});

test('a folder of uploads that cannot be removed when the link ends costs a line, not the node', async () => {
  const { worker, log } = remoteWorker();
  worker.end();
  await until('told', () => log.has('What it uploaded could not be removed: ENOTEMPTY'), 3_000);
});
