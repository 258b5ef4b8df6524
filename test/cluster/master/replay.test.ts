/** What recorded stock workers said, said again to our master: every answer is of stock's form. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Link, LinkHandler } from '../../../src/cluster/link.ts';
import type { Answer } from '../../../src/cluster/session/output.ts';
import {
  type CommandName,
  decodePayload,
  findCommand,
  type Payload,
} from '../../../src/cluster/wire/command.ts';
import { splitBundle } from '../files/raw-bundle.ts';
import { recordedBundles } from '../files/recorded-bundles.ts';
import { type RecordedFrame, recordedFrames } from '../recording.ts';
import { Home, startMaster, until } from '../system/nodes.ts';
import { dialAs } from '../system/peers.ts';

const recordings = [
  '01-connect-keepalive-firstsync',
  '02-integrity-nochange',
  '03-integrity-missing-shared-extra',
  '04-integrity-live-changes',
  '05-agent-info',
  '06-agent-groups',
  '07-agent-groups-full',
  '10-sendsync',
  '12-wrong-cluster-name',
  '13-wrong-version',
  '14-name-of-master',
  '15-invalid-node-name',
  '20-send-string',
  '21-divided-messages',
  '23-master-restart',
  '26-permission-denied',
  '27-no-wdb',
  '30-separator-in-file',
  '31-two-workers',
];
/** Answers that do not depend on what the master holds: equal to the recorded ones. */
const fixed: ReadonlySet<CommandName> = new Set([
  'hello',
  'keepAlive',
  'openFile',
  'appendFile',
  'endFile',
  'appendString',
  'integritySent',
  'echo',
]);

/** A recorded worker, as far as it answers the master. */
class RecordedWorker {
  readonly verdicts: string[] = [];
  readonly handler: LinkHandler = {
    asked: (asked, link) => {
      const { command, counter } = asked;
      if (command === 'integrityUnchanged' || command === 'updateStart')
        this.verdicts.push(command);
      const payload = command === 'updateStart' ? '11111111-2222-4333-8444-555555555555' : 'Thanks';
      link.answer(counter, { kind: 'ok', payload });
    },
  };
  #taskId = '';
  #stringId = '';

