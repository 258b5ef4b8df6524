/** What the applier is asked for a step: urgency and a fresh connection follow from the reason alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestOf } from '../../src/sidecar/act.ts';
import type { MoveReason } from '../../src/sidecar/step.ts';
import { signedList, signedRoot } from '../list/documents.ts';
import { joinedMemory, loopbackList, theRoot } from './scene.ts';

const root = { envelope: signedRoot(theRoot), hash: 'sha256:0' };
const position = { epoch: 1, term: 1, version: 1 };
const envelope = signedList(loopbackList());
const memory = joinedMemory({
  list: { envelope, hash: 'sha256:0', position, root, acceptedAtMs: 0 },
});
const asked = (reason: MoveReason) => {
  const { urgent = false, renew = false } =
    requestOf(memory, { kind: 'move', order: ['a'], to: 'a', reason }) ?? {};
  return { urgent, renew };
};

test('a connection that looks established and leads nowhere is made anew, others only where needed', () => {
  assert.deepEqual(asked('vip_moved'), { urgent: true, renew: true });
  assert.deepEqual(asked('agent_wedged'), { urgent: true, renew: true });
  assert.deepEqual(asked('manager_down'), { urgent: true, renew: false });
  assert.deepEqual(asked('manager_draining'), { urgent: false, renew: false });
  const write = requestOf(memory, { kind: 'write', order: ['a'], reason: 'membership' });
  assert.deepEqual([write?.move, write?.renew], [false, undefined]);
});
