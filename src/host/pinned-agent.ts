/**
 * Pinned connections that outlive one question: ten thousand sidecars that hear of a new list must
 * not cost their publisher ten thousand handshakes. A connection is kept only for questions with
 * the same pins, and does not keep this process alive.
 */
import { Agent, type AgentOptions } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.ts';
import { connectPinned, type PinnedTarget } from './pinned-tls.ts';
import type { Endpoint } from './proxy-tunnel.ts';

/** Rides along with every request; Node hands it to `createConnection`. */
export interface PinnedOptions {
  readonly pinned: PinnedTarget;
  readonly limit: AbortSignal;
}

type Created = (error: Error | null, socket?: Duplex) => void;

/** A publisher that is not asked for so long costs no connection. */
const idleMs = 120_000;

export class PinnedAgent extends Agent {
  readonly #clock: Clock;
  readonly #proxy: Endpoint | undefined;
  readonly #warnings = new WeakMap<Duplex, readonly string[]>();

  constructor(clock: Clock, proxy?: Endpoint) {
    const options: AgentOptions = { keepAlive: true, maxFreeSockets: 2, timeout: idleMs };
    super(options);
    this.#clock = clock;
    this.#proxy = proxy;
  }

  /** What was strange about the certificate of this connection. */
  warningsOf(socket: Duplex): readonly string[] {
    return this.#warnings.get(socket) ?? [];
  }

  override getName(options?: object): string {
    const { host, port, pins } = pinnedOf(options).pinned;
    return `${host}|${port}|${typeof pins === 'string' ? pins : pins.join()}`;
  }

  override createConnection(options: object, created: Created): undefined {
    const { pinned, limit } = pinnedOf(options);
    connectPinned(pinned, this.#clock.nowMs(), limit, this.#proxy).then(
      ({ socket, warnings }) => {
        this.#warnings.set(socket, warnings);
        created(null, socket);
      },
      (error: Error) => created(error),
    );
  }
}

function pinnedOf(options: object | undefined): PinnedOptions {
  if (options !== undefined && 'pinned' in options && 'limit' in options) {
    return options as PinnedOptions;
  }
  throw new TypeError('a request of this agent names its pins');
}
