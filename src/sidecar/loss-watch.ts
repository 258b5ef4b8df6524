/** Since when the agent has had no connection, or sends nothing, as far as this process saw. */
import type { AgentFacts } from '../wazuh/agent-facts.ts';
import type { LossWatch } from './world.ts';

export function buildLossWatch(): LossWatch {
  let lostSinceAtMs: number | undefined;
  let foundAtMs: number | undefined;
  let isFirstLook = true;
  let same: { readonly key: string; readonly sinceAtMs: number } | undefined;
  let stuck: { readonly key: string; readonly sinceMs: number } | undefined;
  return {
    sinceAtMs(facts, nowMs) {
      // A process that just started was not there when it happened: the last ack tells.
      const heardAtMs = isFirstLook ? (facts.lastAckAtMs ?? nowMs) : nowMs;
      const isNews = isFirstLook || lostSinceAtMs !== undefined;
      isFirstLook = false;
      if (!isLost(facts)) {
        if (isNews) foundAtMs = nowMs;
        lostSinceAtMs = undefined;
      } else if (lostSinceAtMs === undefined || lostSinceAtMs > nowMs) {
        lostSinceAtMs = Math.min(heardAtMs, nowMs);
      }
      return lostSinceAtMs;
    },
    foundAtMs: () => foundAtMs,
    sameSinceAtMs({ peers }, nowMs) {
      const [peer] = peers;
      const key = peer && `${peer.address} ${peer.port} ${peer.localPort}`;
      if (key === undefined) same = undefined;
      else if (key !== same?.key) same = { key, sinceAtMs: nowMs };
      return same?.sinceAtMs;
    },
    stuckForMs({ running, pids, msgSent }, monotonicMs) {
      const key = running && msgSent !== undefined ? `${pids.join()} ${msgSent}` : undefined;
      if (key === undefined) stuck = undefined;
      else if (key !== stuck?.key) stuck = { key, sinceMs: monotonicMs };
      return stuck === undefined ? undefined : monotonicMs - stuck.sinceMs;
    },
  };
}

/** `.wait` is immediate; the state file lags and lies (real-agent-lab.md 2). */
function isLost({ running, waiting, peers, status }: AgentFacts): boolean {
  if (!running) return false;
  return waiting || (peers.length === 0 && status !== 'connected');
}
