import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AgentWords, judgeAgent } from '../../src/health/passive.ts';

const nowMs = 1_000_000;

function judge(changes: Partial<AgentWords>, stuckForMs?: number, notifySec?: number) {
  const words: AgentWords = {
    running: true,
    status: 'connected',
    waiting: false,
    stateWrittenAtMs: nowMs - 4_000,
    lastAckAtMs: nowMs - 60_000,
    msgSent: 5,
    msgBuffer: 3,
    ...changes,
  };
  return judgeAgent(words, { notifySec, stuckForMs }, nowMs);
}

test('an ack older than two keepalives and five seconds is late', () => {
  assert.equal(judge({ lastAckAtMs: nowMs - 45_000 }), undefined);
  assert.equal(judge({ lastAckAtMs: nowMs - 45_001 }), 'ack_late');
  assert.equal(judge({ lastAckAtMs: nowMs - 45_001 }, undefined, 60), undefined);
});

test('the wedge: a late ack, events waiting, nothing sent for fifteen seconds', () => {
  assert.equal(judge({}, 14_999), 'ack_late');
  assert.equal(judge({}, 15_000), 'wedged');
});

test('without events waiting only two missing keepalives prove it', () => {
  assert.equal(judge({ msgBuffer: 0 }, 44_999), 'ack_late');
  assert.equal(judge({ msgBuffer: 0 }, 45_000), 'wedged');
});

const quiet: readonly (readonly [string, Partial<AgentWords>])[] = [
  ['a stopped agent', { running: false }],
  ['an agent that is reconnecting', { waiting: true }],
  ['an agent that knows it is disconnected', { status: 'disconnected' }],
  ['a state file left behind by a dead agent', { stateWrittenAtMs: nowMs - 31_000 }],
  ['a state file from the future', { stateWrittenAtMs: nowMs + 31_000 }],
];

for (const [name, changes] of quiet) {
  test(`${name} shows no sign`, () => assert.equal(judge(changes, 99_000), undefined));
}
