/**
 * The bill of materials of a pkg: what the installer records in its receipt. A store of numbered
 * blocks (big-endian) with five named roots; `Paths` is a B+-tree ordered by (parent, name), here
 * one leaf. The others stand empty, as in what Apple's `mkbom` writes. Facts of the format: the
 * documentation of apple-bom (apple-platform-rs) and a file that Apple's tool made.
 */
import type { MacEntry } from './mac-tree.ts';

const headerBytes = 512;
const leafBytes = 4096;
/** The least block of the tree that `VIndex` names. */
const smallLeafBytes = 128;
const leafHeadBytes = 12;
export const maxBomPaths = (leafBytes - leafHeadBytes) / 8;
const kinds = { file: 1, folder: 2, link: 3 } as const;
/** Any architecture; a file for one alone would carry a list of them. */
const anyArchitecture = 0x0f;

/** Blocks by number; number 0 is nobody's. */
class Blocks {
  readonly #blocks: Buffer[] = [];

  add(bytes: Buffer): number {
    return this.#blocks.push(bytes);
  }

  /** Header, named roots, blocks, and where each block lies. */
  encode(roots: readonly (readonly [name: string, block: number])[]): Buffer {
    const names = Buffer.concat([
      words(roots.length),
      ...roots.map(([name, block]) =>
        Buffer.concat([words(block), Buffer.from([name.length]), Buffer.from(name)]),
      ),
    ]);
    let at = headerBytes + names.length;
    const places = this.#blocks.map(({ length }) => {
      const place = words(at, length);
      at += length;
      return place;
    });
    // After the table: a list of free places, here none, then two empty ones.
    const index = Buffer.concat([words(places.length + 1, 0, 0), ...places, words(0, 0, 0, 0, 0)]);
    const head = Buffer.alloc(headerBytes);
    head.write('BOMStore');
    words(1, places.length, at, index.length, headerBytes, names.length).copy(head, 8);
    return Buffer.concat([head, names, ...this.#blocks, index]);
  }
}

/** `entries`: the root first and every folder before what is in it. `epoch`: seconds since 1970. */
export function encodeBom(entries: readonly MacEntry[], epoch: number): Buffer {
  if (entries.length > maxBomPaths) throw new Error(`a Bom of one leaf has ${maxBomPaths} paths`);
  const blocks = new Blocks();
  const bytes = entries.reduce((sum, entry) => sum + sizeOf(entry), 0);
  const info = blocks.add(words(1, entries.length + 1, 1, 0, 0, bytes, 0));
  const ids = new Map(entries.map(({ path }, index) => [path, index + 1]));
  const keyed = entries.map((entry) => ({ entry, ...keyOf(entry.path, ids) }));
  const ordered = keyed.toSorted(
    (left, right) => left.parent - right.parent || (left.name < right.name ? -1 : 1),
  );
  const pointers = ordered.map(({ entry, parent, name }) => {
    const record = blocks.add(encodeRecord(entry, epoch));
    const value = blocks.add(words(ids.get(entry.path) ?? 0, record));
    const key = blocks.add(Buffer.concat([words(parent), Buffer.from(`${name}\0`)]));
    return words(value, key);
  });
  const tree = (leaf: Buffer, paths: number): number =>
    blocks.add(encodeTree(blocks.add(leaf), leaf.length, paths));
  const roots: [string, number][] = [
    ['BomInfo', info],
    ['Paths', tree(encodeLeaf(pointers, leafBytes), entries.length)],
    ['HLIndex', tree(encodeLeaf([], leafBytes), 0)],
  ];
  const small = tree(encodeLeaf([], smallLeafBytes), 0);
  roots.push(['VIndex', blocks.add(Buffer.concat([words(1, small, 0), Buffer.of(0)]))]);
  roots.push(['Size64', tree(encodeLeaf([], leafBytes), 0)]);
  return blocks.encode(roots);
}

function keyOf(path: string, ids: ReadonlyMap<string, number>) {
  const slash = path.lastIndexOf('/');
  if (slash < 0) return { parent: 0, name: path };
  const parent = ids.get(path.slice(0, slash));
  if (parent === undefined) throw new Error(`the folder of ${path} is not in the tree`);
  return { parent, name: path.slice(slash + 1) };
}

function encodeTree(leaf: number, blockBytes: number, paths: number): Buffer {
  return Buffer.concat([Buffer.from('tree'), words(1, leaf, blockBytes, paths), Buffer.of(0)]);
}

/** A leaf without neighbours, filled up to its size. */
function encodeLeaf(pointers: readonly Buffer[], bytes: number): Buffer {
  const leaf = Buffer.alloc(bytes);
  leaf.writeUInt16BE(1, 0);
  leaf.writeUInt16BE(pointers.length, 2);
  Buffer.concat(pointers).copy(leaf, leafHeadBytes);
  return leaf;
}

function encodeRecord(entry: MacEntry, epoch: number): Buffer {
  const head = Buffer.alloc(6);
  head.writeUInt8(kinds[entry.kind], 0);
  head.writeUInt8(1, 1);
  head.writeUInt16BE(anyArchitecture, 2);
  head.writeUInt16BE(entry.mode, 4);
  const rest = [words(0, 0, epoch, sizeOf(entry)), Buffer.of(1)];
  if (entry.kind === 'folder') return Buffer.concat([head, ...rest, words(0, 0)]);
  const content = entry.kind === 'file' ? entry.bytes : Buffer.from(entry.to);
  const to = entry.kind === 'link' ? Buffer.from(`${entry.to}\0`) : Buffer.alloc(0);
  return Buffer.concat([head, ...rest, words(posixCksum(content), to.length), to, words(0)]);
}

function sizeOf(entry: MacEntry): number {
  if (entry.kind === 'folder') return 0;
  return entry.kind === 'file' ? entry.bytes.length : Buffer.byteLength(entry.to);
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => {
    bytes.writeUInt32BE(value, index * 4);
  });
  return bytes;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit += 1) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc;
});

/** The checksum of POSIX `cksum`: over the bytes, then over their number. */
export function posixCksum(bytes: Buffer): number {
  let crc = 0;
  const take = (byte: number): void => {
    crc = (crc << 8) ^ (crcTable[((crc >>> 24) ^ byte) & 0xff] ?? 0);
  };
  for (const byte of bytes) take(byte);
  for (let left = bytes.length; left > 0; left = Math.floor(left / 256)) take(left & 0xff);
  return ~crc >>> 0;
}
