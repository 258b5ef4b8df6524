/** The cluster's own word on its nodes as opinions and steps. Pure. */
import { type ClusterHealth, momentMs, type NodeHealth } from '../../cluster/local/node-health.ts';
import type { InStep, NodeLags, NodeRole, Opinion } from './view.ts';

export interface ClusterSight {
  /** When the answer came; undefined: the cluster could not be asked, and says nothing. */
  readonly health: ClusterHealth | undefined;
  readonly nowMs: number;
  /** A worker that was not checked against its master for so long is behind. */
  readonly maxAgeMs: number;
}

/** Stock drops a worker after 120 s; a closed link at once. */
const keepAliveMs = 130_000;

/** Clocks differ; a time further ahead than this says nothing about how young something is. */
const maxAheadMs = keepAliveMs;

/** Nodes of which the cluster tells times that are still to come, with how far ahead the latest is. */
export function futureNodes({
  health,
  nowMs,
}: Pick<ClusterSight, 'health' | 'nowMs'>): readonly string[] {
  return (health?.nodes ?? []).flatMap(({ name, sync }) => {
    const times = [sync?.lastKeepAlive, sync?.integrityCheck.end, sync?.integritySync.start];
    const known = times.map((text) => (text === undefined ? undefined : momentMs(text)) ?? 0);
    const aheadMs = Math.max(...known) - nowMs;
    return aheadMs > maxAheadMs ? [`${name} ${seconds(aheadMs)}`] : [];
  });
}

export function clusterOpinion({ health, nowMs }: ClusterSight, node: string | undefined): Opinion {
  if (health === undefined || node === undefined) return 'unknown';
  const found = health.nodes.find(({ name }) => name === node);
  if (found === undefined) return 'down';
  if (found.sync === undefined) return 'up';
  const heardMs = momentMs(found.sync.lastKeepAlive);
  // `n/a`: it has just come. A time ahead of ours is somebody's wrong clock, no proof of life.
  if (heardMs === undefined || heardMs > nowMs + maxAheadMs) return 'up';
  return nowMs - heardMs > keepAliveMs ? 'down' : 'up';
}

/** Only the two words that a cluster knows: a node may call itself anything. */
export function clusterRole(
  { health }: ClusterSight,
  node: string | undefined,
): { readonly role?: NodeRole } {
  const type = nodeOf(health, node)?.type;
  return type === 'master' || type === 'worker' ? { role: type } : {};
}

/** As the node says; absent where it does not. */
export function clusterClaim(
  { health }: ClusterSight,
  node: string | undefined,
): { readonly claimedAgents?: number } {
  const claimedAgents = nodeOf(health, node)?.activeAgents;
  return claimedAgents === undefined ? {} : { claimedAgents };
}

/**
 * Keys and groups travel with the integrity sync: its age and what it last carried tell. Our own
 * master knows more: `lags`, from its store.
 */
export function clusterStep(
  { health, nowMs, maxAgeMs }: ClusterSight,
  node: string | undefined,
  lags?: NodeLags,
): InStep {
  const found = nodeOf(health, node);
  if (found === undefined) return { kind: 'unknown' };
  if (lags !== undefined && found.sync !== undefined) {
    const told = lagStep(lags, maxAgeMs);
    if (told.kind !== 'in_step') return told;
  }
  const { sync } = found;
  if (sync === undefined) return { kind: 'in_step' }; // the master itself
  const checkedMs = momentMs(sync.integrityCheck.end);
  if (checkedMs === undefined)
    return { kind: 'catching_up', why: 'its keys and groups were never checked' };
  if (checkedMs - nowMs > maxAheadMs) {
    const ahead = `its keys and groups were checked ${seconds(checkedMs - nowMs)} from now`;
    return { kind: 'catching_up', why: `${ahead}: the clock of its master, or ours, is wrong` };
  }
  const startedMs = momentMs(sync.integritySync.start);
  const endedMs = momentMs(sync.integritySync.end);
  const isUnderWay = startedMs !== undefined && (endedMs === undefined || endedMs < startedMs);
  const isStuck = isUnderWay && nowMs - startedMs > maxAgeMs;
  const bringing = 'its keys and groups are being brought';
  if (isStuck) return { kind: 'behind', why: `${bringing}, for ${seconds(nowMs - startedMs)}` };
  if (isUnderWay) return { kind: 'catching_up', why: bringing };
  const ageMs = nowMs - checkedMs;
  if (ageMs <= maxAgeMs) return { kind: 'in_step' };
  return {
    kind: 'behind',
    why: `its keys and groups were last checked ${seconds(ageMs)} ago`,
  };
}

/** Keys first: an agent whose key a node lacks is refused there. */
function lagStep(lags: NodeLags, maxAgeMs: number): InStep {
  const { keysMs, groupsMs, keysGeneration, newestKeysGeneration } = lags;
  const worst = Math.max(keysMs, groupsMs);
  if (worst === 0) return { kind: 'in_step' };
  const why =
    keysMs > 0
      ? `it lacks keys of agents for ${seconds(keysMs)} (generation ${keysGeneration} of ${newestKeysGeneration})`
      : `it lacks changes of groups for ${seconds(groupsMs)}`;
  return { kind: worst > maxAgeMs ? 'behind' : 'catching_up', why };
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`;
}

function nodeOf(
  health: ClusterHealth | undefined,
  node: string | undefined,
): NodeHealth | undefined {
  return health?.nodes.find(({ name }) => name === node);
}
