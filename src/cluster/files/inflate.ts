/** A zlib stream inflated piece by piece out of a window; it ends where it says it ends. */
import { once } from 'node:events';
import { createInflate, type Inflate } from 'node:zlib';
import type { CountedSink } from './member-count.ts';
import type { ByteWindow } from './window.ts';

const pieceBytes = 64 * 1024;
/** Below what allocators keep hold of. */
const outputBytes = 96 * 1024;

/**
 * Feed the stream that starts at the window, hand its content to `sink`, leave the window right
 * behind it. Throws what zlib throws for a broken or cut-off stream, or what `sink` throws.
 */
export async function inflateStream(window: ByteWindow, sink: CountedSink): Promise<void> {
  const inflate = createInflate({ chunkSize: outputBytes });
  let fedBytes = 0;
  inflate.on('data', (content: Buffer) => {
    try {
      sink.take(content, fedBytes);
    } catch (error) {
      inflate.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  });
  const ended = once(inflate, 'end').then(() => true);
  ended.catch(() => undefined); // thrown where it is awaited below
  try {
    for (let isEnded = false; !isEnded; ) {
      const piece = window.fill(1).subarray(0, pieceBytes);
      const before = inflate.bytesWritten;
      fedBytes += piece.length;
      isEnded = await Promise.race([ended, feed(inflate, piece)]);
      window.skip(inflate.bytesWritten - before);
      if (piece.length === 0) isEnded = await ended;
    }
  } finally {
    inflate.destroy();
  }
}

/** Resolves to false when zlib took the piece; never where the stream ended within it. */
function feed(inflate: Inflate, piece: Uint8Array): Promise<false> {
  return new Promise((resolve) => {
    if (piece.length === 0) inflate.end();
    else inflate.write(piece, () => resolve(false));
  });
}
