/**
 * Who may write. One seat for all publishers of an organisation; whoever sits there holds a fencing
 * token that only grows from holder to holder. The lease says who should write; the token, checked
 * by the store together with the write, decides who did: a holder that slept through the end of its
 * lease and wakes up in the middle of a write finds the door shut.
 */

/** Who has the seat. */
export interface Holder {
  /** `leader.name` of its publisher. */
  readonly name: string;
  /** Where operators reach it; empty when it names none. */
  readonly url: string;
  /** Of this very publisher, whatever it is called; absent from a program of before. */
  readonly instance?: string;
  readonly token: number;
}

/** What the next holder continues from. */
export interface SharedState {
  readonly bytes: Uint8Array;
  /** Grows with every write; 0 is "nothing was written yet". */
  readonly revision: number;
}

export interface Look {
  readonly holder: Holder | undefined;
  /** Revision of the shared state, 0 when there is none. */
  readonly revision: number;
  /** Present when its revision is another one than the asker knows. */
  readonly state?: SharedState;
}

export type Taken =
  | { readonly kind: 'taken'; readonly token: number }
  | { readonly kind: 'held'; readonly holder: Holder };

export type Written =
  | { readonly kind: 'written'; readonly revision: number }
  /** The token is not the holder's any more: nothing was written. */
  | { readonly kind: 'fenced'; readonly holder: Holder | undefined }
  /** Somebody wrote after the revision that the writer knew: nothing was written. */
  | { readonly kind: 'raced' };

/**
 * Port: a store of one seat. Every method has a deadline and throws PeerError
 * `leader_unreachable`, `leader_refused`, `leader_full`, or HostError of a local store.
 */
export interface SeatEngine {
  /** How long a silent holder keeps the seat; Infinity where it leaves with its process. */
  readonly ttlMs: number;
  /** One try to sit down. */
  take(signal?: AbortSignal): Promise<Taken>;
  /** `lost`: somebody else has the seat, or nobody. */
  renew(token: number, signal?: AbortSignal): Promise<'renewed' | 'lost'>;
  /** Stands up, so that nobody waits for the end of the lease. */
  leave(token: number): Promise<void>;
  look(knownRevision: number, signal?: AbortSignal): Promise<Look>;
}

/** With the one state that holders hand on. */
export interface LeaseEngine extends SeatEngine {
  /** After an error the bytes may be written or not: only a later look tells. */
  write(token: number, knownRevision: number, bytes: Uint8Array): Promise<Written>;
}
