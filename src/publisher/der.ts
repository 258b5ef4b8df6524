/** DER, the encoding half only (X.690): just the shapes a certificate of ours needs. */

export type Der = Uint8Array;

function element(tag: number, content: Uint8Array): Der {
  return Buffer.concat([Buffer.from([tag]), encodeLength(content.length), content]);
}

function encodeLength(length: number): Uint8Array {
  if (length < 0x80) return Buffer.from([length]);
  const digits = length.toString(16);
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex');
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}

export function sequence(...parts: readonly Der[]): Der {
  return element(0x30, Buffer.concat(parts));
}

export function set(...parts: readonly Der[]): Der {
  return element(0x31, Buffer.concat(parts));
}

/** A non-negative number from big-endian bytes. */
export function unsigned(bytes: Uint8Array): Der {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first === -1 ? Buffer.from([0]) : Buffer.from(bytes.subarray(first));
  const isHigh = ((digits[0] ?? 0) & 0x80) !== 0;
  return element(0x02, isHigh ? Buffer.concat([Buffer.from([0]), digits]) : digits);
}

export const isTrue: Der = element(0x01, Buffer.from([0xff]));

/** `1.2.840.10045.4.3.2` */
export function objectId(text: string): Der {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  return element(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): readonly number[] {
  const digits = [value & 0x7f];
  for (let left = value >>> 7; left > 0; left >>>= 7) digits.unshift(0x80 | (left & 0x7f));
  return digits;
}

export function utf8(text: string): Der {
  return element(0x0c, Buffer.from(text, 'utf8'));
}

export function octets(content: Uint8Array): Der {
  return element(0x04, content);
}

/** Bits in whole bytes, the last `unused` of them without meaning. */
export function bits(content: Uint8Array, unused = 0): Der {
  return element(0x03, Buffer.concat([Buffer.from([unused]), content]));
}

/** RFC 5280 4.1.2.5: UTCTime through 2049, GeneralizedTime after it; whole seconds. */
export function time(atMs: number): Der {
  const text = new Date(atMs)
    .toISOString()
    .replace(/\.\d{3}Z$/, 'Z')
    .replaceAll(/[-:T]/g, '');
  const isShort = Number(text.slice(0, 4)) < 2050;
  return isShort ? element(0x17, Buffer.from(text.slice(2))) : element(0x18, Buffer.from(text));
}

/** `[number] EXPLICIT` */
export function explicit(number: number, content: Der): Der {
  return element(0xa0 | number, content);
}

/** `[number] IMPLICIT` of a primitive. */
export function implicit(number: number, content: Uint8Array): Der {
  return element(0x80 | number, content);
}
