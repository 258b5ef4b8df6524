/** What the rules of `decide` ask again and again, worked out once from what is. Pure. */
import { defaultDamping, isSuppressed } from '../health/damping.ts';
import { suspectsHere, type Verdict, verdictOf } from '../health/judge.ts';
import type { Manager } from '../list/model.ts';
import { canonicalAddress } from '../wazuh/connections.ts';
import { type Connection, connectionOf, isRelayEntry, openRelayOf } from './decide-connection.ts';
import { isRipe } from './decide-slot.ts';
import type { Window } from './decide-window.ts';
import type { Memory } from './memory.ts';
import type { RankedList, RelaySeen, Seen, ServerSeen } from './seen.ts';

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
  /** An agent whose own loop is there so soon is not restarted. */
  readonly nativeLoopMs: number;
  /** No move and no write of choice; a dead manager is left all the same. */
  readonly freeze: boolean;
  /** Moves of choice only within these; none: always. */
  readonly windows: readonly Window[];
  /** Back to this agent's first choice: over the relay only, where that costs no restart, or never, or always. */
  readonly failBack: 'never' | 'relay' | 'always';
  /** Good answers in a row before it. */
  readonly failBackProbes: number;
  /** Going back is spread over this time. */
  readonly failBackSpreadMs: number;
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
  nativeLoopMs: 3_000,
  freeze: false,
  windows: [],
  failBack: 'relay',
  failBackProbes: 10,
  failBackSpreadMs: 30 * 60_000,
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
  /**
   * Manager ids of the file's entries, in order; undefined for entries outside the list. The open
   * relay's own entry is left out when it stands first, where it belongs.
   */
  readonly fileIds: readonly (string | undefined)[];
  /** The relay that this agent may be pointed at. */
  readonly relay: Extract<RelaySeen, { kind: 'open' }> | undefined;
  /** The file's first entry is that relay. */
  readonly isRelayFirst: boolean;
}

export function viewOf(situation: Situation): View {
  const { list, seen, policy, nowMs } = situation;
  const verdicts = new Map(
    list.list.managers.map((one) => [one.id, verdictOf(one.state, seen.health.get(one.id))]),
  );
  const relay = openRelayOf(situation);
  const servers = seen.file.kind === 'readable' ? seen.file.servers : [];
  const isRelayFirst = relay !== undefined && isRelayEntry(servers[0], relay);
  return {
    ...situation,
    verdicts,
    connection: connectionOf(situation),
    candidates: candidatesOf(situation, verdicts),
    panic: suspectsHere(
      list.list.managers
        .filter(({ state }) => state !== 'down')
        .map(({ id }) => seen.health.get(id)),
      { panicPct: list.list.client.panicPct, doubtMs: policy.doubtMs },
      nowMs,
    ),
    fileIds: servers.slice(isRelayFirst ? 1 : 0).map(idOf(list.list.managers)),
    relay,
    isRelayFirst,
  };
}

/**
 * Managers that answer, best first; behind them those that came back a moment ago and are still
 * too young for this agent, then those that fell too often, then those on which it just failed.
 */
function candidatesOf(
  { memory, list, seen, policy, agentId, nowMs }: Situation,
  verdicts: ReadonlyMap<string, Verdict>,
): readonly Manager[] {
  const up = list.ranking.filter(({ id }) => verdicts.get(id) === 'up');
  const isOld = ({ id }: Manager): boolean => isRipe(agentId, id, seen.health.get(id), nowMs);
  const isCalm = ({ id }: Manager): boolean =>
    !isSuppressed(seen.health.get(id)?.damping, defaultDamping, nowMs);
  const ordered = preferred(preferred(up, isOld), isCalm);
  return failedLast(ordered, memory, nowMs - policy.avoidFailedMs, nowMs);
}

function preferred(
  managers: readonly Manager[],
  isGood: (manager: Manager) => boolean,
): readonly Manager[] {
  return [...managers.filter(isGood), ...managers.filter((one) => !isGood(one))];
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
  return preferred(managers, ({ id }) => !failed.has(id));
}

function idOf(managers: readonly Manager[]): (server: ServerSeen) => string | undefined {
  const addresses = managers.map(({ address }) => canonicalAddress(address));
  return (server) => {
    const address = canonicalAddress(server.address);
    const isThat = ({ port, protocol }: Manager, place: number): boolean =>
      addresses[place] === address && port === server.port && protocol === server.protocol;
    return managers.find(isThat)?.id;
  };
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
