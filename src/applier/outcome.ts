/** Which failures are worth asking again, and which will never be done. */
import type { ReasonName } from '../errors.ts';
import type { ApplyOutcome } from './result.ts';

const passing: ReadonlySet<ReasonName> = new Set<ReasonName>([
  'lock_held',
  'changed_meanwhile',
  'foreign_edit',
  'write_failed',
  'upgrade_running',
  'restart_budget',
  'restart_failed',
  'not_connected',
]);

/** `held`: the same request may succeed later. `refused`: something must change first. */
export function outcomeOf(reason: ReasonName): ApplyOutcome {
  return passing.has(reason) ? 'held' : 'refused';
}
