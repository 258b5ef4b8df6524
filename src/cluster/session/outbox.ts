/**
 * What leaves: frames as `send` outputs, in order. While our offer is under way messages wait
 * here, because they will travel under the key that its answer brings; the wait is bounded.
 */
import { WireError } from '../../errors.ts';
import type { SessionLimits } from '../wire/limits.ts';
import type { Channel } from './channel.ts';
import type { Output } from './output.ts';

export type Outgoing = {
  readonly counter: number;
  readonly word: string;
} & ({ readonly plaintext: Uint8Array } | { readonly token: Buffer; readonly plainBytes: number });

export class Outbox {
  readonly #channel: Channel;
  readonly #limits: SessionLimits;
  #held: Outgoing[] | undefined;
  #heldBytes = 0;

  constructor(channel: Channel, limits: SessionLimits) {
    this.#channel = channel;
    this.#limits = limits;
  }

  hold(): void {
    this.#held = [];
  }

  /** What waited, now encoded. */
  release(nowMs: number): readonly Output[] {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#heldBytes = 0;
    return held.flatMap((message) => this.send(message, nowMs));
  }

  /** Throws `WireError` when too much waits. */
  send(message: Outgoing, nowMs: number): readonly Output[] {
    if (this.#held === undefined) {
      return this.#frames(message, nowMs).map((bytes) => ({ kind: 'send', bytes }));
    }
    this.#heldBytes += 'token' in message ? message.token.length : message.plaintext.length;
    this.#held.push(message);
    const { heldMessages, heldBytes } = this.#limits;
    if (this.#held.length > heldMessages || this.#heldBytes > heldBytes) {
      throw new WireError('wire_limit', 'the peer asks on while our offer is unanswered');
    }
    return [];
  }

  #frames(message: Outgoing, nowMs: number): readonly Buffer[] {
    if ('token' in message) return this.#channel.encodeSealed(message, message.token, message);
    return this.#channel.encode(message, message.plaintext, nowMs);
  }
}
