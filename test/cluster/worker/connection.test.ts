/** The end of a worker's connection. */
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { parseClusterJson } from '../../../src/cluster/files/cluster-json.ts';
import { NodeLog } from '../../../src/cluster/tasks/node-log.ts';
import { Connection, type ConnectionParts } from '../../../src/cluster/worker/connection.ts';
import { HandClock, random } from '../links.ts';
import { seal } from '../pair.ts';
import { LineLog, until } from '../system/nodes.ts';

test('a folder of uploads that cannot be removed when the link ends costs a line, not the node', async () => {
  const lines = new LineLog();
  const end = () => Promise.reject(new Error('ENOTEMPTY: directory not empty'));
  const peerBook = { isOurs: () => false };
  const connection = new Connection({
    ...{ socket: new Socket(), seal, log: new NodeLog(lines, 'Worker w'), services: [] },
    settings: { cluster: parseClusterJson({}), config: { nodeName: 'w' } },
    ports: { clock: new HandClock(), random, peerBook, openTransfers: () => ({ end }) },
  } as unknown as ConnectionParts);
  await connection.link.close();
  await until('told', () => lines.has('could not be removed: ENOTEMPTY'), 3_000);
  assert.equal(lines.count('ERROR'), 1);
});
