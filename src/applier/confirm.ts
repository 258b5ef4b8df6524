/**
 * Did the agent come back, and to a listed manager? A judgement over a series of looks at it.
 * The state file lags up to 5 s and lies for up to a minute, so the early evidence is: process
 * alive and new, `.wait` gone, an established connection to a server that the file names, for
 * `stableMs` on end. The state file alone counts too, once it is newer than the restart
 * (agent-side.md 8.3, real-agent-lab.md 2). Pure.
 */
import type { AgentFacts, AgentPeer } from '../wazuh/agent-facts.ts';
import { canonicalAddress } from '../wazuh/connections.ts';
import type { WrittenServer } from './result.ts';

export interface Look {
  readonly atMs: number;
  readonly facts: AgentFacts;
  /** A log line since the restart that blames the configuration. */
  readonly fault?: string;
}

export interface Expected {
  /** Monotonic milliseconds when the start of the agent was over; looks are later. */
  readonly startedAtMs: number;
  /** Wall clock when it was stopped: a state file older than that is stale. */
  readonly stoppedAtMs: number;
  /** agentd before the restart; its survivors prove nothing. */
  readonly oldPids: readonly number[];
  readonly servers: readonly WrittenServer[];
  readonly stableMs: number;
  /** `confirmBudgetMs` of the written list. */
  readonly budgetMs: number;
}

export type ConfirmVerdict =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'connected'; readonly atMs: number }
  /** The agent exited: its configuration, unless the log says otherwise. Restore at once. */
  | { readonly kind: 'fault'; readonly why: string }
  /** Alive, but not connected in time: a network or manager fault. */
  | { readonly kind: 'late' };

/** An exit without a telling log line is believed after this long (daemons fork when they start). */
const silentExitMs = 5_000;
/** With a log line that blames the configuration: time for the last daemon process to leave. */
const blamedExitMs = 300;
/** `agent.recv_timeout` of the agent, its default. */
const receiveTimeoutSec = 60;

export function judgeConfirm(looks: readonly Look[], expected: Expected): ConfirmVerdict {
  const last = looks.at(-1);
  if (last === undefined) return { kind: 'waiting' };
  const connectedAtMs = connectedSince(looks, expected);
  if (connectedAtMs !== undefined && last.atMs - connectedAtMs >= expected.stableMs) {
    return { kind: 'connected', atMs: connectedAtMs };
  }
  const gone = judgeGone(looks, expected);
  if (gone !== undefined) return gone;
  if (last.atMs - expected.startedAtMs >= expected.budgetMs && connectedAtMs === undefined) {
    return { kind: 'late' };
  }
  return { kind: 'waiting' };
}

/** First instant of the unbroken run of connected looks that ends with the last one. */
function connectedSince(looks: readonly Look[], expected: Expected): number | undefined {
  let since: number | undefined;
  for (const look of looks.toReversed()) {
    if (!looksConnected(look.facts, expected)) break;
    since = look.atMs;
  }
  return since;
}

export function looksConnected(
  facts: AgentFacts,
  expected: Pick<Expected, 'oldPids' | 'servers' | 'stoppedAtMs'>,
): boolean {
  const alive = facts.pids.some((pid) => !expected.oldPids.includes(pid));
  if (!facts.running || !alive || facts.waiting) return false;
  if (talksToOneOf(facts.peers, expected.servers)) return true;
  return stateSaysConnected(facts, expected.stoppedAtMs);
}

/** A name cannot be compared with the address the kernel shows: there the port decides. */
export function talksToOneOf(
  peers: readonly AgentPeer[],
  servers: readonly WrittenServer[],
): boolean {
  return peers.some((peer) =>
    servers.some((server) => {
      const address = canonicalAddress(server.address);
      return peer.port === server.port && (!isLiteral(address) || address === peer.address);
    }),
  );
}

function stateSaysConnected(facts: AgentFacts, sinceMs: number): boolean {
  if (facts.status !== 'connected' || (facts.stateWrittenAtMs ?? 0) <= sinceMs) return false;
  // 5.0 has no last_ack; stamps have whole seconds.
  return facts.lastAckAtMs === undefined || facts.lastAckAtMs + 1_000 > sinceMs;
}

function judgeGone(looks: readonly Look[], expected: Expected): ConfirmVerdict | undefined {
  const last = looks.at(-1);
  if (last === undefined || last.facts.running) return undefined;
  const lastAliveMs = looks.findLast(({ facts }) => facts.running)?.atMs;
  const goneForMs = last.atMs - (lastAliveMs ?? expected.startedAtMs);
  const blamed = looks.findLast(({ fault }) => fault !== undefined)?.fault;
  if (blamed !== undefined && goneForMs >= blamedExitMs) return { kind: 'fault', why: blamed };
  if (goneForMs < silentExitMs) return undefined;
  return {
    kind: 'fault',
    why: `the agent is not running ${Math.round(goneForMs / 1_000)} s after`,
  };
}

export interface WalkEntry {
  readonly maxRetries: number;
  readonly retryInterval: number;
}

/**
 * How long the agent may need to walk its whole list when every entry but the last accepts and
 * stays silent, plus 10 s: sum of R x (V + I) (real-agent-lab.md 3), `maxMs` at most.
 */
export function confirmBudgetMs(entries: readonly WalkEntry[], maxMs: number): number {
  const walkSec = entries.reduce(
    (total, { maxRetries, retryInterval }) =>
      total + maxRetries * (receiveTimeoutSec + retryInterval),
    0,
  );
  return Math.min(maxMs, walkSec * 1_000 + 10_000);
}

function isLiteral(address: string): boolean {
  return address.includes(':') || /^\d{1,3}(\.\d{1,3}){3}$/.test(address);
}
