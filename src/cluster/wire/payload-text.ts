/** Bodies without structure: nothing, bytes, text, a decimal number. */
import { decodeUtf8 } from '../../bytes.ts';
import { type Codec, PayloadError } from './payload.ts';

/** Any bytes, kept as they are. */
export const bytesPayload: Codec<Uint8Array> = {
  encode: (value) => Buffer.from(value.buffer, value.byteOffset, value.length),
  decode: (bytes) => bytes,
};

/** Nothing is meant; stock ignores what comes, and so do we. */
export const emptyPayload: Codec<undefined> = {
  encode: () => Buffer.alloc(0),
  decode: () => undefined,
};

/** Nothing, as stock sends it, or between our own nodes SHA-256 in hex. */
export const digestPayload: Codec<string | undefined> = {
  encode: (value) => Buffer.from(value ?? '', 'latin1'),
  decode: (bytes) => {
    const text = bytes.toString('latin1', 0, 65);
    return /^[0-9a-f]{64}$/.test(text) ? text : undefined;
  },
};

/** UTF-8 text for people; what is not UTF-8 arrives with replacement characters. */
export const textPayload: Codec<string> = {
  encode: (value) => Buffer.from(value, 'utf8'),
  decode: (bytes) => bytes.toString('utf8'),
};

/** A size in bytes, decimal digits only. */
export const sizePayload: Codec<number> = {
  encode: (value) => Buffer.from(String(value), 'latin1'),
  decode: (bytes) => {
    const text = bytes.toString('latin1', 0, 32);
    if (/^\d{1,15}$/.test(text) && bytes.length === text.length) return Number(text);
    throw new PayloadError(`invalid literal for int() with base 10: ${pythonBytes(bytes)}`);
  },
};

/** One word without spaces: the id that the receiver of a string chose. */
export const wordPayload: Codec<string> = {
  encode: (value) => Buffer.from(value, 'utf8'),
  decode: (bytes) => {
    const word = bytes.length > 256 ? undefined : decodeUtf8(bytes);
    if (word === undefined || word === '' || /\s/.test(word)) throw new PayloadError('not an id');
    return word;
  },
};

/** How Python prints bytes in stock error texts; at most 64 bytes of them. */
export function pythonBytes(bytes: Uint8Array): string {
  const shown = Buffer.from(bytes.subarray(0, 64)).toString('latin1');
  const body = shown.replace(/[^ -~]|\\/g, (unit) => byteEscapes[unit] ?? hexEscape(unit));
  const hasQuote = body.includes("'") && !body.includes('"');
  if (hasQuote) return `b"${body}"`;
  return `b'${body.replaceAll("'", "\\'")}'`;
}

const byteEscapes: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

function hexEscape(unit: string): string {
  return `\\x${unit.charCodeAt(0).toString(16).padStart(2, '0')}`;
}
