/**
 * Which addresses count as a name's own. An answer that shares nothing with the one before is a
 * change, and the old addresses are dropped at once. One that overlaps may be a part of a larger
 * set, turned by the server (round robin, cloud balancers): what is missing from it still counts
 * for a few answers more, so that no agent is moved in circles.
 */

/** Answers in a row that must miss an address before it is gone. */
const missesUntilGone = 3;
const maxAddresses = 64;
const maxNames = 256;

interface Known {
  /** Answers since the address was last in one. */
  readonly missed: ReadonlyMap<string, number>;
  /** The answer, so that reading a cached one again is no new miss. */
  readonly text: string;
}

export class AddressBook {
  readonly #names = new Map<string, Known>();

  /** The addresses of this answer first, then those that still count. */
  note(name: string, addresses: readonly string[]): readonly string[] {
    const before = this.#names.get(name);
    const text = addresses.join(' ');
    if (before?.text === text) return [...before.missed.keys()];
    const missed = new Map(addresses.map((address) => [address, 0]));
    for (const [address, misses] of lingering(before, addresses)) missed.set(address, misses);
    if (before === undefined && this.#names.size >= maxNames) this.#names.clear();
    this.#names.set(name, { missed, text });
    return [...missed.keys()];
  }
}

function lingering(
  before: Known | undefined,
  addresses: readonly string[],
): readonly (readonly [string, number])[] {
  if (before === undefined || !addresses.some((one) => before.missed.has(one))) return [];
  return [...before.missed]
    .filter(([address]) => !addresses.includes(address))
    .map(([address, misses]) => [address, misses + 1] as const)
    .filter(([, misses]) => misses < missesUntilGone)
    .slice(0, Math.max(0, maxAddresses - addresses.length));
}
