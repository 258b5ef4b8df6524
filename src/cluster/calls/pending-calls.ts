/**
 * Questions of ours that another node answers later, by an id of our own. An answer counts only
 * from the node that was asked; nothing waits longer than its deadline or than the link.
 */
import type { Clock, Random } from '../../clock.ts';
import { deadline } from '../../clock.ts';
import { PeerError } from '../../errors.ts';
import { type Fault, fault, faultText } from '../wire/fault.ts';

/** Who was asked: compared by identity, never by a name that the peer tells. */
export type Asked = object;

interface Waiting {
  readonly peer: Asked;
  resolve(bytes: Buffer): void;
  reject(error: unknown): void;
}

/** The other node could not answer; `fault` is what the one who waits is told. */
export class CallFailed extends PeerError {
  readonly fault: Fault;

  constructor(reason: Fault) {
    super('peer_refused', faultText(reason));
    this.fault = reason;
  }
}

export class PendingCalls {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #max: number;
  readonly #waiting = new Map<string, Waiting>();

  constructor(clock: Clock, random: Random, max = 1024) {
    this.#clock = clock;
    this.#random = random;
    this.#max = max;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /**
   * Open an id and ask `peer` with it; resolves to the answer. Rejects with `CallFailed` (3021 in
   * time, 3032 link gone), or with whatever `ask` throws. Asks nothing when nobody waits any more.
   */
  async run(
    peer: Asked,
    timeoutMs: number,
    ask: (id: string) => Promise<unknown>,
    parent?: AbortSignal,
  ): Promise<Buffer> {
    if (parent?.aborted) throw new CallFailed(fault(3021));
    if (this.#waiting.size >= this.#max) throw new CallFailed(fault(1000, 'too many calls wait'));
    const id = this.#newId();
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    promise.catch(() => undefined); // `ask` may fail first
    const { signal, cancel } = deadline(this.#clock, timeoutMs, parent);
    const expire = (): void => reject(new CallFailed(fault(3021)));
    signal.addEventListener('abort', expire, { once: true });
    this.#waiting.set(id, { peer, resolve, reject });
    try {
      await ask(id);
      return await promise;
    } finally {
      this.#waiting.delete(id);
      signal.removeEventListener('abort', expire);
      cancel();
    }
  }

  /** False: nobody waits for this id from this peer. */
  settle(peer: Asked, id: string, bytes: Buffer): boolean {
    const waiting = this.#of(peer, id);
    waiting?.resolve(bytes);
    return waiting !== undefined;
  }

  /** `error` is what the one who waits is told. False: as `settle`. */
  fail(peer: Asked, id: string, error: Error): boolean {
    const waiting = this.#of(peer, id);
    waiting?.reject(error);
    return waiting !== undefined;
  }

  isWaiting(peer: Asked, id: string): boolean {
    return this.#of(peer, id) !== undefined;
  }

  /** The link to this peer ended: what it owes will not come. */
  left(peer: Asked): void {
    for (const waiting of this.#waiting.values()) {
      if (waiting.peer === peer) waiting.reject(new CallFailed(fault(3032)));
    }
  }

  #of(peer: Asked, id: string): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    return waiting?.peer === peer ? waiting : undefined;
  }

  #newId(): string {
    return Buffer.from(this.#random.bytes(16)).toString('hex');
  }
}
