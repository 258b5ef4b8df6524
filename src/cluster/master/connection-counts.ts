/** How many connections each address has; the excess is closed without a word, as stock does. */

export interface ConnectionLimits {
  readonly maxConnectionsPerAddress: number;
  readonly maxConnections: number;
}

export class ConnectionCounts {
  readonly #limits: ConnectionLimits;
  readonly #open = new Map<string, number>();
  #total = 0;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  of(address: string): number {
    return this.#open.get(address) ?? 0;
  }

  /** False: full; nothing was counted. */
  enter(address: string): boolean {
    const { maxConnectionsPerAddress, maxConnections } = this.#limits;
    const open = this.of(address);
    if (open >= maxConnectionsPerAddress || this.#total >= maxConnections) return false;
    this.#open.set(address, open + 1);
    this.#total += 1;
    return true;
  }

  leave(address: string): void {
    const left = this.of(address) - 1;
    this.#total -= 1;
    if (left > 0) this.#open.set(address, left);
    else this.#open.delete(address);
  }
}
