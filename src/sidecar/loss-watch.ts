/** Since when the agent has had no connection, as far as this process saw. */
import type { AgentFacts } from '../wazuh/agent-facts.ts';
import type { LossWatch } from './world.ts';

export function buildLossWatch(): LossWatch {
  let lostSinceAtMs: number | undefined;
  return {
    sinceAtMs(facts, nowMs) {
      if (!isLost(facts)) lostSinceAtMs = undefined;
      else if (lostSinceAtMs === undefined || lostSinceAtMs > nowMs) lostSinceAtMs = nowMs;
      return lostSinceAtMs;
    },
  };
}

/** `.wait` is immediate; the state file lags and lies (real-agent-lab.md 2). */
function isLost({ running, waiting, peers, status }: AgentFacts): boolean {
  if (!running) return false;
  return waiting || (peers.length === 0 && status !== 'connected');
}
