/**
 * Bundles as our own nodes write them for each other: members with lengths instead of separators
 * and check sums of zlib, cut into blocks that travel sealed (`squeeze.ts`). Form: name (length in
 * 16 bits), parts (length in 32 bits), a part of no length, CRC-32 of the content, one byte that
 * is 1 where BLAKE2b-512 of the content follows; after the members an empty name, and the metadata
 * as parts with their CRC-32. The hash is there only if the sender proved it by the file's stamp,
 * so a receiver need not hash again what it opened under a MAC.
 */
import { crc32 } from 'node:zlib';
import type { MemberSink, UnpackLimits } from './member-count.ts';
import { type CountedSink, MemberCount } from './member-count.ts';
import { decodeName, type FileName, longestNameBytes } from './name.ts';
import type { BundleForm } from './pack.ts';
import { FileRefusal, shown } from './refusal.ts';
import { type ByteSource, ByteWindow } from './window.ts';

const hashBytes = 64;
const lengthBytes = 4;
const longestPartBytes = 1024 * 1024;

export const ownForm: BundleForm = {
  *member(name, file, content) {
    let next = content.next().value ?? undefined;
    let check = 0;
    yield headOf(name, next);
    for (let isFirst = true; next !== undefined; isFirst = false) {
      if (!isFirst) yield lengthOf(next);
      check = crc32(next, check);
      yield next;
      next = content.next().value ?? undefined;
    }
    yield tailOf(check, file.provenHash?.());
  },
  *metadata(segments) {
    yield Buffer.alloc(2);
    let check = 0;
    for (const bytes of segments) {
      check = crc32(bytes, check);
      yield lengthOf(bytes);
      yield bytes;
    }
    yield endOf(check);
  },
};

/** The name and the length of the first part, where there is one. */
function headOf(name: FileName, first: Uint8Array | undefined): Buffer {
  const bytes = Buffer.byteLength(name);
  const head = Buffer.allocUnsafe(2 + bytes + (first === undefined ? 0 : lengthBytes));
  head.writeUInt16BE(bytes);
  head.write(name, 2, 'utf8');
  if (first !== undefined) head.writeUInt32BE(first.length, 2 + bytes);
  return head;
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

/** Reads what `ownForm` wrote; as `unpackBundle` in every other respect. */
export function unpackOwn(
  source: ByteSource,
  open: (name: FileName) => MemberSink,
  limits: UnpackLimits,
): Buffer {
  const reader = new OwnReader(source, new MemberCount(limits));
  for (let name = reader.name(); name !== undefined; name = reader.name()) {
    reader.member(name, open(name));
  }
  return reader.metadata(limits.metadataBytes);
}

class OwnReader {
  readonly #window: ByteWindow;
  readonly #count: MemberCount;

  constructor(source: ByteSource, count: MemberCount) {
    this.#window = new ByteWindow(source);
    this.#count = count;
  }

  /** Undefined: the metadata follows. */
  name(): FileName | undefined {
    const bytes = this.#number(2);
    if (bytes === 0) return undefined;
    if (bytes > longestNameBytes) throw new FileRefusal(3003, `a name of ${bytes} bytes`);
    const name = decodeName(this.#take(bytes));
    this.#count.begin(name);
    return name;
  }

  member(name: FileName, sink: MemberSink): void {
    try {
      this.#parts(name, this.#count.sinkOf(name, sink));
      const isProven = this.#number(1) === 1;
      sink.end(isProven ? this.#take(hashBytes).toString('hex') : undefined);
    } catch (error) {
      sink.abort();
      throw error;
    }
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
    if (this.#number(4) === check >>> 0) return;
    throw new FileRefusal(3003, `the content of ${calledBy(name)} is not what was sent`);
  }

  #length(name: FileName | undefined): number {
    const length = this.#number(4);
    if (length <= longestPartBytes) return length;
    throw new FileRefusal(3053, `${calledBy(name)} has a part of ${length} bytes`);
  }

  /** Good until the next call. */
  #take(bytes: number): Buffer {
    return this.#window.take(bytes) ?? cutOff();
  }

  #number(bytes: 1 | 2 | 4): number {
    return this.#window.takeNumber(bytes) ?? cutOff();
  }
}
