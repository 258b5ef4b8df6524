/** A step becomes a request to the applier, which believes none of it and proves it again. */
import type { ApplyRequest } from '../applier/request.ts';
import type { ApplyResult } from '../applier/result.ts';
import { openRelayOf } from './decide-connection.ts';
import type { Memory } from './memory.ts';
import type { RankedList, Seen } from './seen.ts';
import type { MoveReason, Step } from './step.ts';
import type { World } from './world.ts';

/** What acting needs besides the step. */
export interface ActGround {
  readonly memory: Memory;
  readonly list: RankedList;
  readonly seen: Seen;
  /** Gives up waiting for the agent to connect. */
  readonly signal: AbortSignal;
}

/** Undefined when the applier had nothing to do. */
export async function act(
  { applier, relay }: Pick<World, 'applier' | 'relay'>,
  { memory, list, seen, signal }: ActGround,
  step: Step,
): Promise<ApplyResult | undefined> {
  if (step.kind === 'restore') return applier.restoreNewest();
  if (step.kind === 'switch') {
    const why = switchReason(step.reason);
    if (step.session === undefined) relay?.switchAway(step.from, why);
    else relay?.endSession(step.session, why);
  }
  if (step.kind !== 'write' && step.kind !== 'move') return undefined;
  const request = requestOf(memory, step, openRelayOf({ list, seen }));
  return request === undefined ? undefined : applier.apply(request, signal);
}

/** What a dead or stuck connection holds is lost anyway; a healthy one is ended gently. */
function switchReason(reason: MoveReason): 'failed' | 'planned' {
  return isUrgent(reason) ? 'failed' : 'planned';
}

const urgent: readonly MoveReason[] = ['manager_down', 'agent_lost', 'agent_wedged', 'vip_moved'];

/** The agent is without a manager, stuck, or on a dead one: it must not wait for a budget of choice. */
export function isUrgent(reason: MoveReason): boolean {
  return urgent.includes(reason);
}

/** Its connection looks established, and leads nowhere. */
function isDead(reason: MoveReason): boolean {
  return reason === 'agent_wedged' || reason === 'vip_moved';
}

/** Undefined before the first list. */
export function requestOf(
  memory: Memory,
  step: Extract<Step, { kind: 'write' | 'move' }>,
  relay?: { readonly address: string; readonly port: number },
): ApplyRequest | undefined {
  const { list } = memory;
  if (list === undefined) return undefined;
  const isMove = step.kind === 'move';
  return {
    listEnvelope: list.envelope,
    rootEnvelopes: memory.roots,
    order: step.order,
    ...(relay === undefined ? {} : { relay: { address: relay.address, port: relay.port } }),
    ...(list.receipt === undefined ? {} : { receipt: list.receipt }),
    move: isMove,
    ...(isMove && isUrgent(step.reason) ? { urgent: true } : {}),
    ...(isMove && isDead(step.reason) ? { renew: true } : {}),
  };
}
