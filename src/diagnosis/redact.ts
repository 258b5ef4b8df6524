/**
 * What must never leave a host, taken out of text that does. Two nets: the secrets of this very
 * host, known by value and searched in every usual spelling, and shapes of secrets in general.
 * What leaves is looked through once more as bytes, and refused when anything known is in it.
 */
import { findKnown, indexTexts, type KnownTexts, leastLength } from './known-texts.ts';

export interface Redactor {
  text(text: string): string;
  /** No known secret, in any spelling, is in `bytes`. */
  isClean(bytes: Uint8Array): boolean;
}

export const mark = '[redacted]';

/** `secrets`: values as they are; very short ones are left to the shapes. */
export function buildRedactor(secrets: Iterable<string>): Redactor {
  const values = new Set([...secrets].map((one) => one.trim()));
  const known = indexTexts([...values].filter(isLongEnough).flatMap(spellings));
  return {
    text: (text) => valuesOut(shapesOut(text), known),
    isClean: (bytes) => findKnown(Buffer.from(bytes).toString('utf8'), known).next().done === true,
  };
}

function isLongEnough(text: string): boolean {
  return text.length >= leastLength;
}

function valuesOut(text: string, known: KnownTexts): string {
  let out = '';
  let at = 0;
  for (const { start, end } of findKnown(text, known)) {
    out += text.slice(at, start) + mark;
    at = end;
  }
  return out + text.slice(at);
}

/** As it is, inside JSON, and as other programs like to print bytes. */
function spellings(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  const lines = secret.split('\n').filter((line) => line.length >= 24);
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    bytes.toString('hex'),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    ...lines.filter((line) => !line.startsWith('-----')),
  ];
}

/**
 * Names that say what they hold, from the word that says it. Every repetition of a shape is bounded, or
 * ends where the next name begins: a log is what strangers wrote, and must cost its length only.
 */
const sensitive =
  '(?:pass(?:word|wd|phrase)?|secret|token|credential|(?:api|access|private)[_-]?key|keyfile)[\\w-]{0,64}';
const quoted = '"(?:[^"\\\\]|\\\\.)*"';
/** Of YAML, where a quote is written twice, and of shells. */
const singleQuoted = "'(?:[^'\\n]|'')*'";
const value = `(?:${quoted}|${singleQuoted}|[^\\s,}]+)`;

const shapes: readonly (readonly [RegExp, string])[] = [
  [
    /-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|$)/g,
    mark,
  ],
  [/\bpf[a-z]\d\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)*/g, mark],
  // whole lines of PEM, wherever its first line went
  [/^[A-Za-z0-9+/]{64}$/gm, mark],
  // a private JWK: its member d, escaped or not
  [/(\\?"d\\?"\s*:\s*\\?")[A-Za-z0-9_-]{20,}/g, `$1${mark}`],
  // lines of client.keys
  [/^([ \t]*!?\d{1,12} \S{1,128} \S{1,128} )[0-9A-Za-z]{16,}/gm, `$1${mark}`],
  // JSON and YAML, then XML
  [new RegExp(`(${sensitive}"\\s*:\\s*)${quoted}`, 'gi'), `$1"${mark}"`],
  [
    new RegExp(`((?:${sensitive}|\\bkey)\\s*[:=]\\s*)(?!\\s|[{[]|\\[redacted)${value}`, 'gi'),
    `$1${mark}`,
  ],
  // an option of a command line, its value behind it or as the next one of a list
  [
    new RegExp(`(--[\\w-]{0,64}${sensitive}["']?(?:,\\s{0,64}|\\s{1,64}))(?!-)${value}`, 'gi'),
    `$1${mark}`,
  ],
  [new RegExp(`((?:${sensitive}|<key)>)[^<]+(?=</)`, 'gi'), `$1${mark}`],
  [/\b(authorization\\?"?\s*:\s*\\?"?(?:bearer|basic)\s+)[^\s"\\]+/gi, `$1${mark}`],
  // user and password of a URL
  [/\b([a-z][a-z0-9+.-]{1,20}:\/\/)[^\s/@"]{1,200}@/gi, `$1${mark}@`],
];

function shapesOut(text: string): string {
  return shapes.reduce((left, [shape, to]) => left.replace(shape, to), text);
}
