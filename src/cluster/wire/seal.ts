/**
 * Fernet with the raw 32-character cluster key, as stock nodes use it (cluster-protocol.md 1.4):
 * the first 16 characters sign, the last 16 encrypt; no derivation, no age check. Initialisation
 * vector and time are arguments, so that one input gives one token.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type Hmac,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';
import { ConfigError, WireError } from '../../errors.ts';
import { wireFormat } from './limits.ts';

const version = 0x80;
const ivBytes = 16;
const tagBytes = 32;
const blockBytes = 16;
const prefixBytes = 1 + 8 + ivBytes;
/** Version, time, vector, one block, tag: the token of an empty plaintext. */
const smallestBytes = prefixBytes + blockBytes + tagBytes;
/** A multiple of the cipher's block. */
const pieceBytes = 64 * 1024;
/** By the number of raw bytes beyond a multiple of three. */
const padding = ['', '==', '='] as const;

/** What makes one token unlike another: 16 unpredictable bytes and Unix seconds. */
export interface SealSalt {
  readonly iv: Uint8Array;
  readonly unixSeconds: number;
}

export interface Seal {
  /** URL-safe base64 with padding, as ASCII bytes. */
  seal(plaintext: Uint8Array, salt: SealSalt): Buffer;
  /** One token for all parts together; in `room` where it fits, which saves the memory of it. */
  sealParts(parts: readonly Uint8Array[], salt: SealSalt, room?: Buffer): Buffer;
  /** Throws `WireError` `wire_unsealed` for anything that was not sealed with this key. */
  open(token: Uint8Array): Buffer;
  /** Keyed material for the negotiation between own nodes; never leaves the process. */
  readonly key: KeyObject;
}

function unsealed(why: string): WireError {
  return new WireError('wire_unsealed', `the message does not open with this cluster key: ${why}`);
}

/** Holds one decoded token while it is opened; large ones have memory of their own. */
class Scratch {
  static readonly #mostBytes = 512 * 1024;
  #buffer = Buffer.alloc(0);

