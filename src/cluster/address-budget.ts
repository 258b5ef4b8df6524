/**
 * How much strangers may make us hold, by address: connections that have not said a good hello
 * are charged from their first moment, and refused when their address has used its share.
 */
import { addressLimits } from './wire/limits.ts';

export interface AddressLimits {
  readonly unauthenticatedBytes: number;
  readonly connectionBytes: number;
}

/** One object for all links of a listener. Holds one number per address with strangers. */
export class AddressBudget {
  readonly #limits: AddressLimits;
  readonly #used = new Map<string, number>();

  constructor(limits: AddressLimits = addressLimits) {
    this.#limits = limits;
  }

  /** What a connection costs before its first byte. */
  get connectionBytes(): number {
    return this.#limits.connectionBytes;
  }

  /** Charge `bytes`; false, and nothing charged, when the address would exceed its share. */
  charge(address: string, bytes: number): boolean {
    const used = (this.#used.get(address) ?? 0) + bytes;
    if (used > this.#limits.unauthenticatedBytes) return false;
    this.#used.set(address, used);
    return true;
  }

  /** Give back what was charged. */
  release(address: string, bytes: number): void {
    const left = (this.#used.get(address) ?? 0) - bytes;
    if (left > 0) this.#used.set(address, left);
    else this.#used.delete(address);
  }

  /** Bytes charged to all addresses together. */
  get usedBytes(): number {
    return [...this.#used.values()].reduce((sum, used) => sum + used, 0);
  }
}
