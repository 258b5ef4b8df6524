/** Rules that move the agent, or say why it is not moved now. Pure. */
import type { Manager } from '../list/model.ts';
import {
  type Answer,
  hold,
  move,
  type PassAnswer,
  pass,
  type StepAnswer,
  seconds,
} from './decide-rule.ts';
import { slotAtMs } from './decide-slot.ts';
import { happenedAfter, type View } from './decide-view.ts';
import type { MoveReason } from './step.ts';

/** The list must leave this agent as many managers as the operator wants at least. */
export function enoughManagers({ list, policy }: View): Answer {
  const count = list.ranking.length;
  const total = list.list.managers.length;
  if (count >= Math.min(policy.minServers, total)) return pass(`${count} usable managers`);
  return hold('too_few_managers', `${count} usable managers; wanted: ${policy.minServers}`);
}

/** The manager in use is dead and another one answers: leave at once. */
export function leaveDead(view: View): Answer {
  const { connection, verdicts, seen, candidates, panic } = view;
  const current = connection.kind === 'listed' ? connection.manager : lastOf(view);
  if (!seen.agent.running || current === undefined) return pass('no manager is in use');
  const verdict = verdicts.get(current.id) ?? 'unknown';
  const health = seen.health.get(current.id);
  if (verdict !== 'down') return pass(`${current.id} is ${verdict}`);
  const why = `${current.id} is down: ${health?.seen ?? 'the list says so'}`;
  if (panic && current.state !== 'down') {
    return hold('panic', `${why}; most managers look dead at once: suspect this host`);
  }
  const target = candidates.find(({ id }) => id !== current.id);
  if (target === undefined) return hold('none_is_up', `${why}; no other manager answers`);
  return move(view, target.id, 'manager_down', why);
}

function lastOf({ connection }: View): Manager | undefined {
  return connection.kind === 'none' ? connection.last : undefined;
}

/** The agent has no connection although its last manager does not look dead. */
export function reconnect(view: View): Answer {
  const { connection, seen, candidates, panic, fileIds, policy, nowMs } = view;
  if (!seen.agent.running) return pass('the agent is stopped');
  if (connection.kind !== 'none') return pass('connected');
  if (panic) return hold('panic', 'not connected; most managers look dead: suspect this host');
  const [target] = candidates;
  if (target === undefined) return hold('none_is_up', 'not connected, and no manager answers');
  const reachable = fileIds.some((id) => candidates.some((one) => one.id === id));
  if (!reachable) {
    return move(
      view,
      target.id,
      'agent_unlisted',
      'not connected, and its file names no live manager',
    );
  }
  const sinceMs = seen.lostSinceAtMs ?? nowMs;
  const untilMs = sinceMs + policy.reconnectGraceMs;
  if (nowMs < untilMs && nowMs >= sinceMs) {
    return hold('agent_reconnecting', 'not connected; it may find a manager by itself', untilMs);
  }
  const waiting = restartWait(view);
  if (waiting !== undefined) return waiting;
  return move(view, target.id, 'agent_lost', `not connected for ${seconds(nowMs - sinceMs)}`);
}

/** A planned move: away from a manager that is drained or no longer listed, in this agent's slot. */
export function leaveDraining(view: View): Answer {
  const planned = plannedMove(view);
  if (planned.kind === 'pass') return planned;
  const { target, reason, why } = planned;
  const wait = plannedWait(view);
  return wait === undefined ? move(view, target.id, reason, why) : pass(`${why}; not yet`);
}

/** The same move, as a hold: asked after the rules that write, so that waiting blocks no write. */
export function waitForSlot(view: View): Answer {
  const planned = plannedMove(view);
  if (planned.kind === 'pass') return planned;
  return plannedWait(view) ?? pass('now');
}

type Planned =
  | {
      readonly kind: 'planned';
      readonly target: Manager;
      readonly reason: MoveReason;
      readonly why: string;
    }
  | PassAnswer;

function plannedMove(view: View): Planned {
  const { connection, verdicts, candidates, seen, panic } = view;
  if (!seen.agent.running || connection.kind === 'none') return pass('no manager is in use');
  if (panic) return pass('most managers look dead: suspect this host');
  const [target] = candidates;
  if (connection.kind === 'unlisted') {
    const why = `connected to ${connection.address}, which the list does not name`;
    if (target === undefined) return pass(`${why}; no listed manager answers`);
    return { kind: 'planned', target, reason: 'manager_unlisted', why };
  }
  const { id } = connection.manager;
  if (verdicts.get(id) !== 'draining') return pass(`${id} is not drained`);
  if (target === undefined) return pass(`${id} is drained, but no other manager answers`);
  return { kind: 'planned', target, reason: 'manager_draining', why: `${id} is drained` };
}

/** Slot, cooldown and least interval bound moves of choice. */
function plannedWait(view: View): StepAnswer | undefined {
  const { agentId, list, policy, nowMs } = view;
  const arrivedAtMs = Math.min(list.acceptedAtMs, nowMs); // the clock may have been set back
  const slot = slotAtMs({
    agentId,
    list: { ...list, acceptedAtMs: arrivedAtMs },
    spreadMs: policy.spreadMs,
  });
  if (nowMs < slot) return hold('slot', `its slot is in ${seconds(slot - nowMs)}`, slot);
  return restartWait(view);
}

function restartWait({ memory, list, policy, nowMs }: View): StepAnswer | undefined {
  const cooldownMs = policy.cooldownMs ?? list.list.client.cooldownSec * 1000;
  const recent = memory.attempts.findLast(
    ({ kind, atMs }) => kind === 'move' && happenedAfter(atMs, nowMs - cooldownMs, nowMs),
  );
  if (recent === undefined) return undefined;
  const untilMs = recent.atMs + cooldownMs;
  return hold('cooldown', `the agent was restarted ${seconds(nowMs - recent.atMs)} ago`, untilMs);
}
