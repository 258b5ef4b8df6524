/**
 * Header and direction under a MAC, between our own nodes only. A stock header (counter, word)
 * is outside its token: on the path, tokens can be relabelled and replayed. Here every message
 * carries a second MAC, under a key of this connection and direction, over its place in the
 * order, its counter and word, and the end of its token, which is the token's own MAC. So the
 * cost per message does not depend on its size, and one sealed body can go to several peers.
 * On the wire: token, `.`, 43 characters.
 */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { WireError } from '../../errors.ts';
import type { MessageHead, RawMessage } from '../wire/message.ts';

const macCharacters = 43;
const suffixBytes = 1 + macCharacters;
/** 48 base64 characters hold at least 34 bytes: the whole 32-byte MAC of a Fernet token. */
const tailBytes = 48;
const separator = '.'.charCodeAt(0);

/** One direction of one connection; messages must come in the order they were signed. */
export class LinkMac {
  readonly #key: KeyObject;
  #sequence = 0n;

  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key);
  }

  /** What follows the token on the wire; takes the next place in the order. */
  protect(head: MessageHead, token: Buffer): Buffer {
    return Buffer.from(`.${this.#mac(head, token).toString('base64url')}`, 'latin1');
  }

  /** The token inside. Throws `WireError` for a message that is changed, moved or repeated. */
  check(message: RawMessage): Buffer {
    const { body } = message;
    const tokenBytes = body.length - suffixBytes;
    const token = body.subarray(0, Math.max(0, tokenBytes));
    const mac = Buffer.from(body.toString('latin1', tokenBytes + 1), 'base64url');
    const expected = this.#mac(message, token);
    const isFine =
      tokenBytes >= tailBytes &&
      body[tokenBytes] === separator &&
      mac.length === expected.length &&
      timingSafeEqual(expected, mac);
    if (isFine) return token;
    throw new WireError('wire_unsealed', 'a message of this link was changed, moved or repeated');
  }

  #mac(head: MessageHead, token: Buffer): Buffer {
    const words = head.word.trimEnd();
    const prefix = Buffer.alloc(28);
    prefix.writeBigUInt64BE(this.#sequence++, 0);
    prefix.writeUInt32BE(head.counter, 8);
    prefix.writeUInt32BE(token.length, 12);
    prefix.write(words, 16, 'latin1');
    const tail = token.subarray(Math.max(0, token.length - tailBytes));
    return createHmac('sha256', this.#key).update(prefix).update(tail).digest();
  }
}
