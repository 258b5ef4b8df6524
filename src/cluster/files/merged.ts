/**
 * Merged blobs: many small files in one, `SIZE NAME TIME\n` and SIZE bytes each
 * (cluster-protocol.md 3.4.4). No stock item uses them any more; between our own nodes they carry
 * the files of items marked `extra_valid`. A blob is the content of a peer like any other: every
 * header is checked, and its names are base names inside the item's folder or nothing.
 */
import { decodeUtf8 } from '../../bytes.ts';
import type { ItemKind } from './catalogue.ts';
import { type FileName, isFileName, parseName } from './name.ts';
import { FileRefusal, shown } from './refusal.ts';

export interface MergedFile {
  readonly base: string;
  readonly content: Uint8Array;
  readonly modifiedMs: number;
}

export interface MergedBlob {
  readonly files: readonly MergedFile[];
  /** Headers whose name was refused; their content was skipped. */
  readonly refused: readonly string[];
}

const longestHeaderBytes = 600;
const newline = 0x0a;
const mergeTypeForm = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/;
const headerForm = /^(\d{1,12}) (.+) (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?(?:\+00:00)?)$/s;

/** Pieces of a blob. Throws `FileRefusal` 3052 for a name that no reader would take. */
export function* encodeMerged(files: Iterable<MergedFile>): Generator<Uint8Array> {
  for (const { base, content, modifiedMs } of files) {
    if (!isMergedName(base)) throw new FileRefusal(3052, `Invalid merge filename: ${shown(base)}`);
    yield Buffer.from(`${content.length} ${base} ${pythonTime(modifiedMs)}\n`, 'utf8');
    yield content;
  }
}

/**
 * The files of a blob; `bytes` stay shared. Throws `FileRefusal` 3052 for a header that is
 * malformed or announces more than there is: what follows it cannot be told apart.
 */
export function decodeMerged(bytes: Buffer): MergedBlob {
  const files: MergedFile[] = [];
  const refused: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const header = readHeader(bytes, at);
    const start = header.end + 1;
    const end = start + header.sizeBytes;
    if (end > bytes.length) throw new FileRefusal(3052, 'Malformed file: shorter than its header');
    const content = bytes.subarray(start, end);
    if (!isMergedName(header.base)) refused.push(shown(header.base));
    else files.push({ base: header.base, content, modifiedMs: header.modifiedMs });
    at = end;
  }
  return { files, refused };
}

/** Where a merged file goes: directly in the folder of its item, never `queue/TYPE`. */
export function mergedTarget(item: ItemKind, base: string): FileName {
  if (!isMergedName(base)) throw new FileRefusal(3052, `Invalid merge filename: ${shown(base)}`);
  return parseName(`${item.key}${base}`);
}

/** Throws `FileRefusal` 3052. */
export function checkMergeType(type: string): string {
  if (mergeTypeForm.test(type)) return type;
  throw new FileRefusal(3052, `Invalid merge_type: ${shown(type)}`);
}

/** One plain segment: no slash, no backslash, no leading dot. */
function isMergedName(base: string): boolean {
  return isFileName(base) && !/[/\\\n]/.test(base) && !base.startsWith('.');
}

interface Header {
  readonly sizeBytes: number;
  readonly base: string;
  readonly modifiedMs: number;
  /** Offset of the newline. */
  readonly end: number;
}

function readHeader(bytes: Buffer, at: number): Header {
  const ahead = bytes.subarray(at, at + longestHeaderBytes);
  const length = ahead.indexOf(newline);
  const line = length === -1 ? undefined : decodeUtf8(ahead.subarray(0, length));
  const match = line === undefined ? null : headerForm.exec(line);
  const [, size, base, time] = match ?? [];
  if (size === undefined || base === undefined || time === undefined) {
    const seen = shown(ahead.toString('latin1', 0, 64));
    throw new FileRefusal(3052, `Malformed file. Parsed line: ${seen}`);
  }
  const modifiedMs = Date.parse(`${time.slice(0, 19).replace(' ', 'T')}Z`);
  return { sizeBytes: Number(size), base, modifiedMs: modifiedMs || 0, end: at + length };
}

/** `2020-11-23 10:51:23.123456+00:00`; the microseconds are left out when zero. */
function pythonTime(modifiedMs: number): string {
  const text = new Date(modifiedMs).toISOString().replace('T', ' ').slice(0, -1);
  const [seconds = '', millis = '000'] = text.split('.');
  return millis === '000' ? `${seconds}+00:00` : `${seconds}.${millis}000+00:00`;
}
