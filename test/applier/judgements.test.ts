import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { blindMsToday, judgeBudget, type Restart } from '../../src/applier/budget.ts';
import {
  confirmBudgetMs,
  type Expected,
  judgeConfirm,
  type Look,
  talksToOneOf,
} from '../../src/applier/confirm.ts';
import { encodeMemory, newMemory, parseMemory } from '../../src/applier/memory.ts';
import { encodeApplyRequest, isLoopback, parseApplyRequest } from '../../src/applier/request.ts';
import type { AgentFacts } from '../../src/wazuh/agent-facts.ts';
import { failsWith } from '../host/config-fixture.ts';
import { request } from './host-in-memory.ts';

const limits = { restartsPerHour: 3, restartsPerDay: 6 };
const hourMs = 3_600_000;
const at = (...stamps: readonly number[]): readonly Restart[] =>
  stamps.map((atMs) => ({ atMs, kind: 'service', blindMs: 1_000 }));

test('three restarts an hour are allowed, the fourth waits until the first is an hour old', () => {
  assert.equal(judgeBudget(at(0, 10), limits, 20).kind, 'allowed');
  const verdict = judgeBudget(at(0, 10, 20), limits, 30);
  assert.equal(verdict.kind === 'used_up' && verdict.untilMs, hourMs);
});

test('in any hour and any day no more than the limit is ever spent', () => {
  const gaps = fc.array(fc.integer({ min: 1, max: 2 * hourMs }), { maxLength: 60 });
  const property = fc.property(gaps, (steps) => {
    let nowMs = 10 ** 12;
    const spent: Restart[] = [];
    for (const step of steps) {
      nowMs += step;
      if (judgeBudget(spent, limits, nowMs).kind === 'allowed') {
        spent.push({ atMs: nowMs, kind: 'agentd', blindMs: 0 });
      }
      const within = (ms: number): number => spent.filter(({ atMs }) => atMs > nowMs - ms).length;
      assert.ok(within(hourMs) <= 3 && within(24 * hourMs) <= 6);
    }
  });
  fc.assert(property, { seed: 20261121, numRuns: 200 });
});

test('stamps of the future count as now: a clock that went back blocks for an hour, not for years', () => {
  const verdict = judgeBudget(at(10 ** 15, 10 ** 15, 10 ** 15), limits, 10 ** 12);
  assert.equal(verdict.kind === 'used_up' && verdict.untilMs, 10 ** 12 + hourMs);
});

test('only full restarts count as time without integrity monitoring', () => {
  const restarts: Restart[] = [
    { atMs: 10, kind: 'service', blindMs: 7_000 },
    { atMs: 20, kind: 'agentd', blindMs: 0 },
  ];
  assert.equal(blindMsToday(restarts, 30), 7_000);
});

const facts = (changes: Partial<AgentFacts> = {}): AgentFacts => ({
  installed: true,
  running: true,
  pids: [200],
  status: 'connected',
  waiting: false,
  peers: [{ address: '10.0.0.1', port: 1514 }],
  upgrade: undefined,
  ...changes,
});
const expected: Expected = {
  startedAtMs: 0,
  stoppedAtMs: 1_000_000,
  oldPids: [100],
  servers: [{ address: '10.0.0.1', port: 1514 }],
  stableMs: 1_000,
  budgetMs: 60_000,
};
const looks = (stamps: readonly number[], changes: Partial<AgentFacts> = {}): readonly Look[] =>
  stamps.map((atMs) => ({ atMs, facts: facts(changes) }));

test('connected means alive, new, not waiting, and talking to a listed server for a second', () => {
  assert.equal(judgeConfirm(looks([100, 600]), expected).kind, 'waiting');
  assert.deepEqual(judgeConfirm(looks([100, 600, 1_100]), expected), {
    kind: 'connected',
    atMs: 100,
  });
});

const doubts: readonly (readonly [string, Partial<AgentFacts>])[] = [
  ['the old process', { pids: [100] }],
  ['an agent that waits', { waiting: true }],
  ['a connection to somebody else', { peers: [{ address: '10.9.9.9', port: 1514 }] }],
  ['a connection to another port', { peers: [{ address: '10.0.0.1', port: 1515 }] }],
  ['a stale state file', { peers: [], stateWrittenAtMs: 999_999 }],
  [
    'an ack from before the restart',
    { peers: [], stateWrittenAtMs: 1_000_500, lastAckAtMs: 900_000 },
  ],
];
for (const [what, changes] of doubts) {
  test(`${what} proves nothing`, () => {
    const verdict = judgeConfirm(looks([100, 5_000, 59_999], changes), expected);
    assert.equal(verdict.kind, 'waiting');
    assert.equal(judgeConfirm(looks([100, 60_000], changes), expected).kind, 'late');
  });
}

