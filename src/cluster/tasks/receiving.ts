/**
 * Files that the peer sends for a task (cluster-protocol.md 3.3, 3.6): we hand out an id, wait for
 * the word that the file is there, and take it. Ids of nobody have no effect at all.
 */
import type { Cancel, Clock, Random } from '../../clock.ts';
import { PeerError } from '../../errors.ts';
import type { TakenFile } from '../session/incoming-files.ts';
import type { Reply } from '../session/output.ts';
import { type Fault, fault, faultText } from '../wire/fault.ts';
import type { TaskFault, TaskFile } from '../wire/payload-transfer.ts';

/** Hands over a complete upload; the link does. */
export interface FileGiver {
  takeFile(path: string): TakenFile | undefined;
}

export interface ReceivedFile extends TakenFile {
  /** The peer's name of it, for logs only. */
  readonly path: string;
}

export interface ReceivingTask {
  readonly id: string;
  /** Rejects with `PeerError`: too late, refused, or the link ended. */
  readonly file: Promise<ReceivedFile>;
}

interface Waiting {
  readonly resolve: (file: ReceivedFile) => void;
  readonly reject: (error: Error) => void;
  readonly stopTimer: Cancel;
}

export interface ReceivingOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly timeoutMs: number;
  /** Open at once; a peer that starts more is refused. */
  readonly mostTasks?: number;
  /** The peer shall stop sending for this task. */
  cancel(taskId: string, reason: Fault): void;
}

export class ReceivingTasks {
  readonly #options: ReceivingOptions;
  readonly #waiting = new Map<string, Waiting>();

  constructor(options: ReceivingOptions) {
    this.#options = options;
  }

  /** Undefined: too many are open. */
  start(): ReceivingTask | undefined {
    const { clock, random, timeoutMs, mostTasks = 4 } = this.#options;
    if (this.#waiting.size >= mostTasks) return undefined;
    const id = uuid(random.bytes(16));
    const { promise, resolve, reject } = Promise.withResolvers<ReceivedFile>();
    promise.catch(() => undefined); // whoever started the task looks at it
    const stopTimer = clock.after(timeoutMs, () => this.#late(id));
    this.#waiting.set(id, { resolve, reject, stopTimer });
    return { id, file: promise };
  }

  /** The peer says that the file of a task is there. */
  sent({ taskId, path }: TaskFile, from: FileGiver): Reply {
    const waiting = this.#take(taskId);
    if (waiting === undefined) return { kind: 'fault', fault: fault(3027, taskId.slice(0, 64)) };
    const file = from.takeFile(path);
    if (file === undefined) {
      const reason = fault(3040, 'the file was never completely sent');
      waiting.reject(new PeerError('peer_refused', faultText(reason)));
      return { kind: 'fault', fault: reason };
    }
    waiting.resolve({ ...file, path });
    return { kind: 'ok', payload: 'File correctly received' };
  }

  /** The peer gives up. True: one of our tasks ended by it. */
  failed({ taskId, fault: reason }: TaskFault): boolean {
    const waiting = taskId === undefined ? undefined : this.#take(taskId);
    waiting?.reject(new PeerError('peer_refused', faultText(reason)));
    return waiting !== undefined;
  }

  /** The link ended. */
  end(): void {
    for (const id of [...this.#waiting.keys()]) {
      this.#take(id)?.reject(new PeerError('link_closed', 'the link ended before the file came'));
    }
  }

  #late(id: string): void {
    const reason = fault(3039);
    this.#take(id)?.reject(new PeerError('peer_silent', faultText(reason)));
    this.#options.cancel(id, reason);
  }

  #take(id: string): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.stopTimer();
    return waiting;
  }
}

/** RFC 9562 version 4. */
export function uuid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex');
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 3) | 8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}
