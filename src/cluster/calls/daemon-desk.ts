/**
 * The master's end of `sendsync`: asks daemons of this host for workers. Each daemon has its own
 * line, so that a stuck one holds up nobody else (stock blocks the whole cluster on it); deadline,
 * size and number of questions are bounded.
 */

import { messageOf } from '../../guards.ts';
import type { NodeLog } from '../tasks/node-log.ts';
import { CallQueue } from './call-queue.ts';
import {
  type DaemonName,
  type DaemonRequest,
  daemonMessageBytes,
  daemons,
  parseDaemonRequest,
  socketError,
} from './daemon-request.ts';

/** One question and its answer over a daemon's unix socket, 4-byte little-endian lengths. */
export interface DaemonPort {
  /** `socket` is below the manager's home. Rejects with a system error, or late. */
  exchange(request: {
    readonly socket: string;
    readonly message: string;
    readonly timeoutMs: number;
    readonly maxAnswerBytes: number;
  }): Promise<string>;
}

export interface DaemonDeskParts {
  readonly port: DaemonPort;
  readonly allowed: readonly DaemonName[];
  /** Under `SendSync`. */
  readonly log: NodeLog;
  /** An enrolment is told only when this resolved: it may not be lost with this host. */
  readonly keysNoted?: (() => Promise<void>) | undefined;
}

const limits = { atOncePerAsker: 4, waitingPerAsker: 256, total: 512 } as const;

export class DaemonDesk {
  readonly #parts: DaemonDeskParts;
  readonly #queue = new CallQueue(limits);

  constructor(parts: DaemonDeskParts) {
    this.#parts = parts;
  }

  /**
   * The daemon's answer. Rejects with `DaemonError`, whose message goes to the asker as it is. Who
   * is gone when its turn comes is not asked for: a key that nobody gets would hold its agent's name.
   */
  async ask(body: Uint8Array, from: string, signal: AbortSignal): Promise<string> {
    const { allowed, log } = this.#parts;
    const request = parseDaemonRequest(body, allowed);
    log.debug(`Receiving SendSync request (${request.daemon}) from ${from}`);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const isTaken = this.#queue.push(request.daemon, () =>
      (signal.aborted ? gone() : this.#exchange(request)).then(resolve, reject),
    );
    if (!isTaken) reject(socketError(`too many requests wait for '${request.daemon}'`));
    return promise;
  }

  async #exchange({ daemon, message }: DaemonRequest): Promise<string> {
    const { socket, timeoutMs } = daemons[daemon];
    try {
      const answer = await this.#parts.port.exchange({
        socket,
        message,
        timeoutMs,
        maxAnswerBytes: daemonMessageBytes,
      });
      if (daemon === 'authd') await this.#parts.keysNoted?.();
      return answer;
    } catch (error) {
      throw socketError(messageOf(error).slice(0, 256), 1013);
    }
  }
}

function gone(): Promise<never> {
  return Promise.reject(socketError('whoever asked is gone'));
}
