/**
 * What to do now, from what is: the file on disk, the agent, the managers, the list. A table of
 * rules asked in order; the first that has an answer decides, and every rule says why, so that
 * `status --why` can show the whole way. Level-triggered: nothing here depends on what an earlier
 * cycle meant to do, so a crash anywhere is repaired by the next one.
 *
 * Invariants: leaving a dead manager waits for no cooldown, window or freeze, only for the admission
 * of a big fleet; a move has a target that answers; while this host is the suspect nothing moves.
 */

import type { BalancerAddress } from '../list/model.ts';
import { canonicalAddress } from '../wazuh/connections.ts';
import {
  enoughManagers,
  leaveDead,
  leaveDeadInRelay,
  reconnect,
  startAgain,
  unwedge,
} from './decide-moves.ts';
import { goHome, leaveDraining, waitForSlot } from './decide-planned.ts';
import { type Answer, hold, pass, type Rule, step } from './decide-rule.ts';
import { type Situation, type View, viewOf } from './decide-view.ts';
import { freeHalfOpen } from './decide-vip.ts';
import { keepOwnOrder, mendMembership, mendTuning } from './decide-writes.ts';
import { heldStep, isTuning } from './held.ts';
import type { Held } from './memory.ts';
import type { Decision, StayReason, Step } from './step.ts';

const rules: readonly Rule[] = [
  { name: 'pause', ask: obeyPause },
  { name: 'agent', ask: needAgent },
  { name: 'dead behind the relay', ask: leaveDeadInRelay },
  { name: 'upgrade', ask: waitForUpgrade },
  { name: 'file', ask: needFile },
  { name: 'balancer', ask: stayBehindBalancer },
  { name: 'size', ask: enoughManagers },
  { name: 'stopped agent', ask: startAgain },
  { name: 'dead manager', ask: leaveDead },
  { name: 'moved address', ask: freeHalfOpen },
  { name: 'wedged agent', ask: unwedge },
  { name: 'lost agent', ask: reconnect },
  { name: 'drained manager', ask: leaveDraining },
  { name: 'membership', ask: mendMembership },
  { name: 'tuning', ask: mendTuning },
  { name: 'slot', ask: waitForSlot },
  { name: 'own order', ask: keepOwnOrder },
  { name: 'home', ask: goHome },
  { name: 'rest', ask: stay },
];

export function decide(situation: Situation): Decision {
  const view = viewOf(situation);
  const trace: string[] = [];
  for (const rule of rules) {
    const answer = rule.ask(view);
    trace.push(`${rule.name}: ${answer.why}`);
    if (answer.kind === 'pass') continue;
    const { step: wanted } = answer;
    const held = heldStep(view.memory, wanted, view.list.hash, view.seen.pause, view.nowMs);
    if (held === undefined) return { step: wanted, trace };
    trace.push(`applier: ${held.why}; asked again later`);
    if (!isTuning(wanted)) return { step: notAgainYet(held), trace };
  }
  return { step: { kind: 'stay', reason: 'nothing_known' }, trace };
}

/** What the applier refused or held is not asked again before its time, unless it is another thing. */
function notAgainYet({ reason, untilMs }: Held): Step {
  return { kind: 'hold', reason: reason === 'restart_budget' ? 'budget' : 'apply_held', untilMs };
}

function obeyPause({ seen, nowMs }: View): Answer {
  const { pause } = seen;
  if (pause === undefined || nowMs >= pause.untilMs) return pass('none');
  if (pause.endedAtMs !== undefined) return pass('ended by an operator'); // also with a clock set back
  return hold('paused', `paused by an operator: ${pause.reason}`, pause.untilMs);
}

function needAgent({ seen }: View): Answer {
  if (seen.agent.installed) return pass(seen.agent.running ? 'runs' : 'installed, not running');
  return hold('agent_absent', 'no agent is installed here');
}

function waitForUpgrade({ seen }: View): Answer {
  const { upgrade } = seen.agent;
  if (upgrade === undefined) return pass('none under way');
  return hold('upgrade_running', `an agent upgrade is under way (${upgrade})`);
}

function needFile({ seen: { file } }: View): Answer {
  if (file.kind === 'readable') return pass(`names ${file.servers.length} servers`);
  if (file.kind === 'missing' && file.hasBackup) {
    return step({ kind: 'restore' }, 'ossec.conf is gone; a backup is here');
  }
  const why = file.kind === 'missing' ? 'ossec.conf is gone, and no backup is here' : file.why;
  return hold('file_refused', why);
}

/** Whoever keeps a balancer spreads and moves its agents there; around it they would be uncounted. */
function stayBehindBalancer({
  list,
  seen: { file },
  fileIds,
  isRelayFirst,
  connection,
}: View): Answer {
  const [first] = file.kind === 'readable' ? file.servers : [];
  if (first === undefined || isRelayFirst || fileIds[0] !== undefined) return pass('none in front');
  const isThat = (one: BalancerAddress): boolean =>
    one.port === first.port && canonicalAddress(one.address) === canonicalAddress(first.address);
  if (!(list.list.balancers ?? []).some(isThat)) return pass('none in front');
  const where = `behind the balancer ${first.address}:${first.port}, and stays there`;
  const away = connection.kind === 'none' ? '; it has no connection now: look at the balancer' : '';
  return rest('behind_balancer', `${where}${away}`);
}

function stay(view: View): Answer {
  const { connection, verdicts, seen } = view;
  if (!seen.agent.running) return rest('agent_stopped', 'the agent is stopped; not by us');
  if (connection.kind !== 'listed') return rest('nothing_known', 'nothing better to do');
  const { id } = connection.manager;
  const verdict = verdicts.get(id) ?? 'unknown';
  if (verdict === 'up') return rest('current_is_up', `${id} is up: no reason to leave it`);
  return rest('none_is_up', `${id} is ${verdict}, and nobody is better`);
}

function rest(reason: StayReason, why: string): Answer {
  return step({ kind: 'stay', reason }, why);
}
