/**
 * Which managers are ready, from all views of them, with damping and a guard. Pure; called once a
 * round with what is seen then. It decides what the list says beside the operator's own words, and
 * it never says so little that agents have nowhere to go: then the last good word stays.
 *
 * Invariants: one place alone condemns nobody that another place sees up; a manager that was never
 * ready is not let in before everything known speaks for it; no round takes away more than the
 * guard allows.
 */
import { type Damping, defaultDamping, isSuppressed, punish } from '../../health/damping.ts';
import { countPlaces } from './places.ts';
import type { LocalState, ManagerViews } from './view.ts';

export interface Readiness {
  readonly id: string;
  readonly isReady: boolean;
  readonly why: string;
  readonly sinceAtMs: number;
  /** False until it was let in for the first time. */
  readonly wasReady: boolean;
  /** The list does not offer it, by the last round. */
  readonly isOut?: boolean;
  /** Rounds in a row that spoke for the other verdict. */
  readonly against: number;
  readonly damping?: Damping;
}

export interface ReadinessSettings {
  /** Rounds in a row before a manager leaves, and before it comes (back). */
  readonly fall: number;
  readonly rise: number;
  /** At least so many stay; else nothing is taken away. */
  readonly minReady: number;
  /** Per cent of the managers that may be away at once before the publisher doubts itself. */
  readonly panicPct: number;
  readonly maxQueueUsage: number;
  readonly minDiskFree: number;
}

export const defaultReadiness: ReadinessSettings = {
  fall: 1,
  rise: 2,
  minReady: 1,
  panicPct: 50,
  maxQueueUsage: 0.95,
  minDiskFree: 0.03,
};

export interface Round {
  readonly readiness: ReadonlyMap<string, Readiness>;
  /** Ids that the list should not offer now, sorted. */
  readonly unready: readonly string[];
  /** Why more was not taken away; undefined while the guard was not needed. */
  readonly guarded?: string;
}

export function judgeRound(
  before: ReadonlyMap<string, Readiness>,
  views: readonly ManagerViews[],
  settings: ReadinessSettings,
  nowMs: number,
): Round {
  const now = views.map((view) => nextReadiness(before.get(view.id), view, settings, nowMs));
  const wanted = now.filter((one) => !isOffered(one, nowMs));
  const left = views.length - wanted.length;
  const isTooFew = left < settings.minReady;
  const isPanic = wanted.length > 1 && wanted.length * 100 > settings.panicPct * views.length;
  if (!isTooFew && !isPanic) return roundOf(now, wanted);
  // What was never in, or was out before, stays out all the same: nobody misses it.
  const kept = wanted.filter(({ wasReady, isOut }) => !wasReady || isOut === true);
  const guarded = `${wanted.length} of ${views.length} managers look unready at once; the list stays`;
  return { ...roundOf(now, kept.length < views.length ? kept : []), guarded };
}

function roundOf(now: readonly Readiness[], out: readonly Readiness[]): Round {
  const ids = new Set(out.map(({ id }) => id));
  const readiness = new Map(now.map((one) => [one.id, { ...one, isOut: ids.has(one.id) }]));
  return { readiness, unready: [...ids].sort() };
}

/** A manager that comes and goes is offered again only when it has been quiet for long. */
function isOffered({ isReady, damping }: Readiness, nowMs: number): boolean {
  return isReady && !isSuppressed(damping, defaultDamping, nowMs);
}

/** How a publisher that starts sees those whom the last list offers: in, until something speaks against them. */
export function knownReadiness(
  ids: readonly string[],
  nowMs: number,
): ReadonlyMap<string, Readiness> {
  return new Map(ids.map((id) => [id, asListed(id, true, nowMs)]));
}

/**
 * How one that does not decide yet sees the managers: as the list has them, whatever it would say alone.
 * `before`: the same, a round ago. How often each left the list is remembered.
 */
