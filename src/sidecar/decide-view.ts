/** What the rules of `decide` ask again and again, worked out once from what is. Pure. */
import { isIP } from 'node:net';
import { suspectsHere, type Verdict, verdictOf } from '../health/judge.ts';
import type { Manager } from '../list/model.ts';
import { canonicalAddress } from '../wazuh/connections.ts';
import type { Memory } from './memory.ts';
import type { RankedList, Seen, ServerSeen } from './seen.ts';

/** The local policy that bounds steps; times in milliseconds. */
export interface Policy {
  /** Local settings win over the list's `cooldownSec` and `spreadSec`. */
  readonly cooldownMs: number | undefined;
  readonly spreadMs: number | undefined;
  /** Least time between two writes of choice. */
  readonly minApplyMs: number;
  readonly minServers: number;
  /** How long an agent may look for a manager by itself before we help. */
  readonly reconnectGraceMs: number;
  /** All managers up for so long before the file goes back to this agent's own order. */
  readonly settleMs: number;
  /** A manager on which the agent failed to connect is tried last for so long. */
  readonly avoidFailedMs: number;
  readonly doubtMs: number;
  readonly tuning: Tuning;
}

/** Written into entries when set; seconds. */
export interface Tuning {
  readonly maxRetries?: number | undefined;
  readonly retryInterval?: number | undefined;
  readonly notifyTime?: number | undefined;
  readonly timeReconnect?: number | undefined;
}

/** As configured: without a value of its own the root's interval counts. */
export type LocalPolicy = Omit<Policy, 'minApplyMs'> & { readonly minApplyMs: number | undefined };

export const defaultPolicy: LocalPolicy = {
  cooldownMs: undefined,
  spreadMs: undefined,
  minApplyMs: undefined,
  minServers: 1,
  reconnectGraceMs: 20_000,
  settleMs: 15 * 60_000,
  avoidFailedMs: 5 * 60_000,
  doubtMs: 30_000,
  tuning: {},
};

export interface Situation {
  readonly memory: Memory;
  readonly list: RankedList;
  readonly seen: Seen;
  readonly policy: Policy;
  readonly agentId: string;
  readonly nowMs: number;
}

export interface View extends Situation {
  readonly verdicts: ReadonlyMap<string, Verdict>;
  /** Where the agent is connected, as far as that can be seen. */
  readonly connection: Connection;
  /** Managers that may be moved to, best first. */
  readonly candidates: readonly Manager[];
  readonly panic: boolean;
  /** Manager ids of the file's entries, in order; undefined for entries outside the list. */
  readonly fileIds: readonly (string | undefined)[];
}

export type Connection =
  | { readonly kind: 'listed'; readonly manager: Manager }
  /** Connected to something that the list does not name. */
  | { readonly kind: 'unlisted'; readonly address: string }
  /** `last`: where it was before, when that is still on the list. */
  | { readonly kind: 'none'; readonly last: Manager | undefined };

export function viewOf(situation: Situation): View {
  const { memory, list, seen, policy, nowMs } = situation;
  const verdicts = new Map(
    list.list.managers.map((one) => [one.id, verdictOf(one.state, seen.health.get(one.id))]),
  );
  const up = list.ranking.filter(({ id }) => verdicts.get(id) === 'up');
  return {
    ...situation,
    verdicts,
    connection: connectionOf(situation),
    candidates: failedLast(up, memory, nowMs - policy.avoidFailedMs, nowMs),
    panic: suspectsHere(
      list.list.managers
        .filter(({ state }) => state !== 'down')
        .map(({ id }) => seen.health.get(id)),
      { panicPct: list.list.client.panicPct, doubtMs: policy.doubtMs },
      nowMs,
    ),
    fileIds: seen.file.kind === 'readable' ? seen.file.servers.map(idOf(list.list.managers)) : [],
  };
}

/** Instants of the future (the clock was set back) never happened. */
export function happenedAfter(atMs: number, afterMs: number, nowMs: number): boolean {
  return atMs > afterMs && atMs <= nowMs;
}

function failedLast(
  managers: readonly Manager[],
  memory: Memory,
  sinceMs: number,
  nowMs: number,
): readonly Manager[] {
  const failed = new Set(
    memory.attempts
      .filter(({ kind, outcome }) => kind === 'move' && outcome === 'failed')
      .filter(({ atMs }) => happenedAfter(atMs, sinceMs, nowMs))
      .map(({ to }) => to),
  );
  return [
    ...managers.filter(({ id }) => !failed.has(id)),
    ...managers.filter(({ id }) => failed.has(id)),
  ];
}

/** The kernel's connection table is the truth; without it (UDP) the agent's word and our memory. */
export function connectionOf({
  memory,
  list,
  seen,
}: Pick<Situation, 'memory' | 'list' | 'seen'>): Connection {
  const { agent, health } = seen;
  const { managers } = list.list;
  const last = managers.find(({ id }) => id === memory.lastManager);
  for (const peer of agent.peers) {
    const manager = managers.find(
      (one) =>
        one.port === peer.port && addressesOf(one, health.get(one.id)?.ips).has(peer.address),
    );
    if (manager !== undefined) return { kind: 'listed', manager };
  }
  const [stranger] = agent.peers;
  if (stranger !== undefined && !agent.waiting) {
    // A name that does not resolve here now may be what the agent resolved earlier.
    const nameless = managers.find(
      ({ id, address, port }) =>
        port === stranger.port && isName(address) && (health.get(id)?.ips ?? []).length === 0,
    );
    if (nameless !== undefined) return { kind: 'listed', manager: nameless };
    return { kind: 'unlisted', address: stranger.address };
  }
  const saysConnected = agent.running && agent.status === 'connected' && !agent.waiting;
  const usesUdp = managers.some(({ protocol }) => protocol === 'udp');
  if (saysConnected && usesUdp && last !== undefined) return { kind: 'listed', manager: last };
  return { kind: 'none', last };
}

function addressesOf(manager: Manager, ips: readonly string[] = []): ReadonlySet<string> {
  return new Set([manager.address, ...ips].map(canonicalAddress));
}

function isName(address: string): boolean {
  return isIP(address) === 0;
}

function idOf(managers: readonly Manager[]): (server: ServerSeen) => string | undefined {
  return (server) =>
    managers.find(
      (manager) =>
        canonicalAddress(manager.address) === canonicalAddress(server.address) &&
        manager.port === server.port &&
        manager.protocol === server.protocol,
    )?.id;
}

/**
 * The whole file as it should be: every usable manager in this agent's own order, those that look
 * dead behind the others (not while this host is the suspect), `first` at the head.
 */
export function orderOf(view: View, first?: string): readonly string[] {
  const ids = view.list.ranking.map(({ id }) => id);
  const isDead = (id: string): boolean => !view.panic && view.verdicts.get(id) === 'down';
  const rest = ids.filter((id) => id !== first);
  return [
    ...(first === undefined ? [] : [first]),
    ...rest.filter((id) => !isDead(id)),
    ...rest.filter(isDead),
  ];
}
