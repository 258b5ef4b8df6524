/**
 * The roster round of the running publisher: ask the cluster, take the probes and the reports, judge,
 * and publish what follows. Each question has a deadline; a cluster that hangs or is gone says
 * nothing, which takes nobody out of the list.
 */
import { type Clock, deadline, sleep } from '../../clock.ts';
import type { ClusterHealth } from '../../cluster/local/node-health.ts';
import { PilotfishError } from '../../errors.ts';
import { messageOf } from '../../guards.ts';
import type { Health } from '../../health/judge.ts';
import type { Manager } from '../../list/model.ts';
import type { Log } from '../../log.ts';
import type { Complaints } from '../complaints.ts';
import type { AgentRow } from '../reports/agent-book.ts';
import { type ClaimBook, reportedAgents } from './claims.ts';
import {
  clusterClaim,
  clusterOpinion,
  clusterRole,
  clusterStep,
  futureNodes,
} from './cluster-views.ts';
import type { DissentBook } from './dissent.ts';
import {
  judgeRound,
  listedReadiness,
  type Readiness,
  type ReadinessSettings,
  type Round,
} from './readiness.ts';
import { siteViews } from './site-views.ts';
import type { LocalState, ManagerViews, NodeLags, Opinion, PeerView } from './view.ts';

export interface RosterParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly complaints: Complaints;
  /**
   * Those of the newest list: only these are probed, and only of these it says who is ready. One that
   * is configured and was not published, because the root refuses it or nobody asked, is not waited for.
   */
  managers(): readonly Manager[];
  /** The cluster node behind a manager; undefined where none is named. */
  nodeOf(id: string): string | undefined;
  /** The publisher's own probes, by manager id. */
  healths(): ReadonlyMap<string, Health>;
  rows(): Iterable<AgentRow>;
  /** What nodes say of their agents is held against reports; absent: it is not. */
  readonly claims?: ClaimBook;
  /** Absent where no cluster is asked. */
  askCluster?(signal: AbortSignal): Promise<ClusterHealth>;
  /** What publishers that stand by see, by manager id; absent where there are none. */
  readonly peers?: PeerVoices;
  /** From the store of our own master; undefined where it knows nothing of the node. */
  lagsOf?(node: string): NodeLags | undefined;
  /** By manager id: only of the node beside which this publisher runs. */
  readLocal?(): Promise<ReadonlyMap<string, LocalState>>;
  settings(): ReadinessSettings & {
    readonly everyMs: number;
    readonly maxAgeMs: number;
    /** Where this publisher is. */
    readonly site?: string | undefined;
  };
  /** What was seen and judged, for `status`. */
  noteRound?(views: readonly ManagerViews[], round: Round): void;
  /** What follows; the ids that are not offered. */
  publish(unready: readonly string[], round: Round): Promise<void>;
}

export interface PeerVoices {
  views(): ReadonlyMap<string, readonly PeerView[]>;
  /** Why those that do not count do not; by publisher. */
  faults(): readonly string[];
  readonly dissent: DissentBook;
  /** False while another one leads, and until those that stand by had time to say what they see. */
  mayDecide(): boolean;
  /** Ids that the newest list offers. */
  offered(): ReadonlySet<string>;
}

const askMs = 1_500;
const topics = {
  claims: 'roster.claims',
  clocks: 'roster.clocks',
  cluster: 'roster.cluster',
  guard: 'roster.guard',
  peers: 'roster.publishers',
  publish: 'roster.publish',
} as const;

export async function keepRoster(
  parts: RosterParts,
  known: ReadonlyMap<string, Readiness>,
  signal: AbortSignal,
): Promise<void> {
  let readiness = known;
  while (!signal.aborted) {
    const mayDecide = parts.peers?.mayDecide() !== false;
    if (!mayDecide) readiness = asTheListSays(parts, readiness);
    const judged = await rosterRound(parts, readiness, signal);
    // What one says that does not decide is for `status` alone.
    if (mayDecide) readiness = judged;
    await sleep(parts.clock, parts.settings().everyMs, signal).catch(() => undefined);
  }
}

/** Who does not decide keeps to the list, so that it begins with it when it comes to lead. */
function asTheListSays(
  { peers, managers, clock }: RosterParts,
  before: ReadonlyMap<string, Readiness>,
): ReadonlyMap<string, Readiness> {
  if (peers === undefined) return before;
  const ids = managers().map(({ id }) => id);
  return listedReadiness(ids, peers.offered(), before, clock.nowMs());
}

