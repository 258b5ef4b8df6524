/**
 * `pilotfish run`: cycles for ever; polls, probes and the relay go on beside them. A failure with a
 * code costs its cycle and is told; anything unplanned ends the process, so that its supervisor
 * starts it afresh.
 */
import type { Random } from '../clock.ts';
import { PilotfishError } from '../errors.ts';
import type { Manager } from '../list/model.ts';
import type { Bell } from './bell.ts';
import { Complaints } from './complaints.ts';
import { type CycleReport, runCycle } from './cycle.ts';
import { type Connection, connectionOf } from './decide-connection.ts';
import { askAheadMs } from './decide-moves.ts';
import type { HealthWatch } from './health-watch.ts';
import type { HolderWatch } from './holder-watch.ts';
import { PassiveSigns } from './passive-signs.ts';
import type { Poller } from './poller.ts';
import type { RelayKeeper } from './relay-keeper.ts';
import type { World } from './world.ts';

export interface DaemonParts {
  /** Its `health` is `watch`, its `relay` is `relay`. */
  readonly world: World;
  readonly watch: HealthWatch;
  readonly relay?: RelayKeeper;
  readonly poller: Poller;
  readonly bell: Bell;
  readonly random: Random;
  /** Between two looks at the agent while something is unsettled. */
  readonly lookMs: number;
  /** The same while all is well; changes of health and of the list come by themselves. */
  readonly calmLookMs: number;
  /** Which nodes stand behind addresses; `world.holders` is this. */
  readonly holders?: HolderWatch;
  /** Reports to the publisher, where this host makes any. */
  readonly reports?: { run(signal: AbortSignal): Promise<void> };
  /** Told after every cycle; must not throw. */
  readonly onCycle: (report: CycleReport) => Promise<void>;
}

/** Resolves when `signal` aborts; rejects on what nobody planned for. */
export async function runDaemon(parts: DaemonParts, signal: AbortSignal): Promise<void> {
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const unlisten = parts.watch.onChange(() => parts.bell.ring());
  const loops = [parts.poller.run(both), parts.watch.run(both), cycleForever(parts, both)];
  if (parts.relay !== undefined) loops.push(parts.relay.run(both));
  if (parts.holders !== undefined) loops.push(parts.holders.run(both));
  if (parts.reports !== undefined) loops.push(parts.reports.run(both));
  try {
    await Promise.all(loops);
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  } finally {
    unlisten();
    stop.abort(new DOMException('stopping', 'AbortError'));
    await Promise.allSettled(loops);
  }
}

async function cycleForever(parts: DaemonParts, signal: AbortSignal): Promise<void> {
  const complaints = new Complaints(parts.world);
  const signs = new PassiveSigns(parts.watch);
  // The first decision knows whether there is a relay.
  await parts.relay?.opened;
  for (;;) {
    const startMs = parts.world.clock.monotonicMs();
    const report = await cycleOnce(parts.world, complaints);
    if (report !== undefined) {
      parts.watch.focus(focusOf(report));
      signs.look(report);
      askBeforeLeaving(parts.watch, report);
      lookAtHolder(parts.holders, report);
      tell(parts.world, report);
      await parts.onCycle(report);
    }
    const tookMs = parts.world.clock.monotonicMs() - startMs;
    await parts.bell.wait(parts.world.clock, nextMs(parts, report, tookMs), signal);
  }
}

/** Its slot is near: the verdict on the manager that it leaves must not be an old one. */
function askBeforeLeaving(watch: HealthWatch, report: CycleReport): void {
  const { decision, atMs } = report;
  const { step } = decision;
  if (step.kind !== 'hold') return;
  const isNear = step.reason === 'slot' && (step.untilMs ?? atMs) - atMs <= askAheadMs;
  if (!isNear && step.reason !== 'asking') return;
  for (const id of focusOf(report).inUse) watch.refresh(id);
}

/** Only the node behind the manager in use matters. */
function lookAtHolder(holders: HolderWatch | undefined, report: CycleReport): void {
  const { memory, list, seen } = report;
  if (holders === undefined || list === undefined || seen === undefined) return;
  const connection = connectionOf({ memory, list, seen });
  const listed = new Set(list.list.managers.map(({ id }) => id));
  const manager = managerOf(connection);
  const address = manager && (seen.health.get(manager.id)?.ips[0] ?? '');
  const { shareMs } = focusOf(report);
  const isKnown = manager !== undefined && address !== undefined && address !== '';
  const { publishers } = report.trust.newest.root;
  const target = isKnown ? { id: manager.id, address, port: manager.port, publishers } : undefined;
  holders.look(target, listed, shareMs);
}

function managerOf(connection: Connection): Manager | undefined {
  if (connection.kind === 'listed') return connection.manager;
  return connection.kind === 'none' ? connection.last : undefined;
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

/** The manager in use, or wanted; and how often all agents together may ask one manager. */
function focusOf({ memory, list, seen, decision: { step } }: CycleReport) {
  const inUse = new Set<string>();
  if (list === undefined) return { inUse, shareMs: 0 };
  if (step.kind === 'move' || step.kind === 'switch') inUse.add(step.to);
  const connection = seen === undefined ? undefined : connectionOf({ memory, list, seen });
  if (connection?.kind === 'listed') inUse.add(connection.manager.id);
  if (connection?.kind === 'none' && connection.last !== undefined) inUse.add(connection.last.id);
  const { agents, probeBudgetPerManager } = list.list.client;
  return { inUse, shareMs: (agents * 1000) / probeBudgetPerManager };
}

/** Jitter keeps a fleet that started together from doing everything together. */
function nextMs(parts: DaemonParts, report: CycleReport | undefined, tookMs: number): number {
  const jitter = 0.9 + 0.2 * parts.random.fraction();
  const usualMs = isCalm(report) ? parts.calmLookMs : parts.lookMs;
  return Math.max(50, Math.min(usualMs * jitter, slotInMs(report)) - tookMs);
}

function slotInMs(report: CycleReport | undefined): number {
  const step = report?.decision.step;
  const isSlot = step?.kind === 'hold' && step.reason === 'slot' && step.untilMs !== undefined;
  return report !== undefined && isSlot ? step.untilMs - report.atMs : Number.POSITIVE_INFINITY;
}

function isCalm(report: CycleReport | undefined): boolean {
  const step = report?.decision.step;
  return step?.kind === 'stay' && step.reason === 'current_is_up';
}

/** Decisions are told, the quiet is not. */
function tell({ log, clock }: Pick<World, 'log' | 'clock'>, report: CycleReport): void {
  const { step } = report.decision;
  const { result } = report;
  if (result === undefined && step.kind !== 'switch') return;
  log.info('cycle.acted', {
    step: step.kind,
    to: step.kind === 'move' || step.kind === 'switch' ? step.to : undefined,
    why: report.decision.trace.at(-1),
    outcome: result?.outcome,
    code: result?.reason?.code,
    awayMs: result?.awayMs,
    tookMs: Math.round(clock.nowMs() - report.atMs),
  });
}
