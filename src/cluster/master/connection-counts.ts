/**
 * How many connections there are, of each address and in all. Where there is no room the oldest one
 * that has not said a good hello makes some: a node says it at once, a stranger cannot. Only where
 * there is none the newcomer is closed without a word, as stock does.
 */

export interface ConnectionLimits {
  readonly maxConnectionsPerAddress: number;
  readonly maxConnections: number;
}

/** One accepted connection. */
export interface Seat {
  readonly address: string;
  /** It has to make room. */
  end(): void;
}

interface Place {
  readonly seats: Set<Seat>;
  readonly strangers: Set<Seat>;
}

export class ConnectionCounts {
  readonly #limits: ConnectionLimits;
  readonly #places = new Map<string, Place>();
  /** Of all addresses, oldest first. */
  readonly #strangers = new Set<Seat>();
  #total = 0;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  of(address: string): number {
    return this.#places.get(address)?.seats.size ?? 0;
  }

  /** As a stranger. False: full of nodes; nothing was counted. */
  enter(seat: Seat): boolean {
    const { address } = seat;
    const { maxConnectionsPerAddress, maxConnections } = this.#limits;
    const own = this.#places.get(address)?.strangers ?? new Set();
    if (this.of(address) >= maxConnectionsPerAddress && !this.#end(own)) return false;
    if (this.#total >= maxConnections && !this.#end(this.#strangers)) return false;
    const place = this.#places.get(address) ?? { seats: new Set(), strangers: new Set() };
    this.#places.set(address, place);
    place.seats.add(seat);
    place.strangers.add(seat);
    this.#strangers.add(seat);
    this.#total += 1;
    return true;
  }

  /** It said a good hello. */
  known(seat: Seat): void {
    this.#places.get(seat.address)?.strangers.delete(seat);
    this.#strangers.delete(seat);
  }

  /** It ended; saying so twice is harmless. */
  leave(seat: Seat): void {
    this.known(seat);
    const place = this.#places.get(seat.address);
    if (place?.seats.delete(seat) !== true) return;
    this.#total -= 1;
    if (place.seats.size === 0) this.#places.delete(seat.address);
  }

  #end(strangers: ReadonlySet<Seat>): boolean {
    const [oldest] = strangers;
    if (oldest === undefined) return false;
    this.leave(oldest);
    oldest.end();
    return true;
  }
}
