/** What recorded stock masters said and sent, said again to our worker: it ends with their files. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Link, type LinkHandler } from '../../../src/cluster/link.ts';
import { decodePayload, findCommand } from '../../../src/cluster/wire/command.ts';
import { readBundle } from '../files/raw-bundle.ts';
import { recordedBundles } from '../files/recorded-bundles.ts';
import { clock, MemoryStore, random } from '../links.ts';
import { type RecordedFrame, recordedFrames, recordedSeal } from '../recording.ts';
import { Home, startWorker, until } from '../system/nodes.ts';

/** From `syn_m_c` to `syn_m_c_e`, one order. */
function ordersOf(recording: string): readonly (readonly RecordedFrame[])[] {
  const said = recordedFrames(recording).filter(({ dir, isRequest }) => dir === 'm>w' && isRequest);
  const orders: RecordedFrame[][] = [];
  for (const frame of said) {
    if (frame.command === 'syn_m_c') orders.push([frame]);
    else if (/^(?:new_file|file_upd|file_end|syn_m_c_e)$/.test(frame.command)) {
      orders.at(-1)?.push(frame);
    }
  }
  return orders;
}

/** A stock master that answers the n-th check with the n-th recorded order, then with all well. */
async function recordedMaster(t: TestContext, recording: string) {
  const seen = { port: 0, done: 0, answers: [] as string[] };
  const orders = [...ordersOf(recording)];
  const handler: LinkHandler = {
    asked(asked, link) {
      const ok = (payload: string): void => link.answer(asked.counter, { kind: 'ok', payload });
      if (asked.command === 'hello') link.admit(asked.counter, { mustBeOurs: false });
      else if (asked.command === 'mayCheckIntegrity') ok('True');
      else if (asked.command === 'integrityStart') ok('11111111-2222-4333-8444-555555555555');
      else if (asked.command !== 'integritySent') ok('Error received');
      else {
        ok('File correctly received');
        link.takeFile(asked.value.path);
        const order = orders.shift();
        const told = order === undefined ? allWell(link) : replay(link, order, seen.answers);
        told.then(
          () => {
            seen.done += 1;
          },
          () => undefined,
        );
      }
    },
  };
  seen.port = await stockMaster(t, handler);
  return seen;
}

/** A master whose side of each link is `handler`. */
async function stockMaster(t: TestContext, handler: LinkHandler): Promise<number> {
  const server = createServer((socket) => {
    const ports = { clock, random, store: new MemoryStore(), handler };
    const link = new Link(socket, { role: 'master', seal: recordedSeal }, ports);
    t.after(() => link.close());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function allWell(link: Link): Promise<undefined> {
  await link.request('integrityUnchanged', undefined);
}

async function replay(
  link: Link,
  order: readonly RecordedFrame[],
  answers: string[],
): Promise<void> {
  let taskId = '';
  for (const frame of order) {
    const name = findCommand('master', frame.command);
    assert.ok(name !== undefined && frame.payload !== undefined);
    const value = decodePayload(name, frame.payload);
    const today = name === 'updateSent' ? { ...(value as object), taskId } : value;
    const answer = await link.request(name, today as typeof value);
    answers.push(answer.kind === 'ok' ? 'ok' : `${frame.command}: ${answer.fault.code}`);
    if (name === 'updateStart' && answer.kind === 'ok') taskId = answer.payload.toString();
  }
}

const cluster = { intervals: { worker: { sync_integrity: 0.05 } } };

for (const recording of [
  '01-connect-keepalive-firstsync',
  '03-integrity-missing-shared-extra',
  '04-integrity-live-changes',
  '30-separator-in-file',
]) {
  test(`our worker takes what the stock master of ${recording} sent, and has its files`, async (t) => {
    const home = new Home(t);
    const master = await recordedMaster(t, recording);
    const worker = startWorker(t, home, { name: 'w', port: master.port, cluster });
    const count = ordersOf(recording).length;
    await until('all orders', () => master.done > count);
    await until('applied', () => worker.log.count('[Integrity sync] Finished in') >= count);
    assert.deepEqual(new Set(master.answers), new Set(['ok']));
    const bundles = recordedBundles(recording).filter(({ dir }) => dir === 'm>w');
    const wanted = new Set<string>();
    for (const { bytes } of bundles) {
      const bundle = await readBundle(bytes);
      const metadata = JSON.parse(bundle.metadata);
      for (const name of bundle.members.keys()) wanted.add(name);
      for (const name of Object.keys(metadata.extra)) wanted.delete(name);
    }
    assert.deepEqual(Object.keys(home.tree()).sort(), [...wanted].sort());
  });
}

test('a check that the stock master cancels is logged as stock does, and the next one runs (17)', async (t) => {
  const recorded = recordedFrames('17-cancel-task-by-master').find(
    ({ command }) => command === 'cancel_task',
  );
  const cancel = decodePayload('cancelTask', recorded?.payload ?? Buffer.alloc(0));
  const answers: string[] = [];
  let checks = 0;
  const handler: LinkHandler = {
    asked(asked, link) {
      const ok = (payload: string): void => link.answer(asked.counter, { kind: 'ok', payload });
      if (asked.command === 'hello') link.admit(asked.counter, { mustBeOurs: false });
      else if (asked.command === 'mayCheckIntegrity') ok('True');
      else if (asked.command === 'integrityStart') ok(cancel.taskId ?? '');
      else if (asked.command !== 'integritySent') ok('Thanks');
      else {
        link.takeFile(asked.value.path);
        checks += 1;
        const done = checks === 1 ? link.request('cancelTask', cancel) : allWell(link);
        void Promise.resolve(done).then((answer) => {
          if (answer?.kind === 'ok') answers.push(answer.payload.toString());
          ok('File correctly received');
        });
      }
    },
  };
  const port = await stockMaster(t, handler);
  const worker = startWorker(t, new Home(t), { name: 'w', port, cluster });
  await until('the next check', () => checks > 1);
  await until('all well', () => worker.log.has('[Integrity check] Finished in'));
  assert.deepEqual(answers.slice(0, 1), ['Request received correctly']);
  const line =
    'ERROR: [Worker w] [Main] The task was canceled due to the following error on the remote node: Error 3039 - Timeout while waiting to receive a file';
  assert.equal(worker.log.count(line), 1, worker.log.text());
});
