/** What a probe asks and what it may answer, as values; `host/probe-socket.ts` does the asking. */

/** How to ask a manager whether it works. */
export type ProbeKind = 'ping-tcp' | 'ping-udp' | 'connect' | 'https' | 'enrollment';

interface ProbeFacts {
  /** What an answer proves, for people. */
  readonly proves: string;
  readonly port: number;
}

/** Every kind of probe; a new kind is one row here and one branch in the adapter. */
export const probeTable: Readonly<Record<ProbeKind, ProbeFacts>> = {
  'ping-tcp': { proves: 'remoted accepts, reads and answers agents over TCP', port: 1514 },
  'ping-udp': { proves: 'remoted reads and answers agents over UDP', port: 1514 },
  connect: { proves: 'only that a kernel accepts connections there', port: 1514 },
  https: { proves: 'remoted of 5.x answers over TLS 1.3 (GET / says ok)', port: 1517 },
  enrollment: { proves: 'authd completes a TLS handshake; not that it registers', port: 1515 },
};

export interface ProbeTarget {
  /** Host name, or IPv4 / IPv6 literal without brackets. */
  readonly address: string;
  readonly port: number;
  readonly kind: ProbeKind;
}

export type ProbeFailure =
  | 'refused'
  | 'silent'
  | 'closed'
  | 'unreachable'
  | 'unresolved'
  | 'wrong_answer'
  | 'failed';

export const failureTexts: Readonly<Record<ProbeFailure, string>> = {
  refused: 'nothing listens there',
  silent: 'no answer in time',
  closed: 'the connection was closed without an answer',
  unreachable: 'no route to it',
  unresolved: 'its name has no address',
  wrong_answer: 'something answers there, but not as a manager does',
  failed: 'the probe could not be made',
};

interface ProbeCommon {
  readonly tookMs: number;
  /** Addresses its name resolved to, the one that was asked first; empty when it did not resolve. */
  readonly ips: readonly string[];
}

export type ProbeOutcome =
  | (ProbeCommon & { readonly kind: 'alive' })
  | (ProbeCommon & {
      readonly kind: 'dead';
      readonly failure: ProbeFailure;
      /** What was seen, one line, for people. */
      readonly detail: string;
    });

/** Port: asks one manager once. Resolves within `deadlineMs` of the call; rejects only with `signal`. */
export interface Prober {
  probe(target: ProbeTarget, deadlineMs: number, signal?: AbortSignal): Promise<ProbeOutcome>;
  /** The same over one connection that is kept from answer to answer, where the kind allows it. */
  keep?(target: ProbeTarget, onClosed: () => void): KeptProbe;
}

/** Connects at the first question, and again at the next one after it broke. */
export interface KeptProbe {
  /** One question at a time. */
  ask(deadlineMs: number, signal?: AbortSignal): Promise<ProbeOutcome>;
  /** Harmless when repeated; `onClosed` is not told of it. */
  close(): void;
}

/** What a 4.x or 5.x manager is asked at the port where agents reach it. */
export function probeKindOf({
  protocol,
  port,
}: {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}): ProbeKind {
  if (port === probeTable.https.port) return 'https';
  return protocol === 'udp' ? 'ping-udp' : 'ping-tcp';
}
