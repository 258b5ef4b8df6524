/** What a running node of the cluster tells: its status file, and how far its workers are behind. */
import { join } from 'node:path';
import { type Clock, sleep } from '../clock.ts';
import { Master } from '../cluster/master/master.ts';
import { writeJson } from '../host/cluster-books.ts';
import { systemClock } from '../host/system-clock.ts';
import { silentLog } from '../log.ts';
import type { NodeLags } from '../publisher/roster/view.ts';
import type { AgentData } from './build-agent-data.ts';
import type { ClusterNode, NodeOptions } from './build-cluster.ts';
import type { ClusterStatus, PeerLine } from './cluster-commands.ts';

const clock: Clock = systemClock;
const statusEveryMs = 2_000;
export const statusName = 'cluster-status.json';

/** Until `signal` aborts. */
export async function writeStatus(
  node: ClusterNode,
  { config }: Pick<NodeOptions, 'config'>,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const status: ClusterStatus = {
      writtenAtMs: clock.nowMs(),
      node: config.nodeName,
      role: config.nodeType,
      ...heirsOf(node),
      peers: peersOf(node),
    };
    writeJson(join(folder, statusName), status, silentLog);
    await sleep(clock, statusEveryMs, signal).catch(() => undefined);
  }
}

/** On a master with a store: connected workers that have every key given out. */
function heirsOf({ role, data }: ClusterNode): Pick<ClusterStatus, 'allKeysOn'> {
  if (!(role instanceof Master) || data?.book === undefined) return {};
  const connected = new Set(role.workers().map(({ name }) => name));
  return { allKeysOn: data.book.nodesWithAllKeys().filter((node) => connected.has(node)) };
}

function peersOf({ role, data }: ClusterNode): readonly PeerLine[] {
  if (role instanceof Master) {
    return role.workers().map((one) => ({
      node: one.name,
      role: one.type,
      address: one.address,
      peer: one.peer ?? '-',
      state: one.isIntegrityFree ? 'connected' : 'synchronising',
      behindS:
        one.behindSinceMs === undefined
          ? 0
          : Math.round((clock.nowMs() - one.behindSinceMs) / 1000),
      heldDeletions: one.heldDeletions,
      heldReason: one.heldReason,
      ...lagsOf(one.name, data),
    }));
  }
  const { master, peer, isConnected, heldDeletions, heldReason } = role.status();
  return [
    {
      ...{ node: 'master', role: 'master', address: master, peer: peer ?? '-' },
      state: isConnected ? 'connected' : 'not connected',
      behindS: 0,
      heldDeletions,
      heldReason,
    },
  ];
}

/** What readiness of a node is judged by, from the store of a master. */
function lagsOf(
  node: string,
  data: AgentData | undefined,
): Pick<PeerLine, 'keysBehindS' | 'groupsBehindS' | 'keysGeneration'> {
  const lags = nodeLags(node, data);
  if (lags === undefined) return {};
  return {
    keysBehindS: Math.round(lags.keysMs / 1000),
    groupsBehindS: Math.round(lags.groupsMs / 1000),
    keysGeneration: lags.keysGeneration,
  };
}

/** Undefined: no master of ours, or the node was never checked. */
export function nodeLags(node: string, data: AgentData | undefined): NodeLags | undefined {
  const lag = data?.book?.lagOf(node);
  if (lag === undefined) return undefined;
  const owedSinceMs = data?.master?.statusOf(node)?.groupsOwedSinceMs;
  const { keysMs, filesMs, files, keysGeneration, newestKeysGeneration } = lag;
  const groupsMs = owedSinceMs === undefined ? 0 : Math.max(0, clock.nowMs() - owedSinceMs);
  return { keysMs, groupsMs, filesMs, files, keysGeneration, newestKeysGeneration };
}
