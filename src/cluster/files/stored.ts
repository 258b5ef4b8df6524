/**
 * A zlib stream of stored blocks alone (RFC 1950, RFC 1951 3.2.4), which is how small members
 * travel between our own nodes: read without setting up an inflater.
 */
import { adler32 } from './adler.ts';

const blockHeaderBytes = 5;
const checkBytes = 4;

/** The content, if `stream` is exactly one such stream; undefined for any other bytes. */
export function readStored(stream: Buffer): Buffer | undefined {
  if (stream.length < 2 + blockHeaderBytes + checkBytes) return undefined;
  if (stream[0] !== 0x78 || stream.readUInt16BE(0) % 31 !== 0 || ((stream[1] ?? 0) & 0x20) !== 0) {
    return undefined;
  }
  const blocks: Buffer[] = [];
  for (let at = 2; at + blockHeaderBytes + checkBytes <= stream.length; ) {
    const length = blockLength(stream, at);
    if (length === undefined) return undefined;
    const end = at + blockHeaderBytes + length;
    blocks.push(stream.subarray(at + blockHeaderBytes, end));
    if (stream[at] === 1) return checked(stream, blocks, end);
    at = end;
  }
  return undefined;
}

/** Undefined: not a stored block, or its length and its complement differ. */
function blockLength(stream: Buffer, at: number): number | undefined {
  const kind = stream[at] ?? 0xff;
  const length = stream.readUInt16LE(at + 1);
  return kind <= 1 && (length ^ 0xffff) === stream.readUInt16LE(at + 3) ? length : undefined;
}

function checked(stream: Buffer, blocks: readonly Buffer[], end: number): Buffer | undefined {
  if (end + checkBytes !== stream.length) return undefined;
  const filled = blocks.filter((block) => block.length > 0);
  const content = filled.length === 1 && filled[0] ? filled[0] : Buffer.concat(filled);
  return adler32(content) === stream.readUInt32BE(end) ? content : undefined;
}
