import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../../src/clock.ts';
import type { Link } from '../../../src/cluster/link.ts';
import { type ListPeer, listCourier } from '../../../src/cluster/tasks/list-courier.ts';
import { NodeLog } from '../../../src/cluster/tasks/node-log.ts';
import { PeerError } from '../../../src/errors.ts';
import { LineLog } from '../system/nodes.ts';

const held = { mark: 'one', bytes: Buffer.from('list') };
/** Waiting takes no time; deadlines never pass. */
const clock: Clock = {
  nowMs: () => 0,
  monotonicMs: () => 0,
  after(delayMs, task) {
    if (delayMs > 5_000) return () => undefined;
    const soon = setImmediate(task);
    return () => clearImmediate(soon);
  },
};

/** Delivers to a peer that answers `listReady` so, one after the other, then ends the link. */
async function deliver(...answers: readonly ('lost' | 'ok' | 'fault')[]): Promise<number> {
  const stop = new AbortController();
  let asked = 0;
  const request = async (command: string) => {
    if (command !== 'listReady') return { kind: 'ok', payload: Buffer.from('1') };
    const answer = answers[asked];
    asked += 1;
    if (answer === 'lost') throw new PeerError('peer_silent', 'no answer in time');
    if (answer === 'ok') setImmediate(() => stop.abort());
    return answer === 'ok' ? { kind: 'ok', payload: Buffer.from('Taken') } : { kind: 'fault' };
  };
  const link = { request, flushed: async () => undefined } as unknown as Link;
  const log = new NodeLog(new LineLog(), 'Master');
  const peer = { name: 'w', link, log, features: new Set(['list']) } as unknown as ListPeer;
  const desk = {
    held: () => held,
    untilOther: (mark: string, signal: AbortSignal) =>
      mark === held.mark
        ? new Promise<void>((_, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason));
          })
        : Promise.resolve(),
    maxBytes: 1_000,
  };
  await listCourier(desk, clock)
    .tasks?.[0]?.run(peer, stop.signal)
    .catch((error: unknown) => assert.equal(error, stop.signal.reason));
  return asked;
}

test('a list that a slow line lost is sent again; one that is taken is not', async () => {
  assert.equal(await deliver('lost', 'lost', 'ok', 'ok'), 3);
});

test('a peer that has no use for the list is asked once', async () => {
  assert.equal(await deliver('fault', 'ok'), 1);
});
