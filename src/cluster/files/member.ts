/**
 * One file as a zlib stream that cannot contain the bundle's separator. The content is cut into
 * segments; each is deflated on its own and closed with a sync flush (`00 00 FF FF`), or kept as
 * stored blocks where deflating gains nothing or would yield the separator. Invariants:
 * - stored blocks end inside every separator of the content, and no separator can hold a block
 *   header: its first byte is 00, and blocks are at most 32767 bytes, so its last is above 7F;
 * - the stream ends with an empty block, so the check sum cannot complete a separator.
 * What is small is stored as well: for both sides that is less work than deflating it.
 */
import { constants, deflateRawSync } from 'node:zlib';
import { adler32 } from './adler.ts';

/** Between two members, and between a name and its stream (cluster-protocol.md 3.4). */
export const fileSeparator = Buffer.from('|@@//@@|', 'latin1');
export const nameSeparator = Buffer.from('|//@@//|', 'latin1');

export const segmentBytes = 256 * 1024;
const largestBlock = 32_767;
const blockHeaderBytes = 5;
/** Header, last empty block, check sum. */
const frameBytes = 2 + blockHeaderBytes + 4;
/** Setting up a deflater costs more than sending this much as it is. */
const smallestDeflated = 4096;
/** Of a large segment this much is tried before all of it is deflated. */
const sampleBytes = 8 * 1024;
const zlibHeader = Buffer.from([0x78, 0x01]);
const lastBlock = Buffer.from([1, 0, 0, 0xff, 0xff]);

/**
 * The stream of `content`, whose chunks are at most `segmentBytes` each and may be reused; so a
 * piece of the stream is good only until the next is asked for.
 */
export function* deflateMember(
  content: Iterable<Uint8Array>,
  level: number,
): Generator<Uint8Array> {
  yield zlibHeader;
  let check = 1;
  for (const segment of content) {
    check = adler32(segment, check);
    yield* encodeSegment(segment, level);
  }
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(check);
  yield lastBlock;
  yield sum;
}

/** The stream of content that is small and holds no separator, in one piece; else undefined. */
export function storeSmall(content: Uint8Array): Buffer | undefined {
  if (content.length >= smallestDeflated || content.length === 0) return undefined;
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
  if (bytes.includes(fileSeparator)) return undefined;
  const stream = Buffer.allocUnsafe(frameBytes + blockHeaderBytes + bytes.length);
  zlibHeader.copy(stream);
  blockHeader(bytes.length).copy(stream, 2);
  bytes.copy(stream, 2 + blockHeaderBytes);
  const end = 2 + blockHeaderBytes + bytes.length;
  lastBlock.copy(stream, end);
  stream.writeUInt32BE(adler32(bytes), end + blockHeaderBytes);
  return stream;
}

/** No stream of this much content is longer, separators aside (8 bytes of which cost 5 more). */
export function longestStream(contentBytes: number): number {
  const blocks = Math.ceil(contentBytes / largestBlock) + Math.ceil(contentBytes / segmentBytes);
  return frameBytes + contentBytes + blocks * blockHeaderBytes;
}

function* encodeSegment(segment: Uint8Array, level: number): Generator<Uint8Array> {
  if (segment.length === 0) return;
  const deflated = level > 0 && isWorthwhile(segment, level) ? deflate(segment, level) : undefined;
  const isBetter = deflated !== undefined && deflated.length < segment.length;
  if (isBetter && !deflated.includes(fileSeparator)) yield deflated;
  else yield* storeSegment(segment);
}

function isWorthwhile(segment: Uint8Array, level: number): boolean {
  if (segment.length < smallestDeflated) return false;
  if (segment.length < 2 * sampleBytes) return true;
  const sample = segment.subarray(0, sampleBytes);
  return deflate(sample, level).length < sampleBytes * 0.97;
}

function deflate(segment: Uint8Array, level: number): Buffer {
  return deflateRawSync(segment, {
    level,
    finishFlush: constants.Z_SYNC_FLUSH,
    chunkSize: segment.length + 64,
  });
}

/** Headers and views of the segment; nothing is copied. */
function* storeSegment(segment: Uint8Array): Generator<Uint8Array> {
  let start = 0;
  for (const end of blockEnds(segment)) {
    const block = segment.subarray(start, end);
    yield blockHeader(block.length);
    yield block;
    start = end;
  }
}

function blockHeader(length: number): Buffer {
  const header = Buffer.alloc(blockHeaderBytes);
  header.writeUInt16LE(length, 1);
  header.writeUInt16LE(~length & 0xffff, 3);
  return header;
}

/** Where blocks end: inside every separator, and often enough. */
function blockEnds(segment: Uint8Array): readonly number[] {
  const bytes = Buffer.from(segment.buffer, segment.byteOffset, segment.length);
  const ends: number[] = [];
  let start = 0;
  let separator = bytes.indexOf(fileSeparator);
  while (start < bytes.length) {
    const cut = separator === -1 ? bytes.length : separator + 1;
    const end = Math.min(start + largestBlock, cut);
    ends.push(end);
    start = end;
    if (end === cut && separator !== -1) separator = bytes.indexOf(fileSeparator, end);
  }
  return ends;
}
