/**
 * The journal of an in-place write: both contents, synced before the first byte is overwritten, so
 * that a crash in the middle can be told from somebody else's edit and finished.
 * Layout: `pf-journal 1 BEFORE-LENGTH AFTER-LENGTH CRC32\n`, before, after. Pure.
 */
import { crc32 } from 'node:zlib';
import { equalBytes } from '../bytes.ts';

export interface Journal {
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

const headerPattern = /^pf-journal 1 (\d{1,9}) (\d{1,9}) ([0-9a-f]{8})$/;

export function encodeJournal({ before, after }: Journal): Uint8Array {
  const checksum = checksumOf(before, after);
  const header = `pf-journal 1 ${before.length} ${after.length} ${checksum}\n`;
  return Buffer.concat([Buffer.from(header), before, after]);
}

/** Undefined for a journal that was never complete: then nothing was overwritten under it. */
export function decodeJournal(bytes: Uint8Array): Journal | undefined {
  const end = bytes.indexOf(0x0a);
  const header = Buffer.from(bytes.subarray(0, Math.max(end, 0))).toString('latin1');
  const match = headerPattern.exec(header);
  if (match === null) return undefined;
  const split = end + 1 + Number(match[1]);
  if (bytes.length !== split + Number(match[2])) return undefined;
  const before = bytes.subarray(end + 1, split);
  const after = bytes.subarray(split);
  return checksumOf(before, after) === match[3] ? { before, after } : undefined;
}

/** old, new: whole · torn: ours, half-way · foreign: somebody else's bytes, hands off. */
export type JournalVerdict = 'old' | 'new' | 'torn' | 'foreign';

const newline = 0x0a;

/**
 * Every byte of a torn file is the old one, the new one, the newline that pads a growing file or
 * the zero that a power cut leaves in a grown one; blocks may have reached the disk in any order.
 */
export function judgeJournal(current: Uint8Array, { before, after }: Journal): JournalVerdict {
  if (equalBytes(current, before)) return 'old';
  if (equalBytes(current, after)) return 'new';
  const shortest = Math.min(before.length, after.length);
  if (current.length < shortest || current.length > Math.max(before.length, after.length)) {
    return 'foreign';
  }
  const ours = (byte: number, at: number): boolean =>
    byte === before[at] ||
    byte === after[at] ||
    (at >= before.length && (byte === newline || byte === 0));
  return current.every(ours) ? 'torn' : 'foreign';
}

function checksumOf(before: Uint8Array, after: Uint8Array): string {
  return crc32(after, crc32(before)).toString(16).padStart(8, '0');
}
