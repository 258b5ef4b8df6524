/**
 * A bundle of our own form, cut into blocks that are compressed as a whole, which costs a tenth of
 * one deflater per small file on either end. Form: a mark that no stock bundle can begin with,
 * then blocks of two lengths (content, packed; 32 bits each) and the packed bytes; a packed length
 * of zero means stored. Announced lengths are judged before anything is allocated.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { endEarly } from './pack.ts';
import { FileRefusal } from './refusal.ts';
import { type ByteSource, ByteWindow } from './window.ts';

/** Names begin with a folder of an item kind, never with a NUL. */
export const squeezeMark = Buffer.from('\0pilotfish-blocks/3\n', 'latin1');

const headBytes = 8;
const sampleBytes = 4096;
const largestBlockBytes = 1024 * 1024;
/** Of content in one block: what a message costs beside its bytes is then little. */
export const squeezedBytes = 256 * 1024;
/** A block that would shrink more is sent as it is: no receiver takes it for a bomb. */
const mostRatio = 1_000;
const parameters = { [constants.ZSTD_c_compressionLevel]: 1 };

/**
 * Each piece, at most 1 MiB (`squeezedBytes` is kind), becomes one block. Blocks are given in
 * parts that are good until the next are asked for: one that is sent as it is with those before
 * it, small ones when they are worth a message together. The first is marked.
 */
export function* squeeze<Result>(
  pieces: Generator<Uint8Array, Result>,
): Generator<readonly Uint8Array[], Result> {
  let waiting: Uint8Array[] = [squeezeMark];
  let waitingBytes = 0;
  let hasShrunk = false;
  try {
    for (let next = pieces.next(); ; next = pieces.next()) {
      if (next.done === true) {
        if (waitingBytes > 0) yield waiting;
        return next.value;
      }
      const content = next.value;
      const packed: Uint8Array = hasShrunk || isPromising(content) ? compress(content) : content;
      hasShrunk = packed.length < content.length * 0.97;
      const [head, body] = blockOf(content, packed);
      waiting.push(head, body);
      waitingBytes += body.length;
      if (body !== content && waitingBytes < squeezedBytes) continue;
      yield waiting;
      waiting = [];
      waitingBytes = 0;
    }
  } finally {
    endEarly(pieces);
  }
}

function blockOf(content: Uint8Array, packed: Uint8Array): readonly [Uint8Array, Uint8Array] {
  const isWorthwhile = packed.length < content.length && packed.length * mostRatio > content.length;
  const head = Buffer.allocUnsafe(headBytes);
  head.writeUInt32BE(content.length);
  head.writeUInt32BE(isWorthwhile ? packed.length : 0, 4);
  return [head, isWorthwhile ? packed : content];
}

/**
 * After a block that did not shrink two places of the next are tried; what does not shrink in
 * either is sent as it is.
 */
function isPromising(content: Uint8Array): boolean {
  const last = Math.max(0, content.length - sampleBytes);
  return [0, last].some((start) => {
    const sample = content.subarray(start, start + sampleBytes);
    return compress(sample, 2 * sampleBytes).length < sample.length * 0.97;
  });
}

/** `chunkSize` is allocated each time: for a sample a small one costs a quarter. */
function compress(content: Uint8Array, chunkSize = 256 * 1024): Buffer {
  return zstdCompressSync(content, { params: parameters, chunkSize });
}

/**
 * The content of a received bundle as a source of bytes, and whether it came in blocks and so is
 * of our own form. The source throws `FileRefusal` for blocks that are broken, cut off, larger
 * than allowed or shrunk beyond belief.
 */
export function unsqueezed(source: ByteSource): {
  readonly isOwn: boolean;
  readonly read: ByteSource;
} {
  const window = new ByteWindow(source);
  const isOwn = takeMark(window);
  return { isOwn, read: () => (isOwn ? takeBlock(window) : takeAll(window)) };
}

function takeMark(window: ByteWindow): boolean {
  const isMarked = window
    .fill(squeezeMark.length)
    .subarray(0, squeezeMark.length)
    .equals(squeezeMark);
  if (isMarked) window.skip(squeezeMark.length);
  return isMarked;
}

function takeAll(window: ByteWindow): Uint8Array {
  const bytes = window.fill(1);
  window.skip(bytes.length);
  return bytes;
}

function takeBlock(window: ByteWindow): Uint8Array {
  const head = window.fill(headBytes);
  if (head.length === 0) return head;
  if (head.length < headBytes) throw cutOff();
  const contentBytes = head.readUInt32BE(0);
  const packedBytes = head.readUInt32BE(4);
  const bodyBytes = packedBytes === 0 ? contentBytes : packedBytes;
  const isFair = packedBytes < contentBytes && packedBytes * mostRatio >= contentBytes;
  if (contentBytes === 0 || contentBytes > largestBlockBytes || !(packedBytes === 0 || isFair)) {
    throw new FileRefusal(3053, `a block of ${contentBytes} bytes in ${packedBytes}`);
  }
  const body = window.fill(headBytes + bodyBytes).subarray(headBytes, headBytes + bodyBytes);
  if (body.length < bodyBytes) throw cutOff();
  const content = packedBytes === 0 ? body : unpack(body, contentBytes);
  window.skip(headBytes + bodyBytes);
  return content;
}

function unpack(body: Uint8Array, contentBytes: number): Uint8Array {
  try {
    const options = { maxOutputLength: contentBytes, chunkSize: Math.max(contentBytes, 64) };
    const content = zstdDecompressSync(body, options);
    if (content.length === contentBytes) return content;
  } catch (error) {
    throw new FileRefusal(3003, 'a block of the bundle does not inflate', { cause: error });
  }
  throw new FileRefusal(3003, `a block of the bundle is not ${contentBytes} bytes`);
}

function cutOff(): FileRefusal {
  return new FileRefusal(3003, 'the bundle ends within a block');
}
