/**
 * The shape of a DNS message, checked before the codec sees it: counts, lengths, and every name
 * walked once with a bound on its pointers, so that no packet costs more than its own length.
 * RFC 1035 4.1; the codec alone follows as many pointers as a message has bytes.
 */
import { DnsFault } from './fault.ts';

export const layoutLimits = {
  headerBytes: 12,
  /** What no honest answer to one question needs. */
  maxRecords: 256,
  /** Servers compress against earlier names: two or three steps, never many. */
  maxPointers: 16,
  maxNameBytes: 255,
} as const;

/** Types whose data holds names that may be compressed, and the bytes before the first of them. */
const namesInData: ReadonlyMap<number, { readonly before: number; readonly names: number }> =
  new Map([
    [2, { before: 0, names: 1 }],
    [5, { before: 0, names: 1 }],
    [6, { before: 0, names: 2 }],
    [12, { before: 0, names: 1 }],
    [15, { before: 2, names: 1 }],
    [33, { before: 6, names: 1 }],
    [39, { before: 0, names: 1 }],
  ]);

/** Throws DnsFault `malformed`, `looping` or `too_big`. Returns where the question section ends. */
export function checkLayout(message: Buffer): { readonly questionEnd: number } {
  if (message.length < layoutLimits.headerBytes) throw malformed('shorter than a header');
  const questions = message.readUInt16BE(4);
  const records = message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10);
  if (questions > 1) throw malformed(`${questions} questions`);
  if (records > layoutLimits.maxRecords) throw new DnsFault('too_big', `${records} records`);
  let at: number = layoutLimits.headerBytes;
  if (questions === 1) at = step(message, skipName(message, at), 4);
  const questionEnd = at;
  for (let index = 0; index < records; index += 1) at = skipRecord(message, at);
  if (at !== message.length) throw malformed(`${message.length - at} bytes after the last record`);
  return { questionEnd };
}

function skipRecord(message: Buffer, start: number): number {
  const fixed = skipName(message, start);
  const data = step(message, fixed, 10);
  const type = message.readUInt16BE(fixed);
  const end = step(message, data, message.readUInt16BE(fixed + 8));
  const inside = namesInData.get(type);
  if (inside === undefined) return end;
  let at = step(message, data, inside.before);
  for (let index = 0; index < inside.names; index += 1) at = skipName(message, at);
  if (at > end) throw malformed('a name past the end of its record');
  return end;
}

/** Where the name that starts at `start` ends in the stream; its pointers are followed, not trusted. */
function skipName(message: Buffer, start: number): number {
  let at = start;
  let end: number | undefined;
  let pointers = 0;
  let bytes = 0;
  for (;;) {
    const length = message[at];
    if (length === undefined) throw malformed('a name past the end');
    if (length >= 0xc0) {
      const target = message.readUInt16BE(step(message, at, 2) - 2) & 0x3fff;
      end ??= at + 2;
      pointers += 1;
      if (target >= at || pointers > layoutLimits.maxPointers) {
        throw new DnsFault('looping', 'a name that points forward, at itself or too often');
      }
      at = target;
      continue;
    }
    if (length > 63) throw malformed('a label of a reserved kind');
    bytes += length + 1;
    if (bytes > layoutLimits.maxNameBytes) throw malformed('a name of more than 255 bytes');
    if (length === 0) return end ?? at + 1;
    at = step(message, at, length + 1);
  }
}

function step(message: Buffer, at: number, bytes: number): number {
  if (at + bytes > message.length) throw malformed('cut off');
  return at + bytes;
}

function malformed(why: string): DnsFault {
  return new DnsFault('malformed', why);
}
