/**
 * The applier of one host: the recorded steps of the real replace protocol on a simulated disk,
 * the real budget, a restart, the wait for the connection. A kill or a power cut may fall between
 * any two steps. I1, I2, I4 and I5 are checked at every step.
 */
import type { Purse } from '../applier/budget.ts';
import type { WalkEntry } from '../applier/confirm.ts';
import type { ApplyOutcome, ApplyReason, ApplyResult } from '../applier/result.ts';
import { defaultSettings } from '../applier/settings.ts';
import { isUrgent } from '../sidecar/act.ts';
import type { Memory } from '../sidecar/memory.ts';
import type { Step } from '../sidecar/step.ts';
import { agentState, fates, neverLooked } from './fleet.ts';
import { cutRelayed } from './native.ts';
import { askOne } from './probing.ts';
import { isInRelay } from './relay-seen.ts';
import { beginAway, leaveDoor } from './session.ts';
import { numberOf } from './situation.ts';
import { type Applying, eventKind, type World } from './world.ts';

/** agentd alone; the whole agent; SIGTERM ignored by a wedged one, then SIGKILL. */
const restartMs = { agentd: 60, service: 3_500 } as const;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const { killAfterMs, stableMs, maxConfirmMs } = defaultSettings;

type Ordered = Extract<Step, { kind: 'write' | 'move' }>;

/** Undefined: killed meanwhile, nobody will report. */
export function apply(world: World, agent: number, step: Ordered, listHash: string): void {
  const { fleet } = world;
  const order = step.order.map(numberOf);
  const wantsRelay = world.settings.hasRelay ? 1 : 0;
  const isChanged = !fleet.isFiled(agent, order) || fleet.fileHasRelay[agent] !== wantsRelay;
  if (isChanged && !replaceFile(world, agent, order)) return;
  if (step.kind === 'write') {
    report(world, agent, { step, listHash, outcome: isChanged ? 'written' : 'unchanged' });
    return;
  }
  const isFirst = wantsRelay === 1 ? fleet.isRelayed[agent] === 1 : fleet.on[agent] === order[0];
  const talksToFirst = fleet.state[agent] === agentState.connected && isFirst;
  if (!isChanged && talksToFirst) {
    report(world, agent, { step, listHash, outcome: 'unchanged' });
    return;
  }
  const purse = purseOf(world, agent, step);
  if (purse !== undefined) {
    restart(world, agent, { step, listHash, purse });
    return;
  }
  fleet.isBudgetHeld[agent] = 1;
  report(world, agent, { step, listHash, outcome: 'held', reason: 'restart_budget' });
}

/** False when the process died on the way. */
function replaceFile(world: World, agent: number, order: readonly number[]): boolean {
  const { fleet, replaceOps } = world;
  world.stats.writes += 1;
  const cut = fleet.cutNextWrite[agent] ?? 0;
  const cutAfter = cut === 0 ? replaceOps.length : world.random.below(replaceOps.length);
  let hasTemp = false;
  let isSynced = false;
  for (let place = 0; place < cutAfter; place += 1) {
    const op = replaceOps[place];
    if (op === 'write_synced' || op === 'write_unsynced') hasTemp = true;
    if (op === 'write_synced') isSynced = true;
    if (op === 'truncate_target') fleet.isFileWhole[agent] = 0;
    if (op === 'write_target') putFile(world, agent, order, true);
    if (op === 'rename') putFile(world, agent, order, hasTemp);
    checkFile(world, agent);
    const isTorn = cut === 2 && op === 'rename' && !isSynced && place + 1 === cutAfter;
    if (isTorn) fleet.isFileWhole[agent] = 0;
  }
  checkFile(world, agent);
  if (cut === 0) return true;
  fleet.cutNextWrite[agent] = 0;
  fleet.downUntilMs[agent] = Math.max(fleet.downUntilMs[agent] ?? 0, world.nowMs + 2_000);
  forgetHealth(world, agent);
  world.scheduleCycle(agent, world.nowMs + 2_000);
  return false;
}

function putFile(world: World, agent: number, order: readonly number[], isWhole: boolean): void {
  const { fleet } = world;
  const start = agent * fleet.width;
  order.slice(0, fleet.width).forEach((manager, place) => {
    fleet.file[start + place] = manager;
  });
  fleet.fileLength[agent] = Math.min(order.length, fleet.width);
  fleet.fileHasRelay[agent] = world.settings.hasRelay ? 1 : 0;
  fleet.isFileWhole[agent] = isWhole ? 1 : 0;
}

