/** Findings: a broken check costs its own line, exit codes follow the worst. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  exitOfFindings,
  fail,
  ok,
  runChecks,
  warn,
  worstFirst,
} from '../../src/diagnosis/finding.ts';
import {
  compareVersions,
  judgeClock,
  judgeClusterKey,
  judgeDisk,
  judgeExpiry,
  judgeMode,
  judgeName,
} from '../../src/diagnosis/judge.ts';
import { defaultAgentTimes } from '../../src/dns/failover-lint.ts';
import { HostError } from '../../src/errors.ts';
import { systemClock } from '../../src/host/system-clock.ts';

test('a check that breaks or hangs is a finding, and the others are told all the same', async () => {
  const findings = await runChecks(
    systemClock,
    [
      { name: 'broken', run: () => Promise.reject(new HostError('store_failed', 'no disk')) },
      { name: 'hung', run: () => new Promise(() => undefined) },
      { name: 'fine', run: () => [ok('fine', 'well')] },
    ],
    50,
  );
  assert.deepEqual(
    findings.map(({ check, level }) => `${check} ${level}`),
    ['broken fail', 'hung fail', 'fine ok'],
  );
  assert.match(findings[0]?.text ?? '', /^E702 store_failed: no disk/);
  assert.ok(findings.every(({ level, fix }) => level === 'ok' || (fix ?? '') !== ''));
});

test('an error that is no planned one stays a bug', async () => {
  const bug = { name: 'bug', run: () => Promise.reject(new TypeError('bug')) };
  await assert.rejects(runChecks(systemClock, [bug]), TypeError);
});

test('1 when something is broken, 3 when something is to be mended, worst first', () => {
  const all = [ok('a', ''), warn('b', '', 'x'), fail('c', '', 'x')];
  assert.deepEqual([all, all.slice(0, 2), all.slice(0, 1)].map(exitOfFindings), [1, 3, 0]);
  assert.deepEqual(
    worstFirst(all).map(({ check }) => check),
    ['c', 'b', 'a'],
  );
});

const levelsOf = (findings: readonly { level: string }[]) => findings.map(({ level }) => level);

test('a clock is judged by what is believed more, then by what the system says', () => {
  assert.deepEqual(levelsOf(judgeClock(1_000, 'p', undefined)), ['ok']);
  assert.deepEqual(levelsOf(judgeClock(-6_000, 'p', true)), ['warn']);
  assert.deepEqual(levelsOf(judgeClock(400_000, 'p', true)), ['fail']);
  assert.deepEqual(levelsOf(judgeClock(undefined, '', false)), ['warn']);
  assert.deepEqual(levelsOf(judgeClock(undefined, '', undefined)), ['skip']);
});

test('keys that others read and folders that others write are failures', () => {
  const mode = (bits: number) => ({ path: '/x', mode: bits });
  assert.equal(judgeMode(mode(0o600), 'secret').level, 'ok');
  assert.equal(judgeMode(mode(0o640), 'secret').level, 'fail');
  assert.equal(judgeMode(mode(0o755), 'owned').level, 'ok');
  assert.equal(judgeMode(mode(0o777), 'owned').level, 'fail');
  assert.equal(judgeMode({ path: '/x' }, 'owned').level, 'skip');
});

test('a cluster key of hex digits only is warned of, and no key is ever in the text', () => {
  const keys = ['0123456789abcdef0123456789ABCDEF', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaZ'];
  for (const key of keys) {
    const finding = judgeClusterKey(key);
    assert.equal(finding.level, 'warn');
    assert.ok(!JSON.stringify(finding).includes(key));
  }
  assert.equal(judgeClusterKey('QmYx73ZvNw9cK2hRt5uPsJ8aLdGf4eB6').level, 'ok');
});

test('a long TTL and stale answers are warned of', () => {
  const name = { name: 'wm.example', addresses: ['10.0.0.1'], isStale: false };
  assert.deepEqual(levelsOf(judgeName({ ...name, ttlSec: 30 }, defaultAgentTimes)), ['ok']);
  assert.deepEqual(levelsOf(judgeName({ ...name, ttlSec: 7_200 }, defaultAgentTimes)), [
    'warn',
    'warn',
  ]);
  assert.deepEqual(levelsOf(judgeName({ ...name, isStale: true }, defaultAgentTimes)), ['warn']);
  assert.deepEqual(levelsOf(judgeName(name, defaultAgentTimes)), ['ok']);
});

test('what ends soon is warned of, what has ended is a failure; so is a full disk', () => {
  const at = (expiresAtMs: number) =>
    judgeExpiry('root', 'root 1', { expiresAtMs, nowMs: 1_000, warnMs: 500, fix: 'renew' }).level;
  assert.deepEqual([at(2_000), at(1_400), at(1_000)], ['ok', 'warn', 'fail']);
  const disk = (bytes: number | undefined) => judgeDisk('/', bytes).level;
  assert.deepEqual(
    [disk(1e12), disk(1e8), disk(1e6), disk(undefined)],
    ['ok', 'warn', 'fail', 'skip'],
  );
});

test('versions compare by number, and what is no version compares with nothing', () => {
  assert.equal(Math.sign(compareVersions('4.14.8', '4.14.10') ?? 0), -1);
  assert.equal(compareVersions('v4.9.0', '4.9.0'), 0);
  assert.equal(compareVersions('source', '4.9.0'), undefined);
});
