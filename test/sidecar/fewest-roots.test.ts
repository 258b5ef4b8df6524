import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApplyRequest } from '../../src/applier/request.ts';
import { ListError, type ReasonName } from '../../src/errors.ts';
import { applyWithFewestRoots } from '../../src/sidecar/fewest-roots.ts';
import { aResult } from './scene.ts';

const roots = [1, 2, 3].map((byte) => Uint8Array.of(byte));
const request = { listEnvelope: Uint8Array.of(0), rootEnvelopes: roots, order: ['a'], move: false };

/** What was offered to an applier that answers as `answer` says. */
async function offered(answer: (count: number) => ReasonName | undefined, first?: number) {
  const counts: number[] = [];
  const submit = async ({ rootEnvelopes }: ApplyRequest) => {
    counts.push(rootEnvelopes.length);
    const reason = answer(rootEnvelopes.length);
    if (reason === undefined) return aResult('written');
    return aResult('refused', new ListError(reason, 'as told'));
  };
  const result = await applyWithFewestRoots(request, submit, first);
  return { counts, outcome: result.outcome };
}

test('an applier that knows every root is offered none', async () => {
  assert.deepEqual(await offered(() => undefined), { counts: [0], outcome: 'written' });
});

test('one that trusts nothing yet is offered the newest root at once', async () => {
  assert.deepEqual(await offered(() => undefined, 1), { counts: [1], outcome: 'written' });
});

test('one that is two roots behind gets exactly two', async () => {
  const behind = (count: number) => (count === 0 ? 'wrong_epoch' : 'root_gap');
  const seen = await offered((count) => (count === 2 ? undefined : behind(count)));
  assert.deepEqual(seen, { counts: [0, 1, 2], outcome: 'written' });
});

test('a list that no root makes good is refused after the whole chain', async () => {
  assert.deepEqual(await offered(() => 'unknown_key'), {
    counts: [0, 1, 2, 3],
    outcome: 'refused',
  });
});

test('any other refusal is final', async () => {
  assert.deepEqual(await offered(() => 'rolled_back'), { counts: [0], outcome: 'refused' });
});
