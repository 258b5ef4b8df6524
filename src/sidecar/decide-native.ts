/**
 * When the agent's own loop is as fast as we could be, it is let do it: no restart, nothing lost.
 * That is so where a manager refuses (nobody listens there) and its entry is tuned to few and quick
 * retries; a silent one holds an agent for minutes (real-agent-lab.md 3). Pure.
 */
import type { Manager } from '../list/model.ts';
import { hold, type StepAnswer, seconds } from './decide-rule.ts';
import type { View } from './decide-view.ts';

/** What a look every second, a handshake and a busy host may add. */
const roomMs = 2_000;

/** Undefined: do not wait for it. */
export function nativeLoop(view: View, leaving: Manager, why: string): StepAnswer | undefined {
  const { connection, seen, policy, nowMs } = view;
  if (connection.kind !== 'none' || seen.lostSinceAtMs === undefined) return undefined;
  const needsMs = nativeWalkMs(view, leaving.id);
  if (needsMs === undefined || needsMs > policy.nativeLoopMs) return undefined;
  const untilMs = seen.lostSinceAtMs + needsMs + roomMs;
  if (nowMs >= untilMs || nowMs < seen.lostSinceAtMs) return undefined;
  return hold('native_loop', `${why}; its own loop needs ${seconds(needsMs)}`, untilMs);
}

/** From the entry it was on to the first that answers; undefined when it would not get there. */
function nativeWalkMs(view: View, fromId: string): number | undefined {
  const { fileIds, verdicts, seen, isRelayFirst } = view;
  if (seen.file.kind !== 'readable' || seen.file.dialect === '5') return undefined;
  const entries = seen.file.servers.slice(isRelayFirst ? 1 : 0);
  const start = fileIds.indexOf(fromId);
  if (start < 0) return undefined;
  let totalMs = 0;
  for (let step = 0; step < entries.length; step += 1) {
    const at = (start + step) % entries.length;
    const id = fileIds[at];
    const entry = entries[at];
    if (id === undefined || entry === undefined) return undefined;
    const verdict = verdicts.get(id);
    if (verdict === 'up' || verdict === 'draining') return totalMs;
    if (seen.health.get(id)?.failure !== 'refused') return undefined;
    totalMs += entry.maxRetries * entry.retryInterval * 1_000;
  }
  return undefined;
}
