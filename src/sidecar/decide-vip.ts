/**
 * A virtual IP moved: another node answers at the address, and the agent's connection, older than
 * that, has no other end any more. Natively the agent learns it from a reset at its next packet, or,
 * where the new node drops what it does not know, after a minute or a quarter of an hour. In the relay
 * the session is ended at once; elsewhere only a connection that is proven stuck is worth a restart.
 */
import { isContested } from '../health/holder.ts';
import { admission } from './decide-moves.ts';
import { type Answer, go, isRelayed, pass, seconds } from './decide-rule.ts';
import type { View } from './decide-view.ts';
import type { HolderSeen } from './seen.ts';

/** The kernel's next attempt comes no later than the address was away before: then a reset is due. */
const waits = { roomMs: 1_000, leastMs: 2_000, mostMs: 15_000 } as const;
/** A manager acknowledges a keepalive in milliseconds; the agent's state file is 5 s behind. */
const ackMs = 6_000;

export function freeHalfOpen(view: View): Answer {
  const { connection, seen, verdicts, candidates, panic, nowMs } = view;
  if (!seen.agent.running || connection.kind !== 'listed') return pass('no manager is in use');
  const { manager, session } = connection;
  const holder = seen.holders?.get(manager.id);
  const movedAtMs = holder?.movedAtMs;
  if (holder === undefined || movedAtMs === undefined) return pass('one node has answered so far');
  const sinceAtMs = session?.openedAtMs ?? seen.ownConnection?.sinceAtMs;
  if (sinceAtMs === undefined || sinceAtMs >= movedAtMs) return pass('connected since the move');
  if (isContested(holder, nowMs)) return pass(`two nodes answer at ${manager.address}`);
  const why = `another node answers at ${manager.address} since ${seconds(nowMs - movedAtMs)}, the connection is older`;
  if (panic || verdicts.get(manager.id) !== 'up') return pass(`${why}; it is not up`);
  if (!isRelayed(view) && !isStuck(view, { ...holder, movedAtMs })) {
    return pass(`${why}; its next packet may tell the agent`);
  }
  const target = candidates.find(({ id }) => id === manager.id) ?? candidates[0];
  if (target === undefined) return pass(`${why}; no manager answers`);
  return admission(view, manager, movedAtMs, why) ?? go(view, target.id, 'vip_moved', why);
}

/** What it sent since the move was neither taken nor refused. */
function isStuck(
  { seen, nowMs }: View,
  { movedAtMs, goneMs = 0 }: HolderSeen & { readonly movedAtMs: number },
): boolean {
  const waitMs = Math.min(Math.max(goneMs + waits.roomMs, waits.leastMs), waits.mostMs);
  if (nowMs - movedAtMs < waitMs) return false;
  const { lastKeepaliveAtMs = 0, lastAckAtMs = 0 } = seen.agent;
  const isUnacked =
    lastKeepaliveAtMs > movedAtMs && lastAckAtMs < movedAtMs && nowMs - lastKeepaliveAtMs >= ackMs;
  return isUnacked || (seen.ownConnection?.retransmits ?? 0) > 0;
}
