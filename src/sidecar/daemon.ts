/**
 * `pilotfish run`: cycles for ever, and polls beside them. A failure with a code costs its cycle
 * and is told; anything unplanned ends the process, so that its supervisor starts it afresh.
 */
import type { Random } from '../clock.ts';
import { PilotfishError } from '../errors.ts';
import type { Bell } from './bell.ts';
import { type CycleReport, runCycle } from './cycle.ts';
import type { Poller } from './poller.ts';
import type { World } from './world.ts';

export interface DaemonParts {
  readonly world: World;
  readonly poller: Poller;
  readonly bell: Bell;
  readonly random: Random;
  /** Least time between two rounds of probes. */
  readonly probeIntervalMs: number;
  /** Told after every cycle; must not throw. */
  readonly onCycle: (report: CycleReport) => Promise<void>;
}

/** Resolves when `signal` aborts; rejects on what nobody planned for. */
export async function runDaemon(parts: DaemonParts, signal: AbortSignal): Promise<void> {
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const loops = [parts.poller.run(both), cycleForever(parts, both)];
  try {
    await Promise.all(loops);
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  } finally {
    stop.abort(new DOMException('stopping', 'AbortError'));
    await Promise.allSettled(loops);
  }
}

async function cycleForever(parts: DaemonParts, signal: AbortSignal): Promise<void> {
  const complaints = new Complaints(parts.world);
  for (;;) {
    const startMs = parts.world.clock.monotonicMs();
    const report = await cycleOnce(parts.world, complaints);
    if (report !== undefined) {
      tell(parts.world, report);
      await parts.onCycle(report);
    }
    const tookMs = parts.world.clock.monotonicMs() - startMs;
    await parts.bell.wait(parts.world.clock, nextMs(parts, report, tookMs), signal);
  }
}

async function cycleOnce(world: World, complaints: Complaints): Promise<CycleReport | undefined> {
  try {
    const report = await runCycle(world);
    complaints.end();
    return report;
  } catch (thrown) {
    if (!(thrown instanceof PilotfishError)) throw thrown;
    complaints.tell(thrown);
    return undefined;
  }
}

const complainEveryMs = 60_000;

/** A full disk fails every second; it is told once a minute. */
class Complaints {
  readonly #world: Pick<World, 'clock' | 'log'>;
  #code: string | undefined;
  #toldAtMs = 0;

  constructor(world: Pick<World, 'clock' | 'log'>) {
    this.#world = world;
  }

  tell({ code, reason, message }: PilotfishError): void {
    const nowMs = this.#world.clock.monotonicMs();
    if (code === this.#code && nowMs - this.#toldAtMs < complainEveryMs) return;
    this.#code = code;
    this.#toldAtMs = nowMs;
    this.#world.log.error('cycle.failed', { code, reason, message });
  }

  end(): void {
    if (this.#code !== undefined) this.#world.log.info('cycle.recovered', { code: this.#code });
    this.#code = undefined;
  }
}

/**
 * However many agents there are, one manager gets no more probes a second than the list allows.
 * Jitter keeps a fleet that started together from probing together.
 */
function nextMs(parts: DaemonParts, report: CycleReport | undefined, tookMs: number): number {
  const shareMs = probeShareMs(report);
  const jitter = 0.9 + 0.2 * parts.random.fraction();
  return Math.max(50, Math.max(parts.probeIntervalMs, shareMs) * jitter - tookMs);
}

function probeShareMs(report: CycleReport | undefined): number {
  const client = report?.list?.list.client;
  return client === undefined ? 0 : (client.agents * 1000) / client.probeBudgetPerManager;
}

/** Decisions are told, the quiet is not. */
function tell({ log, clock }: Pick<World, 'log' | 'clock'>, report: CycleReport): void {
  const { step } = report.decision;
  const { result } = report;
  if (step.kind === 'stay' || result === undefined) return;
  log.info('cycle.acted', {
    step: step.kind,
    to: step.kind === 'move' ? step.to : undefined,
    why: report.decision.trace.at(-1),
    outcome: result.outcome,
    code: result.reason?.code,
    awayMs: result.awayMs,
    tookMs: Math.round(clock.nowMs() - report.atMs),
  });
}
