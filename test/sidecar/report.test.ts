import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ListError, PeerError, type ReasonName } from '../../src/errors.ts';
import { faultAlarms } from '../../src/sidecar/report.ts';

const levelOf = (reason: ReasonName): string | undefined =>
  faultAlarms([{ source: 'p1', error: new ListError(reason, 'seen') }])[0]?.level;

test('a failure of trust is an alarm at once, with its code (trust-and-safety 1.7)', () => {
  const critical: readonly ReasonName[] = [
    'threshold',
    'root_gap',
    'root_threshold',
    'root_org',
    'weak_key',
    'rolled_back',
    'equivocation',
    'version_jump',
    'constraint',
    'too_many_removed',
  ];
  const warning: readonly ReasonName[] = ['wrong_type', 'wrong_audience', 'wrong_epoch'];
  assert.deepEqual(
    critical.filter((reason) => levelOf(reason) !== 'critical'),
    [],
  );
  assert.deepEqual(
    warning.filter((reason) => levelOf(reason) !== 'warning'),
    [],
  );
});

test('an unreachable publisher alone is no alarm: stale polls tell when it lasts', () => {
  const error = new PeerError('connect_failed', 'refused');
  assert.deepEqual(faultAlarms([{ source: 'p1', error }]), []);
});
