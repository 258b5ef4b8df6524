/** Slots that come round: everybody has one, and hardly anybody at one instant. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide } from '../../src/sidecar/decide.ts';
import { homeSlotAtMs } from '../../src/sidecar/decide-slot.ts';
import { type DecideCase, situationOf } from './decide-cases.ts';

const agents = Array.from({ length: 400 }, (_, number) => `${number}`);
const tenYearsSec = 315_360_000;
const inRelay: DecideCase = {
  name: '',
  relay: 'open',
  file: ['relay', 'a', 'b', 'c'],
  agent: 'relayed b',
  accepted: tenYearsSec,
  health: { a: `up ${tenYearsSec}` },
  expect: '',
};

/** Whether this agent goes home, so many seconds after the cases' now. */
function goesHome(agentId: string, afterSec: number, policy: Readonly<Record<string, unknown>>) {
  const situation = situationOf({ ...inRelay, policy });
  const nowMs = situation.nowMs + afterSec * 1_000;
  return decide({ ...situation, agentId, nowMs }).step.kind === 'switch';
}

test('a clock set forth sends a hundredth of the agents home at once, all within one window', () => {
  const policy = { failBackSpread: 1_800 };
  const atOnce = agents.filter((id) => goesHome(id, 0, policy));
  assert.ok(atOnce.length < 10, `${atOnce.length} of ${agents.length}`);
  // As often as a calm sidecar looks.
  const looksSec = Array.from({ length: 360 }, (_, look) => look * 5);
  const late = agents.filter((id) => !looksSec.some((afterSec) => goesHome(id, afterSec, policy)));
  assert.deepEqual(late, []);
});

test('where agents go home in a window only, everybody has a slot in it', () => {
  const policy = { failBackSpread: 86_400, windows: ['sat 00:00-00:10'] };
  const looksSec = Array.from({ length: 120 }, (_, look) => look * 5);
  const late = agents.filter((id) => !looksSec.some((afterSec) => goesHome(id, afterSec, policy)));
  assert.deepEqual(late, []);
});

test('a window that opens lets no fleet off a drained manager at one instant', () => {
  const drained: DecideCase = {
    name: '',
    list: ['a drain', 'b', 'c'],
    file: ['a', 'b', 'c'],
    agent: 'on a',
    accepted: 40_000,
    client: { agents: 12_000 },
    admission: { ratePerServer: 100, startIn: -40_000 },
    policy: { spread: null, windows: ['sat 00:00-06:00'] },
    expect: '',
  };
  const { nowMs, ...situation } = situationOf(drained);
  const leaves = (agentId: string, afterSec: number): boolean =>
    decide({ ...situation, agentId, nowMs: nowMs + afterSec * 1_000 }).step.kind === 'move';
  // All of them are 75 s of what b and c take in.
  const atOnce = agents.filter((id) => leaves(id, 0));
  assert.ok(atOnce.length < 40, `${atOnce.length} of ${agents.length}`);
  const looksSec = Array.from({ length: 76 }, (_, look) => look);
  assert.deepEqual(
    agents.filter((id) => !looksSec.some((afterSec) => leaves(id, afterSec))),
    [],
  );
});

test('the slot that is told is the slot that comes', () => {
  const { list, nowMs } = situationOf(inRelay);
  const [home] = list.ranking;
  assert.ok(home !== undefined);
  const question = { list, spreadMs: 1_800_000 };
  for (const agentId of agents) {
    const slotMs = homeSlotAtMs({ ...question, agentId }, home, nowMs);
    assert.equal(homeSlotAtMs({ ...question, agentId }, home, slotMs), slotMs);
  }
});
