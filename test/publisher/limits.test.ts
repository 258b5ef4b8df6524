import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '../../src/host/system-clock.ts';
import {
  buildConnectionLedger,
  type ConnectionLimits,
  sourceOf,
} from '../../src/publisher/connection-ledger.ts';
import { isResignDue } from '../../src/publisher/daemon.ts';
import { buildLongPolls } from '../../src/publisher/long-polls.ts';
import { buildTokenBucket } from '../../src/publisher/token-bucket.ts';
import { configuredOf } from './fixture.ts';

const limits: ConnectionLimits = {
  maxConnections: 4,
  maxConnectionsPerIp: 2,
  maxConnectionsPerNetwork: 3,
  maxHandshakesPerSecond: 100,
  maxLongPolls: 3,
  maxLongPollsPerIp: 2,
};

test('caps hold for one address, for its network and for all', () => {
  const ledger = buildConnectionLedger(limits);
  const open = (ip: string): string => ledger.open(ip, 0);
  assert.deepEqual(
    ['10.0.0.1', '10.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.3', '10.9.0.1', '10.8.0.1'].map(open),
    ['admitted', 'admitted', 'full_for_ip', 'admitted', 'full_for_network', 'admitted', 'full'],
  );
  ledger.close('10.0.0.1');
  assert.equal(open('::ffff:10.0.0.3'), 'admitted');
});

test('a waiting request frees its place among the short ones and keeps to its own cap', () => {
  const ledger = buildConnectionLedger(limits);
  const waits = ['10.0.0.1', '10.0.0.1', '10.0.0.1'].map((ip) => {
    assert.equal(ledger.open(ip, 0), 'admitted');
    return ledger.startWaiting(ip);
  });
  assert.deepEqual(waits, [true, true, false]);
  assert.deepEqual(ledger.counts(), { connections: 1, waiting: 2 });
  ledger.endWaiting('10.0.0.1');
  assert.deepEqual(ledger.counts(), { connections: 2, waiting: 1 });
});

test('new connections have a rate', () => {
  const bucket = buildTokenBucket(2, 2);
  assert.deepEqual(
    [0, 0, 0, 500, 500, 5_000, 5_000, 5_000].map((atMs) => bucket.take(atMs)),
    [...[true, true, false, true, false, true, true, false]],
  );
});

test('IPv6 counts by /64 as one host and by /48 as one network', () => {
  assert.deepEqual(sourceOf('2001:db8:1:2::1'), sourceOf('2001:db8:1:2:ffff::9'));
  assert.notEqual(sourceOf('2001:db8:1:2::1').host, sourceOf('2001:db8:1:3::1').host);
  assert.equal(sourceOf('2001:db8:1:2::1').network, sourceOf('2001:db8:1:3::1').network);
  assert.deepEqual(sourceOf('::ffff:10.1.2.3'), { host: '10.1.2.3', network: '10.1.2' });
});

test('whatever comes and goes, the ledger ends at zero and never exceeds its caps', () => {
  const ips = ['10.0.0.1', '10.0.0.2', '10.1.0.1', '2001:db8::1', '2001:db8::2'];
  const step = fc.tuple(fc.constantFrom(...ips), fc.constantFrom('open', 'wait', 'end', 'close'));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const ledger = buildConnectionLedger(limits);
      const held: { ip: string; isWaiting: boolean }[] = [];
      for (const [ip, what] of steps) {
        const one = held.find((entry) => entry.ip === ip && entry.isWaiting === (what === 'end'));
        if (what === 'open' && ledger.open(ip, 0) === 'admitted')
          held.push({ ip, isWaiting: false });
        if (one === undefined || what === 'open') continue;
        if (what === 'wait') one.isWaiting = ledger.startWaiting(ip);
        if (what === 'end') {
          ledger.endWaiting(ip);
          one.isWaiting = false;
        }
        if (what === 'close') {
          ledger.close(ip);
          held.splice(held.indexOf(one), 1);
        }
        const { connections, waiting } = ledger.counts();
        assert.equal(connections + waiting, held.length);
        assert.ok(waiting <= limits.maxLongPolls);
      }
      for (const { ip, isWaiting } of held) {
        if (isWaiting) ledger.endWaiting(ip);
        ledger.close(ip);
      }
      assert.deepEqual(ledger.counts(), { connections: 0, waiting: 0 });
    }),
    { seed: 20261121, numRuns: 300 },
  );
});

test('one publication wakes a thousand waiting requests; an abort wakes one', async () => {
  const polls = buildLongPolls(systemClock);
  const never = new AbortController().signal;
  const waiting = Array.from({ length: 1_000 }, () => polls.wait(60_000, never));
  const one = new AbortController();
  const left = polls.wait(60_000, one.signal);
  one.abort();
  await left;
  assert.equal(polls.count(), 1_000);
  polls.wakeAll();
  await Promise.all(waiting);
  assert.equal(polls.count(), 0);
});

test('a list is signed anew by age, or when it comes from the future', () => {
  const settings = { configured: configuredOf('a'), resignEveryMs: 3_600_000 };
  const entry = {
    ...{ epoch: 1, term: 1, version: 1, rootVersion: 1, issuedAtMs: 1_000_000_000 },
    reason: 'first',
    ...{ detail: '', hash: '', source: '', envelope: new Uint8Array() },
    content: { ...configuredOf('a'), drained: [] },
  } as const;
  const dueAt = (ageMs: number): boolean => isResignDue(entry, settings, entry.issuedAtMs + ageMs);
  assert.deepEqual([0, 3_599_999, 3_600_000, -60_000, -600_000].map(dueAt), [
    ...[false, false, true, false, true],
  ]);
  assert.equal(isResignDue(undefined, settings, 0), false);
});
