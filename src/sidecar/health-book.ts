/**
 * One round of probes at a time, for `once` and `plan`; `run` has `health-watch.ts`. A failed probe is repeated at once, so a
 * dead manager is known after two deadlines, not after two intervals. All managers are asked side
 * by side: a round lasts no longer than the slowest of them.
 */
import type { Clock } from '../clock.ts';
import { type Health, type JudgeSettings, judgeOutcome } from '../health/judge.ts';
import { type Prober, type ProbeTarget, probeKindOf } from '../health/probe.ts';
import type { Manager } from '../list/model.ts';
import type { Log } from '../log.ts';
import { Readmissions } from './readmissions.ts';
import type { HealthView } from './world.ts';

export interface HealthBookParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly prober: Prober;
  readonly settings: JudgeSettings;
  /** For one answer; a repeated probe has its own. */
  readonly deadlineMs: number;
}

export function buildHealthBook(parts: HealthBookParts): HealthView {
  const book = new Map<string, { readonly target: ProbeTarget; readonly health: Health }>();
  const readmissions = new Readmissions();

  const ask = async (id: string, target: ProbeTarget): Promise<Health> => {
    const outcome = await parts.prober.probe(target, parts.deadlineMs);
    const known = book.get(id);
    const before = known !== undefined && isSame(known.target, target) ? known.health : undefined;
    const health = judgeOutcome(before, outcome, parts.settings, parts.clock.nowMs());
    book.set(id, { target, health });
    tellChange(parts.log, id, before, health);
    return health;
  };
  const probeOne = async (manager: Manager): Promise<void> => {
    const { id } = manager;
    const target = targetOf(manager);
    const first = await ask(id, target);
    if (first.lastKind === 'dead') await ask(id, target);
  };
  return {
    async probe(managers) {
      const listed = new Set(managers.map(({ id }) => id));
      for (const id of [...book.keys()]) if (!listed.has(id)) book.delete(id);
      readmissions.note(managers, parts.clock.nowMs());
      await Promise.all(managers.map(probeOne));
      return new Map([...book].map(([id, { health }]) => [id, readmissions.applyTo(id, health)]));
    },
  };
}

export function targetOf(manager: Manager): ProbeTarget {
  const { address, port } = manager;
  return { address, port, kind: probeKindOf(manager) };
}

/** A manager that kept its id and changed its address is another one. */
export function isSame(left: ProbeTarget, right: ProbeTarget): boolean {
  return left.address === right.address && left.port === right.port && left.kind === right.kind;
}

/** A manager that stays as it is logs nothing. */
export function tellChange(log: Log, id: string, before: Health | undefined, after: Health): void {
  if (before?.verdict === after.verdict) return;
  const fields = { manager: id, verdict: after.verdict, seen: after.seen };
  if (after.verdict === 'down') log.warn('manager.changed', fields);
  else log.info('manager.changed', fields);
}
