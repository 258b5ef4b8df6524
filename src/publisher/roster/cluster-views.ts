/** The cluster's own word on its nodes as opinions and steps. Pure. */
import { type ClusterHealth, momentMs, type NodeHealth } from '../../cluster/local/node-health.ts';
import type { InStep, Opinion } from './view.ts';

export interface ClusterSight {
  /** When the answer came; undefined: the cluster could not be asked, and says nothing. */
  readonly health: ClusterHealth | undefined;
  readonly nowMs: number;
  /** A worker that was not checked against its master for so long is behind. */
  readonly maxAgeMs: number;
}

/** Stock drops a worker after 120 s; a closed link at once. */
const keepAliveMs = 130_000;

export function clusterOpinion({ health, nowMs }: ClusterSight, node: string | undefined): Opinion {
  if (health === undefined || node === undefined) return 'unknown';
  const found = health.nodes.find(({ name }) => name === node);
  if (found === undefined) return 'down';
  if (found.sync === undefined) return 'up';
  const heardMs = momentMs(found.sync.lastKeepAlive);
  // `n/a`: it has just come. A time ahead of ours is somebody's wrong clock, no proof of life.
  if (heardMs === undefined || heardMs > nowMs + keepAliveMs) return 'up';
  return nowMs - heardMs > keepAliveMs ? 'down' : 'up';
}

/** Keys and groups travel with the integrity sync: its age and what it last carried tell. */
export function clusterStep(
  { health, nowMs, maxAgeMs }: ClusterSight,
  node: string | undefined,
): InStep {
  const found = nodeOf(health, node);
  if (found === undefined) return { kind: 'unknown' };
  const { sync } = found;
  if (sync === undefined) return { kind: 'in_step' }; // the master itself
  const checkedMs = momentMs(sync.integrityCheck.end);
  if (checkedMs === undefined)
    return { kind: 'behind', why: 'its keys and groups were never checked' };
  const startedMs = momentMs(sync.integritySync.start);
  const endedMs = momentMs(sync.integritySync.end);
  const isUnderWay = startedMs !== undefined && (endedMs === undefined || endedMs < startedMs);
  if (isUnderWay) return { kind: 'behind', why: 'its keys and groups are being brought' };
  const ageMs = nowMs - checkedMs;
  if (ageMs <= maxAgeMs) return { kind: 'in_step' };
  return {
    kind: 'behind',
    why: `its keys and groups were last checked ${Math.round(ageMs / 1_000)} s ago`,
  };
}

function nodeOf(
  health: ClusterHealth | undefined,
  node: string | undefined,
): NodeHealth | undefined {
  return health?.nodes.find(({ name }) => name === node);
}
