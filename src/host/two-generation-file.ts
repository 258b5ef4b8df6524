/**
 * Small persisted state in two generations, `PATH.a` and `PATH.b` (trust-and-safety 1.6, E701).
 * A write replaces the older generation, so a crash at any moment leaves at least one good one.
 * Each file: `pf-state 1 GENERATION LENGTH CRC32\n`, then the bytes. It never invents "no state":
 * files that are there but unreadable are an error, only absent files mean a first start.
 */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { HostError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import { asHostErrors } from './host-error.ts';

/** A persisted value that survives a kill and a power cut at any instant. */
export interface TwoGenerationFile {
  /** Newest good generation; undefined when nothing was ever written. Throws E701 if all is damaged. */
  read(): Promise<Uint8Array | undefined>;
  /** Durable when it resolves (file and directory synced). Throws E506 and keeps the old generation. */
  write(bytes: Uint8Array): Promise<void>;
}

type Slot =
  | { readonly kind: 'absent' }
  | { readonly kind: 'damaged'; readonly why: string }
  | { readonly kind: 'good'; readonly generation: number; readonly bytes: Uint8Array };

const headerPattern = /^pf-state 1 (\d{1,15}) (\d{1,9}) ([0-9a-f]{8})$/;
/** Holds the largest state that limits elsewhere allow: a sidecar's 64 roots and two lists, in base64. */
const maxStateBytes = 8 * 1024 * 1024;

/** Pure: the bytes of one generation file. */
export function encodeGeneration(generation: number, bytes: Uint8Array): Uint8Array {
  const checksum = crc32(bytes, crc32(`${generation}`))
    .toString(16)
    .padStart(8, '0');
  return Buffer.concat([
    Buffer.from(`pf-state 1 ${generation} ${bytes.length} ${checksum}\n`),
    bytes,
  ]);
}

/** Pure: what a generation file holds, or why it cannot be believed. */
export function decodeGeneration(file: Uint8Array): Slot {
  const end = file.indexOf(0x0a);
  const header = headerPattern.exec(
    Buffer.from(file.subarray(0, Math.max(end, 0))).toString('latin1'),
  );
  if (header === null) return { kind: 'damaged', why: 'no header' };
  const generation = Number(header[1]);
  const bytes = file.subarray(end + 1);
  if (bytes.length !== Number(header[2])) return { kind: 'damaged', why: 'wrong length' };
  const checksum = crc32(bytes, crc32(`${generation}`))
    .toString(16)
    .padStart(8, '0');
  if (checksum !== header[3]) return { kind: 'damaged', why: 'wrong checksum' };
  return { kind: 'good', generation, bytes };
}

/** `onDamaged` hears of a generation that could not be believed while the other one served. */
export function openTwoGenerationFile(
  path: string,
  onDamaged: (path: string, why: string) => void = () => undefined,
): TwoGenerationFile {
  const paths = [`${path}.a`, `${path}.b`] as const;
  let last: Promise<void> = Promise.resolve();

  const readBoth = async (): Promise<readonly [Slot, Slot]> => [
    await readSlot(paths[0]),
    await readSlot(paths[1]),
  ];

  const replaceOlder = async (bytes: Uint8Array): Promise<void> => {
    const [a, b] = await readBoth();
    const newest = Math.max(generationOf(a), generationOf(b));
    const target = generationOf(a) <= generationOf(b) ? paths[0] : paths[1];
    await writeDurably(target, encodeGeneration(newest + 1, bytes));
  };

  return {
    async read() {
      const slots = await asHostErrors(path, readBoth);
      slots.forEach((slot, index) => {
        if (slot.kind === 'damaged') onDamaged(paths[index] ?? path, slot.why);
      });
      return newestOf(path, slots);
    },
    write(bytes) {
      if (bytes.length > maxStateBytes) {
        throw new HostError('write_failed', `${path}: ${bytes.length} bytes of state are too many`);
      }
      const done = last.then(() => asHostErrors(path, () => replaceOlder(bytes)));
      last = done.catch(() => undefined); // the caller of `done` hears of it
      return done;
    },
  };
}

function newestOf(path: string, slots: readonly [Slot, Slot]): Uint8Array | undefined {
  const [a, b] = slots;
  const newest = generationOf(a) >= generationOf(b) ? a : b;
  if (newest.kind === 'good') return newest.bytes;
  if (a.kind === 'absent' && b.kind === 'absent') return undefined;
  const why = slots.map((slot) => (slot.kind === 'damaged' ? slot.why : slot.kind)).join(', ');
  throw new HostError('state_unreadable', `${path}.a and ${path}.b are both unusable (${why})`);
}

/** -1 for a generation that may be overwritten at no loss. */
function generationOf(slot: Slot): number {
  return slot.kind === 'good' ? slot.generation : -1;
}

async function readSlot(path: string): Promise<Slot> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === 'ENOENT') return { kind: 'absent' };
    if (code === 'ELOOP') return { kind: 'damaged', why: messageOf(error) };
    // What may not be opened now is not damaged: it must be neither rebuilt nor written over.
    const seen = `${path}: ${messageOf(error)}`;
    throw new HostError('state_inaccessible', seen, { cause: error });
  }
  try {
    const { size } = await handle.stat();
    if (size > maxStateBytes + 64) return { kind: 'damaged', why: 'too long' };
    return decodeGeneration(await handle.readFile());
  } catch (error) {
    return { kind: 'damaged', why: messageOf(error) };
  } finally {
    await handle.close();
  }
}

/** Temp file, full write, fsync, rename, fsync of the directory: never a torn `path`. */
export async function writeDurably(path: string, bytes: Uint8Array, mode = 0o600): Promise<void> {
  const temp = `${path}.new`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await unlink(temp).catch(ignoreMissing);
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
    const handle = await open(temp, flags | (constants.O_NOFOLLOW ?? 0), mode);
    try {
      if (mode !== 0o600) await handle.chmod(mode); // whatever the umask says
      await writeFully(handle, bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temp, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    const seen = `${path}: ${messageOf(error)}`;
    throw new HostError('write_failed', seen, { cause: error });
  }
}

/** `write` may stop short when space ends; only the next call says so (trust-and-safety 3.1). */
export async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let at = 0;
  while (at < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, at);
    if (bytesWritten <= 0) throw new Error(`wrote ${at} of ${bytes.length} bytes`);
    at += bytesWritten;
  }
}

/** Make renames in `path` durable; Windows has no such call and does not need it on NTFS. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function ignoreMissing(error: unknown): void {
  if (systemCodeOf(error) !== 'ENOENT') throw error;
}