function checkFile(world: World, agent: number): void {
  const { fleet } = world;
  if (fleet.isFileWhole[agent] !== 1) world.violate('I1', agent, 'ossec.conf is not whole');
  const length = fleet.fileLength[agent] ?? 0;
  if (length === 0) world.violate('I4', agent, 'ossec.conf names no server');
  for (let place = 0; place < length; place += 1) {
    if (fleet.entry(agent, place) >= 0) continue;
    world.violate('I2', agent, 'ossec.conf names a host that the root does not allow');
  }
}

/** A new process knows nothing of what was probed. */
export function forgetHealth(world: World, agent: number): void {
  const { fleet } = world;
  for (let manager = 0; manager < fleet.width; manager += 1) {
    fleet.health[agent * fleet.width + manager] = undefined;
  }
  fleet.lostSinceMs[agent] = neverLooked;
  fleet.foundAtMs[agent] = Number.NaN;
  fleet.calm[agent] = 0;
  fleet.busyUntilMs[agent] = 0;
  fleet.askedAtMs[agent] = 0;
  fleet.told[agent] = 0;
  fleet.cycleAtMs[agent] = Number.NaN;
  world.applying.delete(agent);
  fleet.relayLost[agent] = -1;
  fleet.avoided[agent] = undefined;
  fleet.suspects[agent] = 0;
  fleet.turnedAtMs[agent] = Number.NaN;
  if (isInRelay(world, agent)) cutRelayed(world, agent, true); // its relay died with it
}

/** What the restart is spent from, by the real budgets; undefined when both are used up. */
function purseOf(world: World, agent: number, step: Ordered): Purse | undefined {
  const { fleet, logic, settings } = world;
  const { restartsPerHour, restartsPerDay, urgentRestartsPerHour } = settings;
  const limits = { restartsPerHour, restartsPerDay, urgentRestartsPerHour };
  const restarts = fleet.restarts[agent] ?? [];
  const nowMs = world.wallMs(agent);
  const isInNeed = fleet.isAway(agent) || (step.kind === 'move' && isUrgent(step.reason));
  if (!isInNeed) {
    return logic.budget(restarts, limits, nowMs).kind === 'allowed' ? 'normal' : undefined;
  }
  const verdict = logic.urgentBudget(restarts, limits, nowMs);
  return verdict.kind === 'allowed' ? verdict.purse : undefined;
}

interface Paid {
  readonly step: Ordered;
  readonly listHash: string;
  readonly purse: Purse;
}

/** Stop, start; the agent then begins with the first entry. */
function restart(world: World, agent: number, { step, listHash, purse }: Paid): void {
  const { fleet, logic, nowMs, settings } = world;
  const kind = settings.restart;
  const isUrgentOne = purse === 'urgent';
  const stamp = {
    atMs: world.wallMs(agent),
    kind,
    blindMs: 0,
    ...(isUrgentOne ? { urgent: true } : {}),
  } as const;
  fleet.restarts[agent] = logic.spend(fleet.restarts[agent] ?? [], stamp);
  world.stats.restarts += 1;
  world.stats.moves += 1;
  fleet.isBudgetHeld[agent] = 0;
  countRestart(world, agent, isUrgentOne);
  const isStuck = fleet.state[agent] === agentState.wedged;
  if (fleet.state[agent] === agentState.queued) fleet.fate[agent] = fates.restarted;
  leaveDoor(world, agent);
  beginAway(world, agent, false);
  fleet.state[agent] = agentState.stopped;
  fleet.isDirected[agent] = 1;
  fleet.relayLost[agent] = -1;
  fleet.wasMoved[agent] = 1;
  fleet.knocks[agent] = 0;
  fleet.isUnfinished[agent] = 1;
  world.scheduleAgent(agent, nowMs + restartMs[kind] + (isStuck ? killAfterMs : 0));
  const { maxRetries, retryIntervalSec: retryInterval } = settings.native;
  const walk = Array.from({ length: fleet.fileLength[agent] ?? 0 }, (): WalkEntry => {
    return { maxRetries, retryInterval };
  });
  const deadlineMs = nowMs + logic.confirmBudgetMs(walk, maxConfirmMs);
  world.applying.set(agent, { step, listHash, orderedAtMs: nowMs, deadlineMs, askAtMs: nowMs });
  fleet.busyUntilMs[agent] = deadlineMs;
  world.queue.push(nowMs + stableMs + restartMs[kind], eventKind.applied, agent);
}

/**
 * I5 in virtual time, restarts of choice and emergencies apart; a clock that jumped forward frees
 * the host's own account, so those are left out.
 */
