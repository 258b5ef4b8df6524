/** What the relay needs of the world, and what it tells it. `host/relay-sockets.ts` has real sockets. */
import type { Clock } from '../clock.ts';
import type { Manager } from '../list/model.ts';

/** A manager as the relay dials it; the daemon may put a known address in place of the name. */
export type RelayManager = Pick<Manager, 'id' | 'address' | 'port' | 'protocol'> & {
  /** It answered the last probe, whatever its verdict: worth dialling again. */
  readonly answers?: true;
};

export interface ListenAddress {
  readonly address: string;
  readonly port: number;
}

/**
 * Where the agent dials: a loopback address of our own, or a listening socket inherited from the
 * service manager, which keeps the agent's connection waiting while the sidecar restarts.
 */
export type ListenPlace =
  | ({ readonly kind: 'address' } & ListenAddress)
  | {
      readonly kind: 'inherited';
      readonly fd: number;
      /** Where it must listen: the agent's file names this. */
      readonly expected?: ListenAddress;
    };

/** What the kernel knows of the bytes it was given for the other side. */
export interface SendQueue {
  /** Sent or not, the other side's kernel has not acknowledged them. */
  readonly unackedBytes: number;
  /** Times in a row that the oldest of them was sent again. */
  readonly retransmits: number;
  /** The other side's kernel answers, and has no room left: nobody reads there. */
  readonly isWindowClosed: boolean;
}

/** One stream connection. It starts paused; nothing is read before `attach` and `resume`. */
export interface Connection {
  /** IP literal of the other side, empty when it is gone already. */
  readonly peerAddress: string;
  /** With it; 0 when it is gone. */
  readonly peerPort: number;
  /** Bytes taken by `write` that the kernel has not taken yet. */
  readonly waitingBytes: number;
  /** Undefined where the platform does not say. Costs a look into a table of all connections. */
  sendQueue(): SendQueue | undefined;
  /** Says who hears of this connection; replaces who heard of it before. */
  attach(events: ConnectionEvents): void;
  pause(): void;
  resume(): void;
  /** False: hold back until `drained`. `bytes` must stay untouched from here on. */
  write(bytes: Uint8Array): boolean;
  /** Half-close: everything written goes out, then the end; reading goes on. */
  end(): void;
  /** Both directions at once, by RST, unsent bytes dropped. */
  reset(): void;
  /**
   * Both directions at once, by an orderly end that the kernel goes on offering for a minute or
   * two. A RST is sent once: a manager that cannot be reached just then would never hear of it.
   */
  leave(): void;
}

export interface ConnectionEvents {
  bytes(bytes: Uint8Array): void;
  drained(): void;
  /** The other side will send no more. */
  ended(): void;
  /** The last event. `broken`: by a reset or an error, not by two ends. */
  closed(broken: boolean): void;
}

export interface Listening extends ListenAddress {
  /** Stop accepting and release the port; accepted connections live on. */
  close(): Promise<void>;
}

/** A datagram socket, bound for the agent's side, connected on the manager's side. */
export interface Datagrams {
  send(datagram: Uint8Array, to?: ListenAddress): void;
  close(): void;
}

export interface DatagramEvents {
  datagram(datagram: Uint8Array, from: ListenAddress): void;
  /** The other host said that nothing listens there, or the socket broke. */
  failed(thrown: unknown): void;
}

export interface RelayNetwork {
  /** Throws HostError `listen_failed`: taken, not allowed, or no loopback address. */
  listen(place: ListenPlace, accept: (connection: Connection) => void): Promise<Listening>;
  /** A connected, paused connection; rejects as soon as `signal` aborts. */
  dial(manager: RelayManager, signal: AbortSignal): Promise<Connection>;
  /** As `listen`, for datagrams. */
  bind(at: ListenAddress, events: DatagramEvents): Promise<Datagrams & ListenAddress>;
  dialDatagrams(manager: RelayManager, events: DatagramEvents): Datagrams;
}

export interface RelayPorts {
  readonly clock: Clock;
  readonly network: RelayNetwork;
  /** The managers worth dialling now, best first, asked at every connection; empty: none is up. */
  choose(): readonly RelayManager[];
  /**
   * How long an agent that has just lost `managerId` waits before it is led on, so that a fleet that
   * lost a manager is taken in as fast as the others can. Absent: not at all. `lostForMs`: since then.
   * `leftMs`: it has waited, and fewer would take it in now; it can be kept for so long still.
   */
  admission?(managerId: string, lostForMs: number, leftMs?: number): number;
  /**
   * How long an agent that nobody answers may be kept, from its accept, because somebody may answer
   * soon; asked again and again. Absent, or 0: it is reset at once.
   */
  patienceMs?(): number;
  /** All agents at once are more than the managers take in. Absent: never. */
  isCrowd?(): boolean;
  /** Told at once, synchronously; must not throw. */
  report(event: RelayEvent): void;
}

/** Why a manager is suspect: the daemon should probe it now, not at its next interval. */
export type SuspectWhy =
  | 'dial_refused'
  | 'dial_silent'
  | 'closed'
  | 'reset'
  | 'not_acking'
  | 'not_draining'
  | 'not_answering';

/** `replaced`: it was kept, and a later connection is kept instead. */
export type RefusedWhy = 'not_loopback' | 'full' | 'no_manager' | 'none_answered' | 'replaced';

export type RelayEvent =
  | {
      readonly kind: 'connected';
      readonly session: number;
      readonly managerId: string;
      readonly tookMs: number;
      /** Managers tried before this one on the same accepted connection. */
      readonly skipped: readonly string[];
    }
  | { readonly kind: 'refused'; readonly why: RefusedWhy; readonly tried: readonly string[] }
  | { readonly kind: 'suspect'; readonly managerId: string; readonly why: SuspectWhy }
  | { readonly kind: 'switched'; readonly managerId: string; readonly sessions: number }
  | {
      readonly kind: 'closed';
      readonly session: number;
      readonly managerId: string;
      readonly bytesUp: number;
      readonly bytesDown: number;
      readonly lastedMs: number;
    };

/** Passive signals of one session; instants are monotonic milliseconds of the injected clock. */
export interface SessionSample {
  readonly session: number;
  readonly managerId: string;
  /** Where it was dialled. */
  readonly address: string;
  readonly protocol: 'tcp' | 'udp';
  /** Of the other end of the agent's side: whose it is, the kernel may know. */
  readonly agentPort: number;
  readonly openedAtMs: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** The manager said more than `#pong`: that it says to anybody, the rest to an agent with a key. */
  readonly isAnswered: boolean;
  /** Instant of the first byte of the agent that the manager has not said anything after. */
  readonly unansweredSinceAtMs: number | undefined;
  readonly lastFromAgentAtMs: number;
  readonly lastFromManagerAtMs: number;
  /** Times in a row that the kernel sent the same bytes again to the manager. */
  readonly retransmits: number;
  /** Bytes the manager's side has not taken, and since when without a pause there are some. */
  readonly waitingBytes: number;
  readonly waitingSinceAtMs: number | undefined;
}
