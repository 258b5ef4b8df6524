/** Since when the agent has had no connection, or sends nothing, as far as this process saw. */
import { freshStateMs } from '../health/passive.ts';
import type { AgentFacts } from '../wazuh/agent-facts.ts';
import type { LossWatch } from './world.ts';

/** Wall and monotonic clock part by no more without having been set. */
const slewMs = 1_000;

export function buildLossWatch(): LossWatch {
  /** `aheadMs`: wall minus monotonic clock, by which a clock that was set since is noticed. */
  let lost: { readonly sinceAtMs: number; readonly aheadMs: number } | undefined;
  let foundAtMs: number | undefined;
  let isFirstLook = true;
  let same: { readonly key: string; readonly sinceAtMs: number } | undefined;
  let stuck: { readonly key: string; readonly sinceMs: number } | undefined;
  return {
    sinceAtMs(facts, nowMs, monotonicMs) {
      const heardAtMs = isFirstLook ? (lastHeardAtMs(facts, nowMs) ?? nowMs) : nowMs;
      const isNews = isFirstLook || lost !== undefined;
      isFirstLook = false;
      if (!isLost(facts)) {
        if (isNews) foundAtMs = nowMs;
        lost = undefined;
        return undefined;
      }
      const aheadMs = nowMs - monotonicMs;
      lost ??= { sinceAtMs: heardAtMs, aheadMs };
      const setByMs = aheadMs - lost.aheadMs;
      if (Math.abs(setByMs) > slewMs) lost = { sinceAtMs: lost.sinceAtMs + setByMs, aheadMs };
      if (lost.sinceAtMs > nowMs) lost = { sinceAtMs: nowMs, aheadMs };
      return lost.sinceAtMs;
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

/**
 * A process that just started was not there when it happened: the last ack tells. Not one of an
 * earlier run of the agent: the file that holds it lies there from before this host was started.
 */
function lastHeardAtMs({ stateWrittenAtMs, lastAckAtMs }: AgentFacts, nowMs: number) {
  const isOfNow =
    stateWrittenAtMs !== undefined && Math.abs(nowMs - stateWrittenAtMs) <= freshStateMs;
  return isOfNow ? lastAckAtMs : undefined;
}

/** `.wait` is immediate; the state file lags and lies (real-agent-lab.md 2). */
function isLost({ running, waiting, peers, status }: AgentFacts): boolean {
  if (!running) return false;
  return waiting || (peers.length === 0 && status !== 'connected');
}