  take(bytes: number): Buffer {
    if (bytes > Scratch.#mostBytes) return Buffer.allocUnsafe(bytes);
    if (this.#buffer.length < bytes) this.#buffer = Buffer.allocUnsafeSlow(2 * bytes);
    return this.#buffer.subarray(0, bytes);
  }
}

/** Bytes of a base64url token, good until the next; a wrong alphabet, length or padding is refused. */
function decodeToken(token: Uint8Array, scratch: Scratch): Buffer {
  const ascii = Buffer.from(token.buffer, token.byteOffset, token.length);
  if (ascii.length === 0 || ascii.length % 4 !== 0) throw unsealed('length');
  const rawBytes = (ascii.length / 4) * 3 - paddingOf(ascii);
  const raw = scratch.take(rawBytes);
  const written = raw.write(ascii.toString('latin1'), 'base64url');
  if (written !== rawBytes) throw unsealed('alphabet');
  return raw;
}

function paddingOf(ascii: Buffer): number {
  const equals = '='.charCodeAt(0);
  if (ascii[ascii.length - 1] !== equals) return 0;
  return ascii[ascii.length - 2] === equals ? 2 : 1;
}

/** Throws `ConfigError` when the key is not 32 characters of `A-Z a-z 0-9 _`. */
export function createSeal(clusterKey: string): Seal {
  if (!/^[A-Za-z0-9_]{32}$/.test(clusterKey)) {
    throw new ConfigError(
      'config_invalid',
      `the cluster key must be ${wireFormat.keyCharacters} characters of A-Z, a-z, 0-9 and _`,
    );
  }
  const bytes = Buffer.from(clusterKey, 'latin1');
  const signing = createSecretKey(bytes.subarray(0, 16));
  const encryption = createSecretKey(bytes.subarray(16));
  const scratch = new Scratch();
  return {
    key: createSecretKey(bytes),
    seal: (plaintext, salt) => seal({ signing, encryption }, [plaintext], salt),
    sealParts: (parts, salt, room) => seal({ signing, encryption }, parts, salt, room),
    open: (token) => open({ signing, encryption }, token, scratch),
  };
}

interface Keys {
  readonly signing: KeyObject;
  readonly encryption: KeyObject;
}

/** In pieces: large buffers that die at once cost memory long after. */
function seal(
  { signing, encryption }: Keys,
  parts: readonly Uint8Array[],
  salt: SealSalt,
  room?: Buffer,
): Buffer {
  const plainBytes = parts.reduce((sum, { length }) => sum + length, 0);
  const token = new TokenWriter(plainBytes, createHmac('sha256', signing), room);
  const prefix = Buffer.allocUnsafe(prefixBytes);
  prefix[0] = version;
  prefix.writeBigUInt64BE(BigInt(salt.unixSeconds), 1);
  prefix.set(salt.iv, 9);
  token.add(prefix);
  const cipher = createCipheriv('aes-128-cbc', encryption, salt.iv);
  for (const part of parts) {
    for (let start = 0; start < part.length; start += pieceBytes) {
      token.add(cipher.update(part.subarray(start, start + pieceBytes)));
    }
  }
  token.add(cipher.final());
  return token.end();
}

/** Signs and encodes what is added; whole groups of three bytes go into the token at once. */
class TokenWriter {
  readonly #token: Buffer;
  readonly #hmac: Hmac;
  readonly #raw: Buffer;
  #waiting = 0;
  #end = 0;

  constructor(plainBytes: number, hmac: Hmac, room?: Buffer) {
    const cipherBytes = (Math.floor(plainBytes / blockBytes) + 1) * blockBytes;
    const rawBytes = prefixBytes + cipherBytes + tagBytes;
    const tokenBytes = Math.ceil(rawBytes / 3) * 4;
    const isRoomy = room !== undefined && room.length >= tokenBytes;
    this.#token = isRoomy ? room.subarray(0, tokenBytes) : Buffer.allocUnsafe(tokenBytes);
    this.#raw = Buffer.allocUnsafe(Math.min(rawBytes, pieceBytes + blockBytes + 3));
    this.#hmac = hmac;
  }

  /** At most `pieceBytes` and one block. */
  add(bytes: Buffer): void {
    this.#hmac.update(bytes);
    this.#encode(bytes);
  }

  end(): Buffer {
    this.#encode(this.#hmac.digest());
    const rest = this.#raw.subarray(0, this.#waiting);
    this.#write(rest.toString('base64url') + (padding[rest.length] ?? ''));
    return this.#token;
  }

  #encode(bytes: Buffer): void {
    bytes.copy(this.#raw, this.#waiting);
    const filled = this.#waiting + bytes.length;
    const whole = filled - (filled % 3);
    this.#write(this.#raw.toString('base64url', 0, whole));
    this.#raw.copyWithin(0, whole, filled);
    this.#waiting = filled - whole;
  }

  #write(text: string): void {
    this.#end += this.#token.write(text, this.#end, 'latin1');
  }
}

function open({ signing, encryption }: Keys, token: Uint8Array, scratch: Scratch): Buffer {
  const raw = decodeToken(token, scratch);
  if (raw.length < smallestBytes || raw[0] !== version) throw unsealed('format');
  const signed = raw.subarray(0, raw.length - tagBytes);
  const tag = createHmac('sha256', signing).update(signed).digest();
  if (!timingSafeEqual(tag, raw.subarray(signed.length))) throw unsealed('signature');
  const decipher = createDecipheriv('aes-128-cbc', encryption, raw.subarray(9, prefixBytes));
  try {
    const body = decipher.update(signed.subarray(prefixBytes));
    const rest = decipher.final();
    return rest.length === 0 ? body : Buffer.concat([body, rest]);
  } catch (error) {
    throw new WireError('wire_unsealed', 'a signed message does not decrypt', { cause: error });
  }
}
