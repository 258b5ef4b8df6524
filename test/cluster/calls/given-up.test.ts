/** Questions whose askers are gone when their turn comes: an enrolment for nobody is one too many. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DaemonDesk } from '../../../src/cluster/calls/daemon-desk.ts';
import { PendingCalls } from '../../../src/cluster/calls/pending-calls.ts';
import { NodeLog } from '../../../src/cluster/tasks/node-log.ts';
import { fault } from '../../../src/cluster/wire/fault.ts';
import { HandClock, random } from '../links.ts';
import { LineLog } from '../system/nodes.ts';

const never = new AbortController().signal;

test('a worker that is gone before its turn enrols nobody on the master', async () => {
  const asked: string[] = [];
  const stuck = Promise.withResolvers<string>();
  const port = {
    exchange: ({ message }: { readonly message: string }) => {
      asked.push(message);
      return stuck.promise;
    },
  };
  const desk = new DaemonDesk({ port, allowed: ['authd'], log: new NodeLog(new LineLog(), 'x') });
  const enrol = (name: string, signal: AbortSignal): Promise<string> =>
    desk.ask(Buffer.from(JSON.stringify({ daemon_name: 'authd', message: name })), 'w1', signal);
  const others = ['a', 'b', 'c', 'd'].map((name) => enrol(name, never));
  const link = new AbortController();
  const late = enrol('ghost', link.signal);
  const next = enrol('e', never);

  link.abort(new Error('the link ended'));
  stuck.resolve('done');

  await assert.rejects(late, /whoever asked is gone/);
  assert.deepEqual(await Promise.all([...others, next]), Array(5).fill('done'));
  assert.deepEqual(asked, ['a', 'b', 'c', 'd', 'e']);
});

test('a program that hung up before its turn asks the master nothing', async () => {
  const pending = new PendingCalls(new HandClock(), random);
  const program = new AbortController();
  program.abort(new Error('it hung up'));
  const ask = (): Promise<never> => assert.fail('nothing is asked');

  const asking = pending.run({}, 1_000, ask, program.signal);

  await assert.rejects(asking, { fault: fault(3021) });
  assert.equal(pending.size, 0);
});
