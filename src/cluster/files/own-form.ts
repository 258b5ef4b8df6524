/**
 * Bundles as our own nodes write them for each other: records with lengths instead of separators
 * and check sums of zlib, cut into blocks that travel sealed (`squeeze.ts`). A record begins with
 * one byte:
 * - 1, 2, 3, a folder: what the files that follow are (to be created, to be updated, said by the
 *   metadata), then the folder and the item key, each with a length in 16 bits;
 * - 4, a file whole: length of its base name (16 bits) and of its content, CRC-32 of that (32 bits
 *   each), BLAKE2b-512, base name, content. The sender proved the hash by the file's stamp, so a
 *   receiver need not hash again what it opened under a MAC;
 * - 5, a file in parts: base name (length in 16 bits), parts (length in 32 bits), a part of no
 *   length, CRC-32 of the content, one byte that is 1 where the hash follows;
 * - 0, the end: the metadata as parts with their CRC-32. It says what folders do not.
 */
import { crc32 } from 'node:zlib';
import type { MemberSink, UnpackLimits } from './member-count.ts';
import { type CountedSink, MemberCount } from './member-count.ts';
import { decodeName, decodeNameBelow, type FileName, longestNameBytes } from './name.ts';
import type { BundleForm, MemberKind, OpenFile } from './pack.ts';
import { FileRefusal, shown } from './refusal.ts';
import { type ByteSource, ByteWindow } from './window.ts';

const hashBytes = 64;
const lengthBytes = 4;
const longestPartBytes = 1024 * 1024;
const groups = ['missing', 'shared', undefined] as const;
const record = { end: 0, firstFolder: 1, lastFolder: groups.length, whole: 4, parts: 5 } as const;
/** Of a file that comes whole, behind its first byte. */
const wholeHeadBytes = 2 + 2 * lengthBytes + hashBytes;

/** Where a bundle of our own form goes. It refuses the second member of a name. */
export interface OwnSink {
  /** The files that follow lie in `folder`, without a slash at its end. */
  folder(folder: string, kind: MemberKind): void;
  /** A small file; `content` is good for this call only. */
  put(name: FileName, content: Uint8Array, hash: string): void;
  open(name: FileName): MemberSink;
}

/** Of one bundle: it knows the folder that was named last. */
export function ownForm(): BundleForm {
  let folder = '';
  let folderKind: MemberKind | undefined;
  /** What a change of folder is said by, and the base name. */
  const enter = (name: FileName, kind: MemberKind): readonly [readonly Buffer[], string] => {
    const end = Math.max(0, name.lastIndexOf('/')); // without one no receiver takes it
    const base = name.slice(end + 1);
    const isThere =
      isSameKind(kind, folderKind) && end === folder.length && name.startsWith(folder);
    if (isThere) return [[], base];
    [folder, folderKind] = [name.slice(0, end), kind];
    return [[folderOf(folder, kind)], base];
  };
  return {
    isTold: ({ group }) => group !== undefined,
    whole(name, file, content, kind) {
      const hash = file.isAtEnd?.() === true ? file.provenHash?.() : undefined;
      if (hash === undefined) return undefined;
      const [entered, base] = enter(name, kind);
      return [...entered, wholeOf(base, content, hash), content];
    },
    *member(name, file, content, kind) {
      const [entered, base] = enter(name, kind);
      yield* entered;
      yield* inParts(base, content, file);
    },
    *metadata(segments) {
      yield Buffer.of(record.end);
      let check = 0;
      for (const bytes of segments) {
        check = crc32(bytes, check);
        yield lengthOf(bytes);
        yield bytes;
      }
      yield endOf(check);
    },
  };
}

function isSameKind(one: MemberKind, other: MemberKind | undefined): boolean {
  return one.group === other?.group && one.itemKey === other?.itemKey;
}

function folderOf(folder: string, { group, itemKey }: MemberKind): Buffer {
  const first = Buffer.of(record.firstFolder + groups.indexOf(group));
  return Buffer.concat([first, ...[folder, itemKey].flatMap(withLength)]);
}

function withLength(text: string): readonly [Buffer, Buffer] {
  const bytes = Buffer.from(text, 'utf8');
  const length = Buffer.allocUnsafe(2);
  length.writeUInt16BE(bytes.length);
  return [length, bytes];
}

function wholeOf(base: string, content: Uint8Array, hash: string): Buffer {
  const baseBytes = Buffer.byteLength(base);
  const head = Buffer.allocUnsafe(1 + wholeHeadBytes + baseBytes);
  head[0] = record.whole;
  head.writeUInt16BE(baseBytes, 1);
  head.writeUInt32BE(content.length, 3);
  head.writeUInt32BE(crc32(content), 7);
  head.write(hash, 11, 'hex');
  head.write(base, 1 + wholeHeadBytes, 'utf8');
  return head;
}

function* inParts(
  base: string,
  content: Iterable<Uint8Array>,
  file: OpenFile,
): Generator<Uint8Array> {
  yield Buffer.concat([Buffer.of(record.parts), ...withLength(base)]);
  let check = 0;
  for (const bytes of content) {
    check = crc32(bytes, check);
    yield lengthOf(bytes);
    yield bytes;
  }
  yield tailOf(check, file.provenHash?.());
}

function lengthOf(bytes: Uint8Array): Buffer {
  const length = Buffer.allocUnsafe(lengthBytes);
  length.writeUInt32BE(bytes.length);
  return length;
}

/** The part of no length and the check sum. */
function endOf(check: number, room = 0): Buffer {
  const end = Buffer.allocUnsafe(2 * lengthBytes + room);
  end.writeUInt32BE(0);
  end.writeUInt32BE(check, lengthBytes);
  return end;
}