  /** Ids are the receiver's: in what is said again they are those of today. */
  adapt<Name extends CommandName>(name: Name, value: Payload<Name>): Payload<Name> {
    if (typeof value !== 'object' || value === null) return value;
    if ('taskId' in value && name === 'integritySent') return { ...value, taskId: this.#taskId };
    if ('stringId' in value && name === 'appendString')
      return { ...value, stringId: this.#stringId };
    return value;
  }

  learn(name: CommandName, answer: Answer): void {
    if (answer.kind !== 'ok') return;
    if (name === 'integrityStart') this.#taskId = answer.payload.toString();
    if (name === 'reserveString') this.#stringId = answer.payload.toString();
  }
}

function answerText(answer: Answer): string {
  return answer.kind === 'ok' ? answer.payload.toString('latin1') : `error ${answer.fault.code}`;
}

function recordedText(frame: RecordedFrame | undefined): string {
  const text = frame?.payload?.toString('latin1') ?? '';
  const code = /"code": (\d+)/.exec(text)?.[1];
  return frame?.command === 'err' ? `error ${code}` : text;
}

async function say(
  worker: RecordedWorker,
  link: Link,
  frame: RecordedFrame,
  recorded: RecordedFrame | undefined,
): Promise<void> {
  const name = findCommand('worker', frame.command);
  assert.ok(name !== undefined && frame.payload !== undefined);
  const value = worker.adapt(name, decodePayload(name, frame.payload));
  const before = worker.verdicts.length;
  const ask = (): Promise<Answer> => link.request(name, value, { timeoutMs: 120_000 });
  let answer = await ask();
  // Said faster than it was recorded: the order before may still be under way.
  for (let turn = 0; name === 'integrityStart' && answer.kind === 'fault' && turn < 3_000; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    answer = await ask();
  }
  worker.learn(name, answer);
  if (fixed.has(name)) assert.equal(answerText(answer), recordedText(recorded), frame.command);
  if (name === 'mayCheckIntegrity') assert.match(answerText(answer), /^(?:True|False)$/);
  if (name === 'integritySent') await until('verdict', () => worker.verdicts.length > before);
}

for (const recording of recordings) {
  test(`the worker of ${recording} finds our master as it found stock's`, async (t) => {
    const home = new Home(t, { 'etc/client.keys': '001 a any k\n', 'etc/rules/r.xml': '<r/>' });
    const config = { nodeName: recording.startsWith('14') ? 'm' : 'recorded-master' };
    const master = await startMaster(t, home, { config });
    await until('scan', () => master.log.has('Calculated metadata'));
    const frames = recordedFrames(recording);
    for (const conn of new Set(frames.map((frame) => frame.conn))) {
      const worker = new RecordedWorker();
      const link = await dialAs(t, master.port, worker.handler);
      const here = frames.filter((frame) => frame.conn === conn);
      const answers = new Map(
        here
          .filter(({ dir, isRequest, payload }) => dir === 'm>w' && !isRequest && payload)
          .map((frame) => [frame.counter, frame]),
      );
      const asked = here.filter(
        ({ dir, isRequest, payload }) => dir === 'w>m' && isRequest && payload,
      );
      for (const frame of asked) await say(worker, link, frame, answers.get(frame.counter));
      await link.close();
      await until('forgotten', () => master.role.workers().length === 0);
    }
    assert.ok(!master.log.has('Unhandled error'), master.log.text());
  });
}

test('our master orders of the recorded empty worker what the stock master ordered', async (t) => {
  const bundles = recordedBundles('01-connect-keepalive-firstsync');
  const recorded = bundles.find(({ dir }) => dir === 'm>w')?.bytes ?? Buffer.alloc(0);
  const members = [...splitBundle(recorded)];
  const files = members.filter(([name]) => name !== 'files_metadata.json');
  const home = new Home(t, Object.fromEntries(files));
  const master = await startMaster(t, home, { config: { nodeName: 'recorded-master' } });
  await until('scan', () => master.log.has('Calculated metadata'));
  const worker = new RecordedWorker();
  const link = await dialAs(t, master.port, worker.handler);
  const frames = recordedFrames('01-connect-keepalive-firstsync');
  const end = frames.findIndex(({ command }) => command === 'syn_i_w_m_e') + 1;
  const asked = frames.slice(0, end).filter(({ dir, isRequest }) => dir === 'w>m' && isRequest);
  for (const frame of asked) {
    if (!/^(?:hello|syn_i|new_file|file_)/.test(frame.command)) continue;
    const answer = frames.find(
      (one) => one.dir === 'm>w' && !one.isRequest && one.counter === frame.counter,
    );
    await say(worker, link, frame, answer);
  }
  const metadata = JSON.parse(
    String(members.find(([name]) => name === 'files_metadata.json')?.[1]),
  );
  const missing = Object.keys(metadata.missing).length;
  assert.deepEqual(worker.verdicts, ['updateStart']);
  assert.ok(master.log.has(`Files to create in worker: ${missing} | Files to update in worker: 0`));
});

test('a second node of one name gets the recorded refusal, and the first one stays (16)', async (t) => {
  const frames = recordedFrames('16-duplicate-name');
  const master = await startMaster(t, new Home(t));
  const first = await dialAs(t, master.port);
  const hellos = frames.filter(({ dir, isRequest }) => dir === 'w>m' && isRequest);
  const refusals = frames.filter(({ dir, isRequest }) => dir === 'm>w' && !isRequest);
  assert.ok(hellos.length > 0 && hellos.length === refusals.length);
  const hello = decodePayload('hello', hellos[0]?.payload ?? Buffer.alloc(0));
  assert.equal((await first.request('hello', hello)).kind, 'ok');
  for (const [turn, frame] of hellos.entries()) {
    const second = await dialAs(t, master.port);
    const answer = await second.request('hello', decodePayload('hello', frame.payload as Buffer));
    assert.equal(answerText(answer), recordedText(refusals[turn]));
    await second.close();
  }
  assert.deepEqual(
    master.role.workers().map(({ name }) => name),
    [hello.node],
  );
});

test('a worker that does not say that its file is there is cancelled as stock does it (17)', async (t) => {
  const frames = recordedFrames('17-cancel-task-by-master');
  const recorded = frames.find(({ command }) => command === 'cancel_task');
  const { fault } = decodePayload('cancelTask', recorded?.payload ?? Buffer.alloc(0));
  const intervals = {
    communication: { timeout_receiving_file: 0.2 },
    master: { recalculate_integrity: 0.05 },
  };
  const master = await startMaster(t, new Home(t), { cluster: { intervals } });
  await until('scan', () => master.log.has('Calculated metadata'));
  const cancelled: Payload<'cancelTask'>[] = [];
  const link = await dialAs(t, master.port, {
    asked: ({ counter }, from) => from.answer(counter, { kind: 'ok', payload: 'Thanks' }),
    cancelled: (taskId, reason) => cancelled.push({ taskId, fault: reason }),
  });
  const ask = async (command: string): Promise<string> => {
    const frame = frames.find((one) => one.command === command);
    const name = findCommand('worker', command);
    assert.ok(frame?.payload !== undefined && name !== undefined);
    return answerText(await link.request(name, decodePayload(name, frame.payload)));
  };
  await ask('hello');
  assert.equal(await ask('syn_i_w_m_p'), 'True');
  const taskId = await ask('syn_i_w_m');
  assert.match(taskId, /^[0-9a-f-]{36}$/);
  await until('cancelled', () => cancelled.length > 0);
  assert.deepEqual(cancelled, [{ taskId, fault }]);
  let next = await ask('syn_i_w_m_p');
  // Not before the next scan of the master, whose interval is 50 ms here.
  for (let turn = 0; next !== 'True' && turn < 1_000; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    next = await ask('syn_i_w_m_p');
  }
  assert.equal(next, 'True', 'the lock of the cancelled check is free again');
});
