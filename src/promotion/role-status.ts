/** Of what a node knows of the role, what `promotion status` shows. */
import type { Freshness } from './judge.ts';
import type { PromotionStatus, RoleName } from './ports.ts';
import type { RoleRecord } from './record.ts';

/** Without the sealed changes: nobody reads them there. */
export function shownRecord(record: RoleRecord | undefined): PromotionStatus['record'] {
  if (record === undefined) return undefined;
  const { keys, ...rest } = record;
  const { steps: _steps, ...facts } = keys;
  return { ...rest, keys: facts };
}

export function keysText(role: RoleName, freshness: Freshness | undefined): string {
  if (role === 'master') return 'the newest';
  if (freshness === undefined) return 'nothing is on record';
  return freshness.kind === 'behind' ? freshness.why : 'in step';
}
