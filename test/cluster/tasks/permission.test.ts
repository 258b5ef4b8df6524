import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IntegrityPermission } from '../../../src/cluster/tasks/permission.ts';

const question = { isScanned: true, round: 0, isOncePerRound: true, nowMs: 0 };
const fresh = () => new IntegrityPermission({ maxLockedMs: 1_000_000 });

test('nobody may check before the first complete scan', () => {
  assert.equal(fresh().ask({ ...question, isScanned: false }).isGranted, false);
});

test('a refusal for want of a scan does not use the round up', () => {
  const permission = fresh();
  permission.ask({ ...question, isScanned: false });
  assert.equal(permission.ask(question).isGranted, true);
});

test('a stock worker is granted once in each round', () => {
  const permission = fresh();
  const asked = [0, 0, 0, 1, 1].map((round) => permission.ask({ ...question, round }).isGranted);
  assert.deepEqual(asked, [true, false, false, true, false]);
});

test('our own worker is granted whenever the lock is free', () => {
  const permission = fresh();
  const own = { ...question, isOncePerRound: false };
  assert.equal(permission.ask(own).isGranted, true);
  assert.equal(permission.ask(own).isGranted, true);
  permission.lock(0);
  assert.equal(permission.ask(own).isGranted, false);
});

test('a second check is not started while one is under way', () => {
  const permission = fresh();
  assert.equal(permission.lock(0), true);
  assert.equal(permission.lock(1), false);
  permission.release();
  assert.equal(permission.lock(2), true);
});

test('a lock held longer than max_locked_integrity_time is freed, and that is said', () => {
  const permission = fresh();
  permission.lock(0);
  assert.deepEqual(permission.ask({ ...question, nowMs: 1_000_000 }), {
    isGranted: false,
    isReleased: false,
  });
  assert.deepEqual(permission.ask({ ...question, round: 1, nowMs: 1_000_001 }), {
    isGranted: true,
    isReleased: true,
  });
});

test('who checks without end is held to a pace, whatever the key it has', () => {
  const permission = fresh();
  const own = { ...question, isOncePerRound: false };
  let checks = 0;
  for (let nowMs = 0; nowMs <= 60_000; nowMs += 10) {
    if (permission.lock(nowMs)) checks += 1;
    permission.release();
  }
  assert.ok(checks >= 300 && checks <= 361, `${checks} checks in a minute`);
  assert.equal(permission.ask({ ...own, nowMs: 60_001 }).isGranted, false);
  assert.equal(permission.ask({ ...own, nowMs: 60_300 }).isGranted, true);
});

test('a check that outlived its lock does not free the lock of the next one', () => {
  const permission = new IntegrityPermission({ maxLockedMs: 1_000 });
  permission.lock(0);
  assert.equal(permission.lock(2_000), true);
  permission.release(0);
  assert.equal(permission.isFree, false);
  permission.release(2_000);
  assert.equal(permission.isFree, true);
});
