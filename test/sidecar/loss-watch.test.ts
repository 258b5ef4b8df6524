import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildLossWatch } from '../../src/sidecar/loss-watch.ts';
import type { AgentFacts } from '../../src/wazuh/agent-facts.ts';

const facts = (isLost: boolean): AgentFacts => ({
  installed: true,
  version: '4.14.8',
  running: true,
  pids: [1],
  status: isLost ? 'disconnected' : 'connected',
  waiting: isLost,
  peers: isLost ? [] : [{ address: '192.0.2.1', port: 1_514 }],
  upgrade: undefined,
});

test('found: at the first look, and again after every loss', () => {
  const watch = buildLossWatch();
  assert.equal(watch.foundAtMs(), undefined);
  watch.sinceAtMs(facts(false), 1_000, 1_000);
  watch.sinceAtMs(facts(false), 2_000, 2_000);
  assert.equal(watch.foundAtMs(), 1_000);
  assert.equal(watch.sinceAtMs(facts(true), 3_000, 3_000), 3_000);
  assert.equal(watch.foundAtMs(), 1_000);
  watch.sinceAtMs(facts(false), 5_000, 5_000);
  assert.equal(watch.foundAtMs(), 5_000);
});

test('lost before this process began: it has not been seen to find a manager', () => {
  const watch = buildLossWatch();
  watch.sinceAtMs({ ...facts(true), lastAckAtMs: 500 }, 1_000, 1_000);
  assert.equal(watch.foundAtMs(), undefined);
  watch.sinceAtMs(facts(false), 2_000, 2_000);
  assert.equal(watch.foundAtMs(), 2_000);
});

test('a clock that is set while the agent is lost makes its loss neither longer nor shorter', () => {
  for (const leapMs of [3_600_000, -3_600_000]) {
    const watch = buildLossWatch();
    watch.sinceAtMs(facts(false), 9_000_000, 1_000);
    assert.equal(watch.sinceAtMs(facts(true), 9_002_000, 3_000), 9_002_000);
    assert.equal(watch.sinceAtMs(facts(true), 9_004_000 + leapMs, 5_000), 9_002_000 + leapMs);
    assert.equal(watch.sinceAtMs(facts(true), 9_009_000 + leapMs, 10_000), 9_002_000 + leapMs);
  }
});

test('the last ack of an earlier run of the agent says nothing of this one', () => {
  const hourMs = 3_600_000;
  const bootMs = 60 * hourMs;
  const ofFriday = { ...facts(true), stateWrittenAtMs: hourMs, lastAckAtMs: hourMs - 5_000 };
  assert.equal(buildLossWatch().sinceAtMs(ofFriday, bootMs, 0), bootMs);
  const ofThisRun = { ...ofFriday, stateWrittenAtMs: bootMs - 4_000 };
  assert.equal(buildLossWatch().sinceAtMs(ofThisRun, bootMs, 0), hourMs - 5_000);
});