/** With what tells whether the hash follows, and the hash. */
function tailOf(check: number, hash: string | undefined): Buffer {
  const tail = endOf(check, 1 + (hash === undefined ? 0 : hashBytes));
  tail[2 * lengthBytes] = hash === undefined ? 0 : 1;
  if (hash !== undefined) tail.write(hash, 2 * lengthBytes + 1, 'hex');
  return tail;
}

function cutOff(): never {
  throw new FileRefusal(3003, 'the bundle ends within a member');
}

/** Only for a refusal: it costs as much as reading a small member. */
function calledBy(name: FileName | undefined): string {
  return name === undefined ? 'the metadata' : shown(name);
}

/** Reads what `ownForm` wrote, to its metadata; as `unpackBundle` in every other respect. */
export function unpackOwn(source: ByteSource, sink: OwnSink, limits: UnpackLimits): Buffer {
  const reader = new OwnReader(source, sink, new MemberCount(limits));
  reader.members();
  return reader.metadata(limits.metadataBytes);
}

class OwnReader {
  readonly #window: ByteWindow;
  readonly #sink: OwnSink;
  readonly #count: MemberCount;
  /** Of the files that follow, with a slash; undefined before the first. */
  #folder: string | undefined;

  constructor(source: ByteSource, sink: OwnSink, count: MemberCount) {
    this.#window = new ByteWindow(source);
    this.#sink = sink;
    this.#count = count;
  }

  /** Folders cost no more than files: each must hold one. */
  members(): void {
    let isEmpty = false;
    for (let kind = this.#number(1); kind !== record.end; kind = this.#number(1)) {
      const isFolder = kind >= record.firstFolder && kind <= record.lastFolder;
      if (isFolder && isEmpty) throw new FileRefusal(3003, 'a folder without a file');
      isEmpty = isFolder;
      if (isFolder) this.#enter(groups[kind - record.firstFolder]);
      else if (kind === record.whole) this.#whole();
      else if (kind === record.parts) this.#inParts();
      else throw new FileRefusal(3003, `a record of the unknown kind ${kind}`);
    }
    if (isEmpty) throw new FileRefusal(3003, 'a folder without a file');
  }

  metadata(mostBytes: number): Buffer {
    const parts: Buffer[] = [];
    let bytes = 0;
    const take = (content: Uint8Array): void => {
      bytes += content.length;
      if (bytes > mostBytes) throw new FileRefusal(3053, 'the metadata is larger than allowed');
      parts.push(Buffer.from(content));
    };
    this.#parts(undefined, { take });
    if (this.#window.fill(1).length > 0) throw new FileRefusal(3003, 'bytes follow the metadata');
    return Buffer.concat(parts);
  }

  #enter(group: MemberKind['group']): void {
    const folder = decodeName(this.#take(this.#nameLength()));
    const itemKey = this.#take(this.#nameLength()).toString('utf8');
    this.#folder = `${folder}/`;
    this.#sink.folder(folder, { group, itemKey });
  }

  #whole(): void {
    const head = this.#take(wholeHeadBytes);
    const baseBytes = head.readUInt16BE(0);
    const contentBytes = head.readUInt32BE(2);
    const check = head.readUInt32BE(6);
    const hash = head.toString('hex', 10);
    const name = this.#name(baseBytes);
    if (contentBytes > longestPartBytes) {
      throw new FileRefusal(3053, `${shown(name)} has a part of ${contentBytes} bytes`);
    }
    const content = this.#take(contentBytes);
    if (crc32(content) !== check) throw changed(name);
    this.#count.add(name, contentBytes);
    this.#sink.put(name, content, hash);
  }

  #inParts(): void {
    const name = this.#name(this.#number(2));
    const sink = this.#sink.open(name);
    try {
      this.#parts(name, this.#count.sinkOf(name, sink));
      const isProven = this.#number(1) === 1;
      sink.end(isProven ? this.#take(hashBytes).toString('hex') : undefined);
    } catch (error) {
      sink.abort();
      throw error;
    }
  }

  #name(baseBytes: number): FileName {
    if (this.#folder === undefined) throw new FileRefusal(3003, 'a file without a folder');
    if (baseBytes > longestNameBytes) throw new FileRefusal(3003, `a name of ${baseBytes} bytes`);
    const name = decodeNameBelow(this.#folder, this.#take(baseBytes));
    this.#count.next(name);
    return name;
  }

  /** `name`: undefined for the metadata. */
  #parts(name: FileName | undefined, sink: CountedSink): void {
    let check = 0;
    let content = 0;
    for (let length = this.#length(name); length > 0; length = this.#length(name)) {
      const bytes = this.#take(length);
      check = crc32(bytes, check);
      content += length;
      sink.take(bytes, content); // how far blocks inflate was judged by `squeeze.ts`
    }
    if (this.#number(4) !== check >>> 0) throw changed(name);
  }

  #length(name: FileName | undefined): number {
    const length = this.#number(4);
    if (length <= longestPartBytes) return length;
    throw new FileRefusal(3053, `${calledBy(name)} has a part of ${length} bytes`);
  }

  #nameLength(): number {
    const bytes = this.#number(2);
    if (bytes <= longestNameBytes) return bytes;
    throw new FileRefusal(3003, `a name of ${bytes} bytes`);
  }

  /** Good until the next call. */
  #take(bytes: number): Buffer {
    return this.#window.take(bytes) ?? cutOff();
  }

  #number(bytes: 1 | 2 | 4): number {
    return this.#window.takeNumber(bytes) ?? cutOff();
  }
}

function changed(name: FileName | undefined): FileRefusal {
  return new FileRefusal(3003, `the content of ${calledBy(name)} is not what was sent`);
}
