/**
 * Has the agent lost its manager? The applier's own evidence, so that an agent in need never waits
 * for a restart budget, whatever the request says. Pure.
 */
import type { AgentFacts } from '../wazuh/agent-facts.ts';
import { parseAgentVersion } from '../wazuh/agent-version.ts';

/**
 * True for an agent that runs without a manager: it says so, it is reconnecting, or nothing was
 * acknowledged for more than two keepalives (agent-side.md 3.1: the stall that its state file
 * does not admit). `notifySec` as configured; 5.x keeps no acknowledgements.
 */
export function isLost(facts: AgentFacts, notifySec: number | undefined, nowMs: number): boolean {
  if (!facts.running) return false;
  if (facts.waiting || facts.status === 'disconnected' || facts.status === 'pending') return true;
  if (facts.lastAckAtMs === undefined) return false;
  const staleMs = (2 * (notifySec || defaultNotifySec(facts.version)) + 5) * 1_000;
  return nowMs - facts.lastAckAtMs > staleMs;
}

function defaultNotifySec(version: string | undefined): number {
  const { major = 4, minor = 13 } = parseAgentVersion(version ?? '') ?? {};
  return major === 4 && minor < 13 ? 10 : 20;
}
