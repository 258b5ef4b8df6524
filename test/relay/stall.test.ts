import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Avoided } from '../../src/relay/avoid.ts';
import { isLoopback } from '../../src/relay/loopback.ts';
import type { RelayManager, SessionSample } from '../../src/relay/ports.ts';
import { defaultStallSettings, judgeStall } from '../../src/relay/stall.ts';

const calm: SessionSample = {
  session: 1,
  managerId: 'a',
  address: '127.0.0.1',
  protocol: 'tcp',
  openedAtMs: 0,
  bytesUp: 10_000,
  bytesDown: 500,
  isAnswered: true,
  agentPort: 40_000,
  unansweredSinceAtMs: undefined,
  lastFromAgentAtMs: 0,
  lastFromManagerAtMs: 0,
  retransmits: 0,
  waitingBytes: 0,
  waitingSinceAtMs: undefined,
};

function judge(sample: Partial<SessionSample>, nowMs: number) {
  return judgeStall({ ...calm, ...sample }, defaultStallSettings, nowMs);
}

test('a quiet session is no stall, however long', () => {
  assert.equal(judge({}, 1e9), undefined);
});

test('bytes that wait for a second are a stall, before that they are back-pressure', () => {
  assert.equal(judge({ waitingSinceAtMs: 5_000 }, 5_999), undefined);
  assert.equal(judge({ waitingSinceAtMs: 5_000 }, 6_000), 'not_draining');
});

test('one retransmission is the network, a second one a manager that is gone', () => {
  assert.equal(judge({ retransmits: 1 }, 0), undefined);
  assert.equal(judge({ retransmits: 2 }, 0), 'not_acking');
});

test('events without an answer are ordinary for two keepalives and a little, then a stall', () => {
  assert.equal(judge({ unansweredSinceAtMs: 1_000 }, 45_999), undefined);
  assert.equal(judge({ unansweredSinceAtMs: 1_000 }, 46_000), 'not_answering');
});

test('a startup is answered at once by a working manager', () => {
  const greeting = { bytesDown: 0, unansweredSinceAtMs: 0 };
  assert.equal(judge(greeting, 1_999), undefined);
  assert.equal(judge(greeting, 2_000), 'not_answering');
});

test('a UDP flow may begin between two keepalives', () => {
  const greeting = { bytesDown: 0, unansweredSinceAtMs: 0, protocol: 'udp' } as const;
  assert.equal(judge(greeting, 44_999), undefined);
  assert.equal(judge(greeting, 45_000), 'not_answering');
});

const managers: readonly RelayManager[] = ['a', 'b', 'c'].map((id) => ({
  id,
  address: '192.0.2.1',
  port: 1514,
  protocol: 'tcp',
}));

function ids(list: readonly RelayManager[]): string {
  return list.map(({ id }) => id).join(' ');
}

test('who failed just now goes last, for a while, and is never left out', () => {
  const avoided = new Avoided(3_000);
  assert.equal(ids(avoided.order(managers, 0)), 'a b c');
  avoided.add('a', 0);
  assert.equal(ids(avoided.order(managers, 2_999)), 'b c a');
  avoided.add('b', 1_000);
  assert.equal(ids(avoided.order(managers, 2_999)), 'c a b');
  assert.equal(ids(avoided.order(managers, 3_000)), 'a c b');
  assert.equal(ids(avoided.order(managers, 4_000)), 'a b c');
});

test('only addresses that never leave this host are loopback', () => {
  for (const address of ['127.0.0.1', '127.255.0.9', '::1', '::ffff:127.0.0.1', '::FFFF:127.1.2.3'])
    assert.ok(isLoopback(address), address);
  for (const address of ['', '128.0.0.1', '10.0.0.1', '::', '::2', 'fe80::1', 'localhost', '127.1'])
    assert.ok(!isLoopback(address), address);
  for (const address of ['::ffff:10.0.0.1', '127.evil.example', '0.0.0.0', '127.0.0.256'])
    assert.ok(!isLoopback(address), address);
});
