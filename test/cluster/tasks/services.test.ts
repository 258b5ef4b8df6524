/** The table of handlers and tasks that the parts of a node share a link by. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Asked, Reply } from '../../../src/cluster/session/output.ts';
import { NodeLog } from '../../../src/cluster/tasks/node-log.ts';
import { type Service, Services } from '../../../src/cluster/tasks/services.ts';
import { faultText } from '../../../src/cluster/wire/fault.ts';
import { dial, listen } from '../links.ts';
import { LineLog } from '../system/nodes.ts';

const asked = (command: 'updateStart' | 'integrityUnchanged'): Asked => ({
  kind: 'asked',
  counter: 1,
  command,
  value: undefined,
});

/** A real link whose answers are caught instead of sent. */
async function caught(t: Parameters<typeof listen>[0]) {
  const { port } = await listen(t);
  const { link } = await dial(port);
  t.after(() => link.close());
  const answers: Reply[] = [];
  link.answer = (_counter, reply) => void answers.push(reply);
  const log = new LineLog();
  return { peer: { link, log: new NodeLog(log, 'Worker w') }, answers, log };
}

const text = (reply: Reply | undefined): string =>
  reply?.kind === 'fault' ? faultText(reply.fault) : String(reply?.kind === 'ok' && reply.payload);

test('a command is answered by its handler, else by the fallback, else with an error', async (t) => {
  const { peer, answers } = await caught(t);
  const own: Service<typeof peer> = {
    handlers: { updateStart: () => ({ kind: 'ok', payload: 'own' }) },
  };
  const fallback: Service<typeof peer>['handlers'] = {
    updateStart: () => ({ kind: 'ok', payload: 'fallback' }),
  };
  new Services([own], fallback).serve(asked('updateStart'), peer);
  new Services([], fallback).serve(asked('updateStart'), peer);
  new Services([own]).serve(asked('integrityUnchanged'), peer);
  assert.deepEqual(answers.map(text).slice(0, 2), ['own', 'fallback']);
  assert.match(text(answers[2]), /not served here: syn_m_c_ok/);
});

test('an answer may come late; one that fails is error 1000 and a line', async (t) => {
  const { peer, answers, log } = await caught(t);
  const services = new Services<typeof peer>([
    {
      handlers: {
        updateStart: async () => ({ kind: 'ok', payload: 'late' }),
        integrityUnchanged: () => Promise.reject(new Error('no disk')),
      },
    },
  ]);
  services.serve(asked('updateStart'), peer);
  services.serve(asked('integrityUnchanged'), peer);
  await new Promise(setImmediate);
  assert.equal(text(answers[0]), 'late');
  assert.match(text(answers[1]), /no disk/);
  assert.ok(log.has("Unhandled error processing request 'b'syn_m_c_ok'': no disk"));
});

test('two services for one command are a bug that shows at the start', () => {
  const one = { handlers: { updateStart: (): Reply => ({ kind: 'ok', payload: '' }) } };
  assert.throws(() => new Services([one, one]), /two services answer updateStart/);
});

test('every task runs until the link ends; one that fails is said and stops no other', async (t) => {
  const { peer, log } = await caught(t);
  const end = new AbortController();
  let ended = 0;
  const waits = {
    name: 'waits',
    run: (_peer: typeof peer, signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => {
          ended += 1;
          resolve();
        });
      }),
  };
  const fails = { name: 'fails', run: () => Promise.reject(new Error('broken')) };
  const running = new Services<typeof peer>([{ tasks: [fails, waits] }, { tasks: [waits] }]).run(
    peer,
    end.signal,
  );
  await new Promise(setImmediate);
  assert.ok(log.has('Unhandled error in fails: broken'));
  assert.equal(ended, 0);
  end.abort();
  await running;
  assert.equal(ended, 2);
});
