/** The engine as a node uses it that comes back to its seat after a restart, before anybody else. */
import type { Holder, SeatEngine } from '../leader/engine.ts';

/** `isOld`: the seat is of a process of this node that is gone; it is emptied for the new one. */
export function ownSeat(engine: SeatEngine, isOld: (holder: Holder) => boolean): SeatEngine {
  return {
    ttlMs: engine.ttlMs,
    take: (signal) => engine.take(signal),
    renew: (token, signal) => engine.renew(token, signal),
    async look(knownRevision, signal) {
      const look = await engine.look(knownRevision, signal);
      if (look.holder === undefined || !isOld(look.holder)) return look;
      await engine.leave(look.holder.token);
      return { ...look, holder: undefined };
    },
    // A process that stops gives the seat to nobody: a restart is no reason to move the role.
    leave: async () => undefined,
  };
}