export function listedReadiness(
  managers: readonly string[],
  offered: ReadonlySet<string>,
  before: ReadonlyMap<string, Readiness>,
  nowMs: number,
): ReadonlyMap<string, Readiness> {
  return new Map(
    managers.map((id) => {
      const known = asListed(id, offered.has(id), nowMs);
      const was = before.get(id);
      const hasLeft = was?.isReady === true && !known.isReady;
      const damping = hasLeft ? punish(was.damping, defaultDamping, nowMs) : was?.damping;
      return [id, damping === undefined ? known : { ...known, damping }];
    }),
  );
}

function asListed(id: string, isReady: boolean, nowMs: number): Readiness {
  const why = isReady ? 'in the last list' : 'not offered by the last list';
  return { id, isReady, why, sinceAtMs: nowMs, wasReady: isReady, against: 0 };
}

function nextReadiness(
  before: Readiness | undefined,
  view: ManagerViews,
  settings: ReadinessSettings,
  nowMs: number,
): Readiness {
  const verdict = judgeViews(view, before?.wasReady ?? false, settings);
  if (before === undefined) {
    const isReady = verdict.isReady;
    return { id: view.id, ...verdict, sinceAtMs: nowMs, wasReady: isReady, against: 0 };
  }
  if (verdict.isReady === before.isReady) return { ...before, why: verdict.why, against: 0 };
  const against = before.against + 1;
  const needed = verdict.isReady ? settings.rise : settings.fall;
  if (against < needed) return { ...before, against };
  const damping = verdict.isReady ? before.damping : punish(before.damping, defaultDamping, nowMs);
  return {
    id: view.id,
    ...verdict,
    sinceAtMs: nowMs,
    wasReady: before.wasReady || verdict.isReady,
    against: 0,
    ...(damping === undefined ? {} : { damping }),
  };
}

interface Verdict {
  readonly isReady: boolean;
  readonly why: string;
}

/** One look: everything must speak for a newcomer; two places must speak against one that is in. */
export function judgeViews(
  view: ManagerViews,
  wasReady: boolean,
  settings: ReadinessSettings,
): Verdict {
  const local = localFault(view.local, settings);
  if (local !== undefined) return { isReady: false, why: local };
  const { up, down, late } = countPlaces(view);
  if (!wasReady) return judgeNewcomer(view, down);
  const isAlone = up === 0 && down === 1 && late === 0;
  // A lone witness counts only where there is no other.
  const isLost = down > up && (down > 1 || isAlone);
  if (isLost) return { isReady: false, why: `${down} of ${up + down} places see it down` };
  if (view.inStep.kind === 'behind') return { isReady: false, why: view.inStep.why };
  const waits = late > 0 && up < down ? `; ${late} more may only be late` : '';
  return { isReady: true, why: `${up} of ${up + down} places see it up${waits}` };
}

function judgeNewcomer({ probe, cluster, inStep }: ManagerViews, down: number): Verdict {
  if (probe !== 'up') return { isReady: false, why: 'does not answer as a manager yet' };
  if (cluster === 'down') return { isReady: false, why: 'its node has not joined the cluster' };
  if (inStep.kind === 'behind' || inStep.kind === 'catching_up') {
    return { isReady: false, why: inStep.why };
  }
  if (down > 0) return { isReady: false, why: 'not reached from everywhere yet' };
  return { isReady: true, why: 'answers, and its keys are in step' };
}

function localFault(
  local: LocalState | undefined,
  { maxQueueUsage, minDiskFree }: ReadinessSettings,
): string | undefined {
  if (local === undefined) return undefined;
  if (local.missingDaemons.length > 0) return `not running: ${local.missingDaemons.join(', ')}`;
  if (local.queueUsage > maxQueueUsage) return `a queue is ${percent(local.queueUsage)} full`;
  if (local.diskFree < minDiskFree) return `only ${percent(local.diskFree)} of its disk is free`;
  return undefined;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
