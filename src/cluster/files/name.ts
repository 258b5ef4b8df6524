/**
 * Names of synchronised files: relative to the Wazuh home, any UTF-8 that stock synchronises
 * (spaces, quotes, newlines, backslashes), nothing that could leave the home. Checked once, at
 * the border; what passed is a `FileName` (trust-and-safety, "Names of synchronised files").
 */
import { decodeUtf8 } from '../../bytes.ts';
import { FileRefusal, shown } from './refusal.ts';

declare const checked: unique symbol;
/** `etc/shared/default/agent.conf`. Only `parseName` and `decodeName` can make one. */
export type FileName = string & { readonly [checked]: true };

/** The agents' keys, as every node names them. */
export const keysName = 'etc/client.keys' as FileName;

const longestSegmentBytes = 255;
export const longestNameBytes = 4000;
const deepestSegments = 64;
/** So short that no limit is met, and of nothing but these: most names are. */
const plainName = /^[\w-][\w.-]*(?:\/[\w-][\w.-]*)*$/;
const plainBase = /^[\w-][\w.-]*$/;
const plainLength = 2 * deepestSegments - 1;

/** Why `text` is no name, or undefined. */
export function faultOfName(text: string): string | undefined {
  if (text.length <= plainLength && plainName.test(text)) return undefined;
  if (text === '') return 'empty';
  if (text.includes('\0')) return 'a NUL byte';
  if (!text.isWellFormed()) return 'not UTF-8';
  if (isLonger(text, longestNameBytes)) return `above ${longestNameBytes} bytes`;
  const segments = text.split('/');
  if (segments.length > deepestSegments) return `deeper than ${deepestSegments} folders`;
  for (const segment of segments) {
    if (segment === '') return 'an empty segment';
    if (segment === '.' || segment === '..') return `the segment ${segment}`;
    if (isLonger(segment, longestSegmentBytes)) return 'a segment above 255 bytes';
  }
  return undefined;
}

/** A UTF-16 unit is at most three bytes of UTF-8: most names need no counting. */
function isLonger(text: string, bytes: number): boolean {
  return text.length * 3 > bytes && Buffer.byteLength(text) > bytes;
}

export function isFileName(text: string): text is FileName {
  return faultOfName(text) === undefined;
}

/** Throws `FileRefusal` 3003. */
export function parseName(text: string): FileName {
  const wrong = faultOfName(text);
  if (wrong === undefined) return text as FileName;
  throw new FileRefusal(3003, `unsafe path ${shown(text)}: ${wrong}`);
}

/** A name in `folder`, which is a name with a slash at its end. Throws `FileRefusal` 3003. */
export function decodeNameBelow(folder: string, base: Buffer): FileName {
  const text = base.toString('latin1');
  const isPlain = folder.length + text.length <= plainLength && plainBase.test(text);
  if (isPlain) return (folder + text) as FileName;
  if (base.includes('/'))
    throw new FileRefusal(3003, `unsafe path ${shown(text)}: not in its folder`);
  return decodeName(Buffer.concat([Buffer.from(folder), base]));
}

/** Throws `FileRefusal` 3003. */
export function decodeName(bytes: Uint8Array): FileName {
  const text = decodeUtf8(bytes);
  if (text !== undefined) return parseName(text);
  const seen = Buffer.from(bytes).toString('latin1');
  throw new FileRefusal(3003, `unsafe path ${shown(seen)}: not UTF-8`);
}
