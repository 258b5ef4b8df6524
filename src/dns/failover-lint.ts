/**
 * How long an agent is away when a DNS name is its only failover: the record is changed at the
 * moment of the fault, caches may keep the old one for its TTL, and the agent asks only when it
 * dials. Formulas measured in real-agent-lab 3 (refused, hung, blackholed), settings in seconds.
 */

export interface AgentTimes {
  readonly notifyTime: number;
  readonly timeReconnect: number;
  readonly retryInterval: number;
  /** `agent.recv_timeout` of internal options. */
  readonly recvTimeout: number;
  /** What the kernel takes to give up a SYN (tcp_syn_retries). */
  readonly connectTimeout: number;
}

/** 4.14 defaults; Linux gives up a connect after 135 s. */
export const defaultAgentTimes: AgentTimes = {
  notifyTime: 20,
  timeReconnect: 60,
  retryInterval: 10,
  recvTimeout: 60,
  connectTimeout: 135,
};

export type Fault = 'refused' | 'hung' | 'blackholed';

export interface NativeAway {
  readonly fault: Fault;
  /** Seconds, at worst. */
  readonly awaySec: number;
}

/** Worst case of each fault for a record with this TTL. */
export function nativeAway(ttlSec: number, times: AgentTimes): readonly NativeAway[] {
  const { notifyTime, timeReconnect, retryInterval, recvTimeout, connectTimeout } = times;
  const silenceSec = timeReconnect > notifyTime ? timeReconnect : 3 * notifyTime;
  const away = (noticedSec: number, attemptSec: number): number => {
    const attempts = Math.ceil(Math.max(0, ttlSec - noticedSec) / attemptSec);
    return noticedSec + attempts * attemptSec;
  };
  return [
    { fault: 'refused', awaySec: away(1, retryInterval) },
    { fault: 'hung', awaySec: away(silenceSec, recvTimeout + retryInterval) },
    { fault: 'blackholed', awaySec: away(silenceSec, connectTimeout + retryInterval) },
  ];
}

/** With health known we are there in seconds; with DNS alone when the record may be asked again. */
export const ourAway = { byHealthSec: 3, afterTtlSec: 1 } as const;

export interface LintFinding {
  readonly level: 'ok' | 'warn';
  readonly text: string;
}

/** What somebody should know who fails over by this name. */
export function lintName(
  ttlSec: number,
  addresses: number,
  times: AgentTimes,
): readonly LintFinding[] {
  const worst = nativeAway(ttlSec, times)
    .map(({ fault, awaySec }) => `${fault} ${awaySec} s`)
    .join(', ');
  const native = `with TTL ${ttlSec} s and these settings a failover by DNS takes the agent alone, at worst: ${worst}`;
  const single = `one address only: with Pilotfish the agent moves when the record does, within ${ttlSec + ourAway.afterTtlSec} s of its change`;
  const several = `${addresses} addresses: with Pilotfish a dead one is left within ${ourAway.byHealthSec} s; the agent alone tries the first only`;
  return [
    { level: ttlSec > 60 ? 'warn' : 'ok', text: native },
    addresses > 1 ? { level: 'ok', text: several } : { level: 'warn', text: single },
    ...(ttlSec >= 3_600
      ? [
          {
            level: 'warn' as const,
            text: `a TTL of ${ttlSec} s is no failover: lower it to 60 s or less before you need it`,
          },
        ]
      : []),
  ];
}