export async function rosterRound(
  parts: RosterParts,
  before: ReadonlyMap<string, Readiness>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Readiness>> {
  const { clock, complaints, log } = parts;
  const views = hearPeers(parts, await lookAround(parts, signal));
  if (signal.aborted || views.some(({ probe }) => probe === 'unknown')) return before;
  const round = judgeRound(before, views, parts.settings(), clock.nowMs());
  if (round.guarded === undefined) complaints.end(topics.guard);
  else complaints.begin(topics.guard, round.guarded);
  parts.noteRound?.(views, round);
  tellClaims(parts, views);
  if (parts.peers?.mayDecide() === false) return round.readiness;
  for (const one of round.readiness.values()) {
    const was = before.get(one.id);
    if (was?.isReady === one.isReady) continue;
    const fields = { manager: one.id, why: one.why };
    if (one.isReady) log.info('roster.ready', fields);
    else log.warn('roster.unready', fields);
  }
  try {
    await parts.publish(round.unready, round);
    complaints.end(topics.publish);
  } catch (thrown) {
    if (!(thrown instanceof PilotfishError)) throw thrown;
    complaints.begin(topics.publish, thrown.message);
  }
  return round.readiness;
}

function hearPeers(
  { peers, complaints, clock }: RosterParts,
  views: readonly ManagerViews[],
): readonly ManagerViews[] {
  if (peers === undefined) return views;
  const heard = peers.dissent.hear(views, clock.monotonicMs());
  const told = [...peers.faults(), ...heard.told];
  if (told.length === 0) complaints.end(topics.peers);
  else complaints.begin(topics.peers, told.join('; '));
  return heard.views;
}

function tellClaims(
  { claims, complaints, rows, clock }: RosterParts,
  views: readonly ManagerViews[],
): void {
  const nowMs = clock.nowMs();
  if (claims === undefined || !claims.isDue(nowMs)) return;
  const told = [...claims.note(views, reportedAgents(rows(), nowMs), nowMs)];
  if (told.length === 0) complaints.end(topics.claims);
  else complaints.begin(topics.claims, told.map(([id, why]) => `${id}: ${why}`).join('; '));
}

async function lookAround(
  parts: RosterParts,
  signal: AbortSignal,
): Promise<readonly ManagerViews[]> {
  const [health, local] = await Promise.all([askBounded(parts, signal), parts.readLocal?.()]);
  const nowMs = parts.clock.nowMs();
  const sight = { health, nowMs, maxAgeMs: parts.settings().maxAgeMs };
  tellClocks(parts, futureNodes(sight));
  const healths = parts.healths();
  const sites = siteViews(parts.rows(), nowMs);
  const peers = parts.peers?.views();
  const { site } = parts.settings();
  return parts.managers().map(({ id }) => {
    const node = parts.nodeOf(id);
    const own = local?.get(id);
    const lags = node === undefined ? undefined : parts.lagsOf?.(node);
    return {
      id,
      probe: opinionOf(healths.get(id)),
      cluster: clusterOpinion(sight, node),
      ...clusterRole(sight, node),
      ...clusterClaim(sight, node),
      inStep: clusterStep(sight, node, lags),
      sites: sites.get(id) ?? [],
      ...(site === undefined ? {} : { site }),
      ...(peers === undefined ? {} : { peers: peers.get(id) ?? [] }),
      ...(own === undefined ? {} : { local: own }),
      ...(lags === undefined ? {} : { lags }),
    };
  });
}

/** Its times come from the clock of a master; whoever is in stays, and nobody new is let in by them. */
function tellClocks({ complaints }: RosterParts, ahead: readonly string[]): void {
  const told = `the cluster tells times to come (${ahead.join(', ')} ahead)`;
  if (ahead.length === 0) complaints.end(topics.clocks);
  else complaints.begin(topics.clocks, `${told}: clocks of its master and of this host differ`);
}

function opinionOf(health: Health | undefined): Opinion {
  return health?.verdict ?? 'unknown';
}

async function askBounded(
  { askCluster, clock, complaints }: RosterParts,
  signal: AbortSignal,
): Promise<ClusterHealth | undefined> {
  if (askCluster === undefined) return undefined;
  const limit = deadline(clock, askMs, signal);
  try {
    const health = await askCluster(limit.signal);
    complaints.end(topics.cluster);
    return health;
  } catch (thrown) {
    if (!signal.aborted) complaints.begin(topics.cluster, messageOf(thrown));
    return undefined;
  } finally {
    limit.cancel();
  }
}
