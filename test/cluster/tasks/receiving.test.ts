import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReceivingTasks, uuid } from '../../../src/cluster/tasks/receiving.ts';
import { fault } from '../../../src/cluster/wire/fault.ts';
import { HandClock } from '../links.ts';
import { CountingRandom } from '../pair.ts';

function tasks() {
  const clock = new HandClock();
  const cancelled: string[] = [];
  const taken: string[] = [];
  const receiving = new ReceivingTasks({
    clock,
    random: new CountingRandom(),
    timeoutMs: 120_000,
    cancel: (id, reason) => void cancelled.push(`${id} ${reason.code}`),
  });
  const giver = {
    takeFile: (path: string) => {
      taken.push(path);
      return path === 'queue/cluster/w/a.zip' ? { transfer: 7, sizeBytes: 3 } : undefined;
    },
  };
  return { clock, cancelled, taken, receiving, giver };
}

test('ids are version 4 UUIDs', () => {
  const id = uuid(new CountingRandom().bytes(16));
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('a file that is told under its task is handed over once', async () => {
  const { receiving, giver } = tasks();
  const task = receiving.start();
  const word = { taskId: task?.id ?? '', path: 'queue/cluster/w/a.zip' };
  assert.deepEqual(receiving.sent(word, giver), { kind: 'ok', payload: 'File correctly received' });
  assert.deepEqual(await task?.file, { transfer: 7, sizeBytes: 3, path: 'queue/cluster/w/a.zip' });
  assert.deepEqual(receiving.sent(word, giver), { kind: 'fault', fault: fault(3027, word.taskId) });
});

test('the id of nobody has no effect: no file is looked for', () => {
  const { receiving, giver, taken } = tasks();
  const reply = receiving.sent({ taskId: 'nobody', path: 'etc/client.keys' }, giver);
  assert.deepEqual(reply, { kind: 'fault', fault: fault(3027, 'nobody') });
  assert.equal(receiving.failed({ taskId: 'nobody', fault: fault(1000) }), false);
  assert.equal(receiving.failed({ taskId: undefined, fault: fault(1000) }), false);
  assert.deepEqual(taken, []);
});

test('a file that was never uploaded fails its task', async () => {
  const { receiving, giver } = tasks();
  const task = receiving.start();
  const reply = receiving.sent({ taskId: task?.id ?? '', path: 'queue/cluster/w/b.zip' }, giver);
  assert.equal(reply.kind, 'fault');
  await assert.rejects(task?.file ?? Promise.resolve(), /Error 3040/);
});

test('a task that waits too long is cancelled on the peer with 3039', async () => {
  const { receiving, clock, cancelled } = tasks();
  const task = receiving.start();
  clock.advance(119_999);
  assert.deepEqual(cancelled, []);
  clock.advance(1);
  assert.deepEqual(cancelled, [`${task?.id} 3039`]);
  await assert.rejects(task?.file ?? Promise.resolve(), /Error 3039 - Timeout while waiting/);
});

test('a peer cannot open tasks without end, and the end of the link ends them', async () => {
  const { receiving } = tasks();
  const open = [1, 2, 3, 4].map(() => receiving.start());
  assert.equal(receiving.start(), undefined);
  receiving.end();
  for (const task of open) await assert.rejects(task?.file ?? Promise.resolve(), /link ended/);
  assert.ok(receiving.start());
});
