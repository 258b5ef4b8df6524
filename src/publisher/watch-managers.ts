/**
 * The publisher's own look at the managers, for `nodes` and for the log. In this first form a
 * failing probe takes no manager out of the list: sidecars probe for themselves, and what a
 * publisher sees from its place is not what an agent sees from its own.
 */
import { type Clock, sleep } from '../clock.ts';
import { defaultJudgeSettings, type Health, judgeOutcome } from '../health/judge.ts';
import type { ProbeOutcome, Prober } from '../health/probe.ts';
import type { Manager } from '../list/model.ts';
import type { Log } from '../log.ts';

/** Asks every manager once, all at the same time. */
export function probeManagers(
  prober: Prober,
  managers: readonly Manager[],
  deadlineMs: number,
  signal?: AbortSignal,
): Promise<readonly ProbeOutcome[]> {
  return Promise.all(
    managers.map(({ address, port, protocol }) =>
      prober.probe({ address, port, kind: `ping-${protocol}` }, deadlineMs, signal),
    ),
  );
}

export interface Watch {
  readonly prober: Prober;
  readonly clock: Clock;
  readonly log: Log;
  /** The managers of the list that is served now. */
  managers(): readonly Manager[];
  settings(): { readonly intervalMs: number; readonly deadlineMs: number };
  /** Told after every round what the probes add up to, by manager id. */
  onRound?(healths: ReadonlyMap<string, Health>): void;
}

const leastPauseMs = 100;

/**
 * Probes until `signal` aborts and logs every manager that comes or goes. A manager that leaves its
 * deadline to pass is asked as often as one that answers: from start to start it is `intervalMs`.
 */
export async function watchManagers(watch: Watch, signal: AbortSignal): Promise<void> {
  const healths = new Map<string, Health>();
  while (!signal.aborted) {
    const { intervalMs, deadlineMs } = watch.settings();
    const managers = watch.managers();
    const startMs = watch.clock.monotonicMs();
    const outcomes = await probeManagers(watch.prober, managers, deadlineMs, signal).catch(
      () => [],
    );
    outcomes.forEach((outcome, index) => {
      const manager = managers[index];
      if (manager !== undefined) noteOutcome(watch, healths, manager, outcome);
    });
    watch.onRound?.(healths);
    const tookMs = watch.clock.monotonicMs() - startMs;
    const pauseMs = Math.max(Math.min(intervalMs, leastPauseMs), intervalMs - tookMs);
    await sleep(watch.clock, pauseMs, signal).catch(() => undefined);
  }
}

function noteOutcome(
  { clock, log }: Watch,
  healths: Map<string, Health>,
  manager: Manager,
  outcome: ProbeOutcome,
): void {
  const before = healths.get(manager.id);
  const health = judgeOutcome(before, outcome, defaultJudgeSettings, clock.nowMs());
  healths.set(manager.id, health);
  if (health.verdict === (before?.verdict ?? 'unknown')) return;
  const fields = { manager: manager.id, seen: health.seen };
  if (health.verdict === 'up') log.info('manager.up', fields);
  else log.warn('manager.down', fields);
}
