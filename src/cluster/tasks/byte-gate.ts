/** Large bodies wait for their turn, so that all peers together never fill the memory. */

interface Waiting {
  readonly bytes: number;
  readonly enter: () => void;
}

export class ByteGate {
  readonly #limitBytes: number;
  readonly #waiting: Waiting[] = [];
  #inside = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** `work` runs when `bytes` fit, or when nobody else is inside. First come, first served. */
  async run<Value>(bytes: number, signal: AbortSignal, work: () => Promise<Value>): Promise<Value> {
    await this.#enter(bytes, signal);
    try {
      return await work();
    } finally {
      this.#inside -= bytes;
      this.#admit();
    }
  }

  #enter(bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        const index = this.#waiting.indexOf(waiting);
        if (index < 0) return;
        this.#waiting.splice(index, 1);
        reject(signal.reason);
      };
      const enter = (): void => {
        signal.removeEventListener('abort', onAbort);
        this.#inside += bytes;
        resolve();
      };
      const waiting: Waiting = { bytes, enter };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiting);
      this.#admit();
    });
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#inside > 0 && this.#inside + next.bytes > this.#limitBytes) return;
      this.#waiting.shift();
      next.enter();
    }
  }
}
