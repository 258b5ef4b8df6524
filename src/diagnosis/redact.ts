/**
 * What must never leave a host, taken out of text that does. Two nets: the secrets of this very
 * host, known by value and searched in every usual spelling, and shapes of secrets in general.
 * What leaves is looked through once more as bytes, and refused when anything known is in it.
 */

export interface Redactor {
  text(text: string): string;
  /** No known secret, in any spelling, is in `bytes`. */
  isClean(bytes: Uint8Array): boolean;
}

export const mark = '[redacted]';
/** Shorter ones would cut words out of every sentence; shapes catch them where they stand. */
const leastLength = 8;

/** `secrets`: values as they are. */
export function buildRedactor(secrets: Iterable<string>): Redactor {
  const known = [...new Set([...secrets].map((one) => one.trim()).filter(isLongEnough))];
  const spelled = [...new Set(known.flatMap(spellings))].sort(
    (left, right) => right.length - left.length,
  );
  return {
    text: (text) => spelled.reduce((left, one) => left.replaceAll(one, mark), shapesOut(text)),
    isClean(bytes) {
      const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      return spelled.every((one) => !buffer.includes(one));
    },
  };
}

function isLongEnough(text: string): boolean {
  return text.length >= leastLength;
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

const sensitive =
  '[\\w.-]*(?:pass(?:word|wd|phrase)?|secret|token|credential|api[_-]?key|keyfile)[\\w-]*';
const quoted = '"(?:[^"\\\\]|\\\\.)*"';

const shapes: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, mark],
  [/\bpf[a-z]\d\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)*/g, mark],
  // whole lines of PEM, wherever its first line went
  [/^[A-Za-z0-9+/]{64}$/gm, mark],
  // a private JWK: its member d, escaped or not
  [/(\\?"d\\?"\s*:\s*\\?")[A-Za-z0-9_-]{20,}/g, `$1${mark}`],
  // lines of client.keys
  [/^(\s*!?\d{1,12} \S{1,128} \S{1,128} )[0-9A-Za-z]{16,}/gm, `$1${mark}`],
  // names that say what they hold: JSON and YAML, then XML
  [new RegExp(`("${sensitive}"\\s*:\\s*)${quoted}`, 'gi'), `$1"${mark}"`],
  [
    new RegExp(`(\\b(?:${sensitive}|key)\\s*[:=]\\s*)(?!\\s|[{[]|\\[redacted)[^\\s,}]+`, 'gi'),
    `$1${mark}`,
  ],
  [new RegExp(`(<(${sensitive}|key)>)[^<]*(</\\2>)`, 'gi'), `$1${mark}$3`],
  [/\b(authorization\s*:\s*(?:bearer|basic)\s+)\S+/gi, `$1${mark}`],
  // user and password of a URL
  [/\b([a-z][a-z0-9+.-]{1,20}:\/\/)[^\s/@"']{1,200}@/gi, `$1${mark}@`],
];

function shapesOut(text: string): string {
  return shapes.reduce((left, [shape, to]) => left.replace(shape, to), text);
}
