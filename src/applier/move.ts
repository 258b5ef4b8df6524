/**
 * One restart of the agent, watched until it is connected or proven broken. What follows from the
 * verdict (keep, restore) is decided by the caller.
 */
import { sleep } from '../clock.ts';
import { PilotfishError } from '../errors.ts';
import type { AgentFacts } from '../wazuh/agent-facts.ts';
import { findConfigurationFault } from '../wazuh/agent-log.ts';
import { findDeafModules } from '../wazuh/deaf-modules.ts';
import type { Purse, Restart } from './budget.ts';
import { type ConfirmVerdict, type Expected, judgeConfirm, type Look } from './confirm.ts';
import { planRestart, type RestartPlan, runRestart, withoutStop } from './restart.ts';
import type { WrittenServer } from './result.ts';
import type { GiveUp } from './run.ts';
import type { ApplierWorld } from './world.ts';

export interface MoveOrder {
  /** Facts before the restart. */
  readonly facts: AgentFacts;
  /** Bytes of ossec.conf as it is now. */
  readonly config: Uint8Array;
  readonly servers: readonly WrittenServer[];
  readonly budgetMs: number;
  readonly purse: Purse;
  readonly isGivenUp?: GiveUp | undefined;
}

export interface Moved {
  readonly verdict: Exclude<ConfirmVerdict, { kind: 'waiting' }> | { readonly kind: 'given_up' };
  /** Every restart that was spent, in order. */
  readonly restarts: readonly Restart[];
  /** From the order to stop until connected. */
  readonly awayMs?: number;
  readonly notes: readonly string[];
}

/** plan -> stop and start -> watch -> verdict */
export async function moveAgent(world: ApplierWorld, order: MoveOrder): Promise<Moved> {
  const notes: string[] = [];
  const plan = await plannedRestart(world, order);
  if (plan.note !== undefined) notes.push(plan.note);
  const logMark = await world.agentLog.mark();
  const stoppedAtMs = world.clock.nowMs();
  const stoppedMonotonicMs = world.clock.monotonicMs();
  const kinds = await restartOrFallBack(world, order, plan, notes);
  const expected: Expected = {
    startedAtMs: world.clock.monotonicMs(),
    stoppedAtMs,
    oldPids: order.facts.pids,
    servers: order.servers,
    stableMs: world.settings.stableMs,
    budgetMs: order.budgetMs,
  };
  const verdict = await watch(world, expected, logMark, order.isGivenUp);
  const awayMs = verdict.kind === 'connected' ? verdict.atMs - stoppedMonotonicMs : undefined;
  const blindMs = awayMs ?? world.clock.monotonicMs() - stoppedMonotonicMs;
  const restarts = kinds.map((kind) => ({
    atMs: stoppedAtMs,
    kind,
    blindMs: kind === 'service' ? Math.round(blindMs) : 0,
    ...(order.purse === 'urgent' ? { urgent: true } : {}),
  }));
  return {
    verdict,
    restarts,
    ...(awayMs === undefined ? {} : { awayMs: Math.round(awayMs) }),
    notes,
  };
}

async function plannedRestart(world: ApplierWorld, order: MoveOrder): Promise<RestartPlan> {
  const { home, settings } = world;
  const configured = [
    ...findDeafModules(order.config),
    ...findDeafModules(await world.readSharedConfig()),
  ];
  const deaf = (await world.control.isRunning('modulesd')) ? configured : [];
  const tag = String(Math.floor(world.clock.nowMs()));
  const plan = planRestart({ facts: order.facts, home, settings, deafModules: deaf, tag });
  return order.facts.running ? plan : withoutStop(plan);
}

/** An agentd that cannot be restarted alone is not left lying: the whole agent is restarted. */
async function restartOrFallBack(
  world: ApplierWorld,
  order: MoveOrder,
  plan: RestartPlan,
  notes: string[],
): Promise<readonly Restart['kind'][]> {
  try {
    await runRestart(world.control, plan, world.settings.commandTimeoutMs);
    return [plan.kind];
  } catch (error) {
    if (!(error instanceof PilotfishError)) throw error;
    notes.push(error.message);
    if (plan.kind === 'service') return [plan.kind]; // the watch below finds out what came of it
  }
  const { home } = world;
  const settings = { ...world.settings, mode: 'service' } as const;
  const whole = planRestart({ facts: order.facts, home, settings, deafModules: [], tag: '' });
  try {
    await runRestart(world.control, whole, world.settings.commandTimeoutMs);
  } catch (error) {
    if (!(error instanceof PilotfishError)) throw error;
    notes.push(error.message);
  }
  return ['agentd', 'service'];
}

const keptLooks = 256;
/** After this the agent is looked at five times less often. */
const eagerMs = 5_000;

async function watch(
  world: ApplierWorld,
  expected: Expected,
  logMark: number,
  isGivenUp: GiveUp | undefined,
): Promise<Moved['verdict']> {
  const looks: Look[] = [];
  for (;;) {
    const look = await lookAtAgent(world, logMark);
    looks.push(look);
    if (looks.length > keptLooks) looks.shift();
    const verdict = judgeConfirm(looks, expected);
    if (verdict.kind !== 'waiting') return verdict;
    // Not while it is down: an agent that does not stay up is found out first.
    if (look.facts.running && (await isGivenUp?.()) === true) return { kind: 'given_up' };
    const eager = world.clock.monotonicMs() - expected.startedAtMs < eagerMs;
    await sleep(world.clock, world.settings.pollMs * (eager ? 1 : 5));
  }
}

async function lookAtAgent(world: ApplierWorld, logMark: number): Promise<Look> {
  const facts = await world.agent.readFacts();
  const fault = facts.running
    ? undefined
    : findConfigurationFault(await world.agentLog.since(logMark));
  return { atMs: world.clock.monotonicMs(), facts, ...(fault === undefined ? {} : { fault }) };
}
