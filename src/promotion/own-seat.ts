/** The engine as a node uses it that comes back to its seat after a restart, before anybody else. */
import type { Holder, SeatEngine } from '../leader/engine.ts';

/** `isOld`: the seat is of a process of this node that is gone, or that gave it up. */
export function ownSeat(engine: SeatEngine, isOld: (holder: Holder) => boolean): SeatEngine {
  let old: Holder | undefined;
  return {
    ttlMs: engine.ttlMs,
    /** Not before: another node would find it empty while what ran here is still being stopped. */
    async take(signal) {
      if (old !== undefined) await engine.leave(old.token);
      return engine.take(signal);
    },
    renew: (token, signal) => engine.renew(token, signal),
    async look(knownRevision, signal) {
      const look = await engine.look(knownRevision, signal);
      old = look.holder !== undefined && isOld(look.holder) ? look.holder : undefined;
      return old === undefined ? look : { ...look, holder: undefined };
    },
    // A process that stops gives the seat to nobody: a restart is no reason to move the role.
    leave: async () => undefined,
  };
}
