/** One row of the table in `decide.ts`, and how rows answer. Pure. */
import type { Connection } from './decide-connection.ts';
import { orderOf, type View } from './decide-view.ts';
import type { HoldReason, MoveReason, Step } from './step.ts';

export type Answer = StepAnswer | PassAnswer;

export interface StepAnswer {
  readonly kind: 'step';
  readonly step: Step;
  readonly why: string;
}

/** Nothing to do as far as this rule goes: the next one is asked. */
export interface PassAnswer {
  readonly kind: 'pass';
  readonly why: string;
}

export interface Rule {
  /** What people read in the trace. */
  readonly name: string;
  ask(view: View): Answer;
}

export function pass(why: string): PassAnswer {
  return { kind: 'pass', why };
}

export function step(taken: Step, why: string): StepAnswer {
  return { kind: 'step', step: taken, why };
}

export function hold(reason: HoldReason, why: string, untilMs?: number): StepAnswer {
  return step({ kind: 'hold', reason, ...(untilMs === undefined ? {} : { untilMs }) }, why);
}

/**
 * To `to`, in the cheapest way: inside the relay its connection is cut and made anew, elsewhere the
 * agent is restarted.
 */
export function go(view: View, to: string, reason: MoveReason, why: string): StepAnswer {
  const { connection } = view;
  if (connection.kind !== 'none' && connection.isRelayed === true) {
    return step(switchOf(connection, to, reason), why);
  }
  return step({ kind: 'move', order: orderOf(view, to), to, reason }, why);
}

/** Where the manager itself is good, or no longer there to be avoided, only the session is ended. */
function switchOf(
  connection: Exclude<Connection, { readonly kind: 'none' }>,
  to: string,
  reason: MoveReason,
): Step {
  const isListed = connection.kind === 'listed';
  const from = isListed ? connection.manager.id : connection.address;
  const { session } = connection;
  const isSessionOnly = !isListed || sessionReasons.includes(reason);
  const only = session === undefined || !isSessionOnly ? {} : { session: session.number };
  return { kind: 'switch', from, to, reason, ...only };
}

const sessionReasons: readonly MoveReason[] = ['address_changed', 'vip_moved'];

export function isRelayed({ connection }: View): boolean {
  return connection.kind !== 'none' && connection.isRelayed === true;
}

export function seconds(ms: number): string {
  return `${Math.ceil(ms / 1000)} s`;
}