function countRestart(world: World, agent: number, isUrgentOne: boolean): void {
  const { fleet, nowMs, settings } = world;
  const { restartsPerHour, restartsPerDay, urgentRestartsPerHour } = settings;
  const known = fleet.restarted[agent] ?? [];
  const all = [...known.filter(({ atMs }) => atMs > nowMs - dayMs), { atMs: nowMs, isUrgentOne }];
  fleet.restarted[agent] = all;
  if (fleet.hasJumped[agent] === 1) return;
  const since = (lengthMs: number, urgent: boolean): number =>
    all.filter((one) => one.isUrgentOne === urgent && one.atMs > nowMs - lengthMs).length;
  const limits = [
    ['restarts of choice in an hour', since(hourMs, false), restartsPerHour],
    ['restarts of choice in a day', since(dayMs, false), restartsPerDay],
    ['urgent restarts in an hour', since(hourMs, true), urgentRestartsPerHour],
  ] as const;
  for (const [name, count, limit] of limits) {
    if (count > limit) world.violate('I5', agent, `${count} ${name}, allowed: ${limit}`);
  }
}

const confirmPollMs = 500;

/** Looks again and again until the connection stands or the time for it is over. */
export function confirm(world: World, agent: number): void {
  const { fleet, nowMs } = world;
  const pending = world.applying.get(agent);
  if (pending === undefined) return;
  const isConnected = fleet.state[agent] === agentState.connected;
  if (!isConnected && nowMs < pending.deadlineMs) {
    if (attendTarget(world, agent, pending)) return;
    const gapMs = nowMs - pending.orderedAtMs < 10_000 ? confirmPollMs : 5 * confirmPollMs;
    world.queue.push(nowMs + gapMs, eventKind.applied, agent);
    return;
  }
  world.applying.delete(agent);
  fleet.busyUntilMs[agent] = 0;
  const { step, listHash } = pending;
  if (isConnected) report(world, agent, { step, listHash, outcome: 'moved' });
  else report(world, agent, { step, listHash, outcome: 'written', reason: 'not_connected' });
  world.scheduleCycle(agent, nowMs);
}

/** The target of a move is asked beside it, as often as the one in use. True: given up. */
function attendTarget(world: World, agent: number, pending: Applying): boolean {
  const { fleet, nowMs } = world;
  const { step } = pending;
  const isAsleep = Math.max(fleet.downUntilMs[agent] ?? 0, fleet.pausedUntilMs[agent] ?? 0) > nowMs;
  if (step.kind !== 'move' || isAsleep || nowMs < pending.askAtMs) return false;
  const { knownAtMs } = askOne(world, agent, numberOf(step.to), true);
  pending.askAtMs = knownAtMs > nowMs ? knownAtMs : nowMs + world.intervalMs;
  return lookForEscape(world, agent);
}

/** As `sidecar/escape.ts` has it: the target died, another manager of the order is up. */
export function lookForEscape(world: World, agent: number): boolean {
  const { fleet, applying } = world;
  const pending = applying.get(agent);
  if (pending?.step.kind !== 'move') return false;
  const { step, listHash } = pending;
  const verdictOf = (id: string) =>
    fleet.health[agent * fleet.width + numberOf(id)]?.verdict ?? 'unknown';
  if (verdictOf(step.to) !== 'down') return false;
  if (!step.order.some((id) => id !== step.to && verdictOf(id) === 'up')) return false;
  applying.delete(agent);
  fleet.busyUntilMs[agent] = 0;
  report(world, agent, { step, listHash, outcome: 'written', reason: 'not_connected' });
  world.scheduleCycle(agent, world.nowMs);
  return true;
}

interface Ending {
  readonly step: Step;
  readonly listHash: string;
  readonly outcome: ApplyOutcome;
  readonly reason?: ApplyReason['name'];
}

function report(world: World, agent: number, ending: Ending): void {
  const { step, listHash, outcome, reason } = ending;
  const memory = world.fleet.memory[agent];
  if (memory === undefined) return;
  const result: ApplyResult = {
    outcome,
    ...(reason === undefined ? {} : { reason: reasonOf(reason) }),
    servers: [],
    connected: outcome === 'moved',
    restarts: 0,
    startedAtMs: world.wallMs(agent),
    tookMs: 0,
    notes: [],
  };
  const nowMs = world.wallMs(agent);
  const end = (): Memory => world.logic.rememberResult(memory, { step, listHash, result, nowMs });
  const offsetMs = world.fleet.clockOffsetMs[agent] ?? 0;
  const isKept = outcome === 'held'; // remembered with the whole order, which is this agent's own
  const to = step.kind === 'move' ? step.to : '';
  world.fleet.memory[agent] = isKept
    ? end()
    : world.memories.take(world.nowMs, `${outcome} ${to} ${reason} ${offsetMs}`, memory, end);
}

function reasonOf(name: ApplyReason['name']): ApplyReason {
  return { code: 'E000', name, message: 'simulated', fix: '' };
}
