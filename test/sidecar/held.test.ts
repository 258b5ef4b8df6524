/** What the applier said no to, and what that keeps from being decided. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, HostError } from '../../src/errors.ts';
import { decide } from '../../src/sidecar/decide.ts';
import type { Situation } from '../../src/sidecar/decide-view.ts';
import type { Memory } from '../../src/sidecar/memory.ts';
import { rememberResult, rememberStep } from '../../src/sidecar/remember.ts';
import type { Step } from '../../src/sidecar/step.ts';
import { situationOf } from './decide-cases.ts';
import { aResult } from './scene.ts';

const misfit = new ConfigError('config_invalid', 'notify_time does not fit this file');
const full = new HostError('restart_budget', 'no restart is left');

/** An applier that never takes tuning. Undefined: nothing was asked of it. */
function answer(step: Step) {
  if (step.kind === 'move') return aResult('held', full);
  if (step.kind !== 'write') return undefined;
  return step.reason === 'tuning' ? aResult('refused', misfit) : aResult('written');
}

/** One cycle every second; what was asked, in order. */
function asked(situation: Situation, cycles: number): readonly string[] {
  let { memory } = situation;
  return Array.from({ length: cycles }, (_, second) => {
    const nowMs = situation.nowMs + second * 1_000;
    const { step } = decide({ ...situation, memory, nowMs });
    const result = answer(step);
    if (result === undefined) return '';
    const ending = { step, listHash: situation.list.hash, result, nowMs };
    memory = rememberResult(rememberStep(memory, step, nowMs), ending);
    return 'reason' in step ? `${second} ${step.kind} ${step.reason}` : '';
  }).filter((one) => one !== '');
}

const tuning = { tuning: { maxRetries: 1 } };

test('tuning that is refused for ever keeps no file from its own order', () => {
  const one = { name: '', expect: '', file: ['b', 'a', 'c'], agent: 'on b', policy: tuning };
  assert.deepEqual(asked(situationOf(one), 2), ['0 write tuning', '1 write own_order']);
});

test('tuning that is refused for ever keeps no agent from home, and neither is asked in each cycle', () => {
  const policy = { ...tuning, failBack: 'always' };
  const one = { name: '', expect: '', agent: 'on b', policy };
  assert.deepEqual(asked(situationOf(one), 130), [
    '0 write tuning',
    '1 move fail_back',
    '61 move fail_back',
    '121 move fail_back',
  ]);
});

test('what is held of tuning outlives what another step brings, until tuning itself is taken', () => {
  const step = { kind: 'write', order: ['a'], reason: 'tuning' } as const;
  const other = { ...step, reason: 'own_order' } as const;
  const end = (memory: Memory, done: Step, result: ReturnType<typeof aResult>) =>
    rememberResult(memory, { step: done, listHash: '', result, nowMs: 0 });
  const held = end(situationOf({ name: '', expect: '' }).memory, step, aResult('refused', misfit));
  assert.equal(end(held, other, aResult('written')).heldTuning?.reason, 'config_invalid');
  assert.equal(end(held, step, aResult('written')).heldTuning, undefined);
});
