/**
 * How long a real 4.x agent needs to leave a dead manager, as arithmetic (real-agent-lab.md 3; it
 * agrees with every measured, not wedged row). Pure: the tests hold it against the measured table,
 * and the stand-in agent against it.
 */

export type Fault = 'refused' | 'hung' | 'blackholed';

/** What decides the timing. Seconds as in ossec.conf, milliseconds where the kernel decides. */
export interface NativeTiming {
  /** `<notify_time>`. */
  readonly notifyS: number;
  /** `<time-reconnect>`, T. */
  readonly reconnectS: number;
  /** `<max_retries>`, R. */
  readonly maxRetries: number;
  /** `<retry_interval>`, I. */
  readonly retryIntervalS: number;
  /** `agent.recv_timeout`, V. */
  readonly recvTimeoutS: number;
  /** Kernel connect timeout, C: 134.6 measured with tcp_syn_retries=6, 7 with 2. */
  readonly connectTimeoutS: number;
  readonly enrollment: boolean;
}

/** A 4.14 agent as installed, on Linux 6.18. */
export const defaultTiming: NativeTiming = {
  notifyS: 20,
  reconnectS: 60,
  maxRetries: 5,
  retryIntervalS: 10,
  recvTimeoutS: 60,
  connectTimeoutS: 134.6,
  enrollment: true,
};

/** The best that is legal in every 4.x without touching the kernel. */
export const tunedTiming: NativeTiming = {
  ...defaultTiming,
  notifyS: 5,
  reconnectS: 15,
  maxRetries: 1,
  retryIntervalS: 1,
};

/** T as the agent uses it: raised to three keepalives when it is not above one. */
export function effectiveReconnectS(notifyS: number, reconnectS: number): number {
  return reconnectS <= notifyS ? 3 * notifyS : reconnectS;
}

/** Seconds from the fault until the agent notices, at the soonest and at the latest. */
export function detectionS(
  fault: Fault,
  timing: NativeTiming,
): { readonly min: number; readonly max: number } {
  if (fault === 'refused') return { min: 0, max: 1 };
  const silenceS = effectiveReconnectS(timing.notifyS, timing.reconnectS);
  return { min: silenceS - timing.notifyS - 1, max: silenceS + 1 };
}

/** Seconds from noticing until the agent tries the next entry. */
export function leaveS(fault: Fault, timing: NativeTiming): number {
  const { maxRetries, retryIntervalS } = timing;
  const waitsS = maxRetries * retryIntervalS;
  switch (fault) {
    case 'refused':
      return waitsS;
    case 'hung':
      return maxRetries * timing.recvTimeoutS + waitsS;
    case 'blackholed': {
      const enrollmentS = timing.enrollment ? timing.connectTimeoutS : 0;
      return maxRetries * timing.connectTimeoutS + enrollmentS + waitsS;
    }
    default:
      return never(fault);
  }
}

/** A name costs four look-ups a second apart per attempt, once more for enrollment and at start. */
export function leaveUnresolvableS(timing: NativeTiming): number {
  const lookupS = 4;
  const enrollmentS = timing.enrollment ? lookupS : 0;
  return timing.maxRetries * (lookupS + timing.retryIntervalS) + enrollmentS;
}

function never(value: never): never {
  throw new TypeError(`unexpected ${String(value)}`);
}
