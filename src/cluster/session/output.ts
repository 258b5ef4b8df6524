/** What a session tells its driver: effects as data, in the order in which they must happen. */
import type { PeerError, WireError } from '../../errors.ts';
import type { CommandName, Payload, RoleCommand } from '../wire/command.ts';
import type { Fault } from '../wire/fault.ts';

/** A request of the peer that the role must answer (or dismiss) under this counter. */
export type Asked = {
  readonly [Name in RoleCommand]: {
    readonly kind: 'asked';
    readonly counter: number;
    readonly command: Name;
    readonly value: Payload<Name>;
  };
}[RoleCommand];

/** What the peer answered. `fault`: it refused, or its answer makes no sense. */
export type Answer =
  | { readonly kind: 'ok'; readonly payload: Buffer }
  | { readonly kind: 'fault'; readonly fault: Fault };

/** What we answer. `refusal` is an `err` with plain text, as stock sends a few of them. */
export type Reply =
  | { readonly kind: 'ok'; readonly payload: Uint8Array | string }
  | { readonly kind: 'refusal'; readonly text: string }
  | { readonly kind: 'fault'; readonly fault: Fault };

/**
 * Bytes that go to disk instead of memory. `transfer` is our own number, never the peer's path.
 * With a `counter`, the driver calls `stored(counter, …)` when the step is done or has failed;
 * steps of one transfer are done in order.
 */
export type StoreStep =
  | { readonly action: 'open'; readonly transfer: number }
  /** Go on with what was kept, which must be so many bytes. */
  | { readonly action: 'adopt'; readonly transfer: number; readonly bytes: number }
  | { readonly action: 'append'; readonly transfer: number; readonly bytes: Uint8Array }
  | { readonly action: 'close'; readonly transfer: number }
  /** Leave it on disk for the next link, instead of what was kept before. */
  | { readonly action: 'keep'; readonly transfer: number }
  | { readonly action: 'drop'; readonly transfer: number };

export type PeerKind = 'stock' | 'ours';

export type Output =
  /** Bytes of a frame, in order; what one call of the session gives is to be written at once. */
  | { readonly kind: 'send'; readonly bytes: Buffer }
  | Asked
  | {
      readonly kind: 'answered';
      readonly counter: number;
      readonly command: CommandName;
      readonly answer: Answer;
    }
  /** No answer in time; a late one is swallowed. */
  | { readonly kind: 'expired'; readonly counter: number; readonly command: CommandName }
  | { readonly kind: 'store'; readonly step: StoreStep; readonly counter?: number }
  /** The peer's keep-alive arrived and was answered. */
  | { readonly kind: 'alive' }
  /** The same, and the peer is about to be stopped. */
  | { readonly kind: 'leaving' }
  /** The same, and the peer says where agents reach its manager; unparsed. */
  | { readonly kind: 'said'; readonly bytes: Buffer }
  /** Master: the worker has seen a master with this newer token. */
  | { readonly kind: 'outranked'; readonly token: number }
  /** The peer no longer wants what we send under this task. */
  | { readonly kind: 'cancelled'; readonly taskId: string | undefined; readonly fault: Fault }
  /** Proven: the peer is one of ours, or (worker only) answers as a stock node. */
  | {
      readonly kind: 'recognised';
      readonly peer: PeerKind;
      /** Features that both ends offered. */
      readonly features: ReadonlySet<string>;
    }
  /** Hello is done, and on a worker the negotiation too. */
  | { readonly kind: 'ready' }
  /** Nothing follows; the driver closes the connection. */
  | { readonly kind: 'close'; readonly error: WireError | PeerError };
