/** A received bundle on disk as a source of bytes, through one reused buffer. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { ByteSource } from '../cluster/files/window.ts';

const readBytes = 256 * 1024;

export function bundleSource(path: string): { readonly read: ByteSource; close(): void } {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const buffer = Buffer.allocUnsafe(readBytes);
  return {
    read: () => buffer.subarray(0, readSync(file, buffer, 0, readBytes, null)),
    close: () => closeSync(file),
  };
}