test('a connection that flaps is not believed until it stands', () => {
  const series: readonly Look[] = [
    ...looks([100, 600]),
    ...looks([700], { waiting: true }),
    ...looks([800, 1_700]),
  ];
  assert.equal(judgeConfirm(series, expected).kind, 'waiting');
  assert.equal(judgeConfirm([...series, ...looks([1_800])], expected).kind, 'connected');
});

test('the state file alone is enough once it is newer than the restart', () => {
  const changes = { peers: [], stateWrittenAtMs: 1_005_000, lastAckAtMs: 1_004_000 };
  assert.equal(judgeConfirm(looks([5_100, 6_100], changes), expected).kind, 'connected');
});

test('a process gone with a telling log line is a fault at once, without one after 5 s', () => {
  const gone = { running: false, pids: [] };
  const blamed: readonly Look[] = [
    ...looks([100]),
    { atMs: 450, facts: facts(gone), fault: 'ERROR: (1230): Invalid element' },
  ];
  assert.equal(judgeConfirm(blamed, expected).kind, 'fault');
  const silent = [...looks([100]), ...looks([450, 4_000], gone)];
  assert.equal(judgeConfirm(silent, expected).kind, 'waiting');
  assert.equal(judgeConfirm([...silent, ...looks([5_200], gone)], expected).kind, 'fault');
});

test('names cannot be compared with addresses: there the port decides', () => {
  const peers = [{ address: '10.0.0.7', port: 1514 }];
  assert.equal(talksToOneOf(peers, [{ address: 'wm-01.example', port: 1514 }]), true);
  assert.equal(talksToOneOf(peers, [{ address: 'wm-01.example', port: 1517 }]), false);
  assert.equal(talksToOneOf(peers, [{ address: '10.0.0.8', port: 1514 }]), false);
});

test('the wait is the native walk of the written list plus 10 s, 180 s at most', () => {
  const tuned = { maxRetries: 1, retryInterval: 1 };
  assert.equal(confirmBudgetMs([tuned, tuned], 180_000), 132_000);
  assert.equal(confirmBudgetMs([{ maxRetries: 5, retryInterval: 10 }], 180_000), 180_000);
});

test('a request survives its travel as bytes', () => {
  const full = request({
    rootEnvelopes: [Buffer.from('{}')],
    relay: { address: '127.0.0.1', port: 1514 },
    receipt: { compact: 'a.b.c', nonce: 'AAAA' },
  });
  const travelled = parseApplyRequest(encodeApplyRequest(full));
  assert.deepEqual(
    { ...travelled, listEnvelope: Buffer.from(travelled.listEnvelope) },
    { ...full, listEnvelope: Buffer.from(full.listEnvelope) },
  );
});

const bad: readonly (readonly [string, Record<string, unknown>])[] = [
  ['an unknown member', { mode: 'service' }],
  ['a relay on another host', { relay: { address: '10.0.0.1', port: 1514 } }],
  ['a relay port that is none', { relay: { address: '127.0.0.1', port: 0 } }],
  ['an id that is none', { order: ['../x'] }],
  ['no order', { order: undefined }],
  ['move as a word', { move: 'yes' }],
  ['another type', { typ: 'pf-list' }],
  ['a list that is no base64url', { list: 'a+b' }],
];
for (const [what, changes] of bad) {
  test(`a request with ${what} is refused`, () => {
    const document = JSON.parse(Buffer.from(encodeApplyRequest(request())).toString());
    const bytes = Buffer.from(JSON.stringify({ ...document, ...changes }));
    assert.throws(() => parseApplyRequest(bytes), failsWith('usage', /apply request/));
  });
}

test('only addresses that cannot leave this host are loopback', () => {
  assert.deepEqual(
    [
      '127.0.0.1',
      '127.9.8.7',
      '::1',
      '127.0.0.1.evil.example',
      '127.1',
      '127.0.0.01',
      '128.0.0.1',
    ].map(isLoopback),
    [true, true, true, false, false, false, false],
  );
});

test('memory survives its travel as bytes; damage is E701, not an empty memory', () => {
  const root = { envelope: Buffer.from('root'), hash: 'sha256:r' };
  const memory = {
    ...newMemory({
      org: 'acme',
      root,
      known: {
        envelope: Buffer.from('list'),
        position: { epoch: 1, term: 2, version: 3 },
        hash: 'sha256:l',
        root,
      },
      floorMs: 5,
    }),
    written: { servers: [{ address: 'a', port: 1 }], hash: 'sha256:w' },
    restarts: at(1, 2),
    unfinishedSinceMs: 7,
  };
  assert.deepEqual(parseMemory(encodeMemory(memory)), memory);
  assert.throws(() => parseMemory(Buffer.from('{}')), failsWith('state_unreadable'));
  assert.throws(() => parseMemory(Buffer.from('')), failsWith('state_unreadable'));
});
