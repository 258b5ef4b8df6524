/**
 * The embedded default: the seat is a row in this publisher's own database, the lease is the life of
 * its process (whoever calls `take` holds the directory's lock, so a second process never gets here).
 * The token still counts up with every holder and is compared with every write: a process that lost
 * its lock in a way it could not see, such as a directory that two hosts share, is shut out.
 */
import type { Holder, SeatEngine } from './engine.ts';

/** Port: durable. Both throw HostError `store_failed`. */
export interface SeatBook {
  /** The next token, for `name`; on disk when it returns. */
  takeSeat(name: string): number;
  seat(): { readonly token: number; readonly name: string } | undefined;
}

export function buildFileEngine(
  book: SeatBook,
  own: { readonly name: string; readonly url: string },
): SeatEngine {
  let taken: number | undefined;
  const holder = (): Holder | undefined => {
    const seat = book.seat();
    // The row of a process that is gone: its lock is free, so the seat is.
    if (taken === undefined || seat === undefined) return undefined;
    return { token: seat.token, name: seat.name, url: seat.token === taken ? own.url : '' };
  };
  return {
    ttlMs: Number.POSITIVE_INFINITY,
    async take() {
      taken = book.takeSeat(own.name);
      return { kind: 'taken', token: taken };
    },
    renew: async (token) => (book.seat()?.token === token ? 'renewed' : 'lost'),
    leave: async () => undefined, // the lock goes with the process
    look: async () => ({ holder: holder(), revision: 0 }),
  };
}
