/**
 * Ad-hoc code signature for macOS: arm64 kernels start nothing unsigned, and injecting our program
 * removes the signature of Node's maker. It proves integrity, not origin; a release is signed again
 * with a Developer ID (installers/macos/README.md). Source: `cs_blobs.h`, `mach-o/loader.h` (xnu).
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

const machO64 = 0xfeedfacf;
const segmentCommand = 0x19;
const signatureCommand = 0x1d;
/** LC_BUILD_VERSION: platform, least version of the system, … */
const buildCommand = 0x32;
const headerBytes = 32;
const pageBits = 12;
const pageBytes = 1 << pageBits;
/** CodeDirectory of version 2.4, up to the identifier. */
const directoryBytes = 88;

interface Segment {
  /** Offset of its load command. */
  readonly at: number;
  readonly fileOffset: number;
  readonly fileSize: number;
}

interface Layout {
  readonly commandsEnd: number;
  readonly text: Segment;
  readonly linkEdit: Segment;
  /** Where the first section begins: load commands end before it. */
  readonly firstSection: number;
}

/** Signs the thin 64-bit executable at `path` in place; one that is signed is refused. */
export function signAdHoc(path: string, identifier: string): void {
  writeFileSync(path, adHocSigned(readFileSync(path), identifier), { mode: 0o755 });
}

/** Pure: the same bytes in, the same bytes out. */
export function adHocSigned(program: Buffer, identifier: string): Buffer {
  const layout = readLayout(program);
  const signatureAt = align(program.length, 16);
  const size = signatureBytes(signatureAt, identifier);
  const code = Buffer.concat([program, Buffer.alloc(signatureAt - program.length)]);
  addCommand(code, layout, signatureAt, size);
  const { linkEdit, text } = layout;
  const fileSize = signatureAt + size - linkEdit.fileOffset;
  code.writeBigUInt64LE(BigInt(align(fileSize, 0x4000)), linkEdit.at + 32);
  code.writeBigUInt64LE(BigInt(fileSize), linkEdit.at + 48);
  return Buffer.concat([code, renderSignature(code, text, identifier, size)]);
}

/** The least macOS that the program says it runs on, as in `13.5`. */
export function minimumMacOs(program: Buffer): string {
  if (program.readUInt32LE(0) !== machO64) throw new Error('no thin 64-bit Mach-O file');
  let at = headerBytes;
  for (let left = program.readUInt32LE(16); left > 0; left -= 1) {
    if (program.readUInt32LE(at) === buildCommand) {
      return `${program.readUInt16LE(at + 14)}.${program.readUInt8(at + 13)}`;
    }
    at += program.readUInt32LE(at + 4);
  }
  throw new Error('the program names no least macOS (LC_BUILD_VERSION)');
}

function readLayout(program: Buffer): Layout {
  if (program.readUInt32LE(0) !== machO64) throw new Error('no thin 64-bit Mach-O file');
  const segments = new Map<string, Segment>();
  let firstSection = Number.POSITIVE_INFINITY;
  let at = headerBytes;
  for (let left = program.readUInt32LE(16); left > 0; left -= 1) {
    const command = program.readUInt32LE(at);
    if (command === signatureCommand) throw new Error('the file is signed already');
    if (command === segmentCommand) {
      segments.set(program.toString('latin1', at + 8, at + 24).replace(/\0.*$/s, ''), {
        at,
        fileOffset: Number(program.readBigUInt64LE(at + 40)),
        fileSize: Number(program.readBigUInt64LE(at + 48)),
      });
      firstSection = Math.min(firstSection, firstSectionOf(program, at));
    }
    at += program.readUInt32LE(at + 4);
  }
  const [text, linkEdit] = [segments.get('__TEXT'), segments.get('__LINKEDIT')];
  if (text === undefined || linkEdit === undefined) throw new Error('no __TEXT or __LINKEDIT');
  if (linkEdit.fileOffset + linkEdit.fileSize > program.length)
    throw new Error('file is cut short');
  return { commandsEnd: at, text, linkEdit, firstSection };
}

function firstSectionOf(program: Buffer, at: number): number {
  const count = program.readUInt32LE(at + 64);
  const offsets = Array.from({ length: count }, (_, index) =>
    program.readUInt32LE(at + 72 + index * 80 + 48),
  );
  return Math.min(...offsets.filter((offset) => offset > 0), Number.POSITIVE_INFINITY);
}

function addCommand(code: Buffer, layout: Layout, signatureAt: number, size: number): void {
  const { commandsEnd, firstSection } = layout;
  if (commandsEnd + 16 > firstSection) throw new Error('no room for one more load command');
  code.writeUInt32LE(signatureCommand, commandsEnd);
  code.writeUInt32LE(16, commandsEnd + 4);
  code.writeUInt32LE(signatureAt, commandsEnd + 8);
  code.writeUInt32LE(size, commandsEnd + 12);
  code.writeUInt32LE(code.readUInt32LE(16) + 1, 16);
  code.writeUInt32LE(code.readUInt32LE(20) + 16, 20);
}

function signatureBytes(codeBytes: number, identifier: string): number {
  const slots = Math.ceil(codeBytes / pageBytes);
  return align(20 + directoryBytes + identifier.length + 1 + slots * 32, 16);
}

function renderSignature(code: Buffer, text: Segment, identifier: string, size: number): Buffer {
  const slots = Math.ceil(code.length / pageBytes);
  const hashAt = directoryBytes + identifier.length + 1;
  const length = hashAt + slots * 32;
  const signature = Buffer.alloc(size);
  // SuperBlob with one entry: slot 0 is the CodeDirectory behind it.
  [0xfade0cc0, 20 + length, 1, 0, 20].forEach((word, index) => {
    signature.writeUInt32BE(word, index * 4);
  });
  const directory = signature.subarray(20);
  const adHoc = 0x2;
  const head = [0xfade0c02, length, 0x20400, adHoc, hashAt, directoryBytes, 0, slots, code.length];
  head.forEach((word, index) => {
    directory.writeUInt32BE(word, index * 4);
  });
  directory.set([32, 2, 0, pageBits], 36); // SHA-256, pages of 4 KiB
  directory.writeBigUInt64BE(BigInt(text.fileOffset), 64);
  directory.writeBigUInt64BE(BigInt(text.fileSize), 72);
  directory.writeBigUInt64BE(1n, 80); // the main program, no library
  directory.write(identifier, directoryBytes, 'latin1');
  for (let slot = 0; slot < slots; slot += 1) {
    const page = code.subarray(slot * pageBytes, (slot + 1) * pageBytes);
    directory.set(createHash('sha256').update(page).digest(), hashAt + slot * 32);
  }
  return signature;
}

function align(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
