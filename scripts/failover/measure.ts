/** One fault, seen from the managers: how long nobody had the agent, what it cost. */
import { currentSession, sessionSince } from '../demonstration/acts.ts';
import type { Stage, StageManager } from '../demonstration/stage.ts';
import { type Fault, inject } from './faults.ts';

export interface Outcome {
  /** Undefined: not on another manager before the cut. */
  readonly awayS: number | undefined;
  readonly restarts: number;
  /** Sessions that managers accepted from the fault on. */
  readonly connections: number;
  /** Events that no manager counted; undefined where nobody can say: after a restart, or a cut. */
  readonly eventsLost: number | undefined;
}

const lookMs = 20;
/** So long a manager holds on to an agent that it does not hear of (agent-side.md 2.7). */
const keyInUseMs = 62_000;
/** Buffered events arrive, counters are reported. */
const settleMs = 3_000;

export async function measure(stage: Stage, fault: Fault, cutS: number): Promise<Outcome> {
  const { manager } = await currentSession(stage);
  const pidsBefore = stage.home.pids.join();
  const lostBefore = eventsLost(stage);
  const sinceMs = Date.now();
  const heal = await inject(stage, manager, fault);
  const awayS = await awaitOther(stage, manager, sinceMs, fault, cutS);
  if (awayS !== undefined) await pause(settleMs);
  const restarts = stage.home.pids.join() === pidsBefore ? 0 : 1;
  const isCounted = restarts === 0 && awayS !== undefined;
  const outcome: Outcome = {
    awayS,
    restarts,
    connections: connectionsSince(stage, sinceMs),
    // A restarted agent counts its events anew.
    eventsLost: isCounted ? Math.max(0, eventsLost(stage) - lostBefore) : undefined,
  };
  await heal();
  if (fault === 'blackholed') await forgets(manager, sinceMs);
  return outcome;
}

/** A manager refuses an agent that it still has: no fault may follow within that minute. */
async function forgets({ process }: StageManager, sinceMs: number): Promise<void> {
  const hasLost = (): boolean =>
    process.events.some(({ event, atMs }) => event === 'agent_lost' && atMs >= sinceMs);
  while (!hasLost() && Date.now() - sinceMs < keyInUseMs) await pause(lookMs);
}

/** Drain: away counts from the moment the drained manager lost the agent. */
async function awaitOther(
  stage: Stage,
  manager: StageManager,
  sinceMs: number,
  fault: Fault,
  cutS: number,
): Promise<number | undefined> {
  while (Date.now() - sinceMs < cutS * 1_000) {
    const found = sessionSince(stage, sinceMs, manager);
    if (found !== undefined) {
      const lost = manager.process.events.findLast(({ event }) => event === 'agent_lost')?.atMs;
      const fromMs = fault === 'drained' ? Math.max(sinceMs, lost ?? sinceMs) : sinceMs;
      return Math.max(0, found.atMs - fromMs) / 1_000;
    }
    await pause(lookMs);
  }
  return undefined;
}

function connectionsSince(stage: Stage, sinceMs: number): number {
  return stage.managers
    .flatMap(({ process }) => process.events)
    .filter(({ event, atMs }) => event === 'agent_connected' && atMs >= sinceMs).length;
}

/** Sequence numbers run over all managers; what was sent last tells how many there were. */
function eventsLost(stage: Stage): number {
  const newest = stage.managers.flatMap(
    ({ process }) => process.events.findLast(({ event }) => event === 'events') ?? [],
  );
  const numbers = (field: 'lastSeq' | 'total'): readonly number[] =>
    newest.map((event) => Number(event[field] ?? 0));
  const seen = numbers('total').reduce((sum, total) => sum + total, 0);
  return Math.max(0, Math.max(0, ...numbers('lastSeq')) - seen);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
