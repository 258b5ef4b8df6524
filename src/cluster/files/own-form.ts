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
const longestPartBytes = 1024 * 1024;

export const ownForm: BundleForm = {
  *member(name, file, content) {
    let before = nameHead(name);
    let check = 0;
    for (const bytes of content) {
      check = crc32(bytes, check);
      yield Buffer.concat([before, lengthOf(bytes)]);
      yield bytes;
      before = Buffer.alloc(0);
    }
    yield Buffer.concat([before, tailOf(check), proofOf(file.provenHash?.())]);
  },
  *metadata(segments) {
    yield Buffer.alloc(2);
    let check = 0;
    for (const bytes of segments) {
      check = crc32(bytes, check);
      yield lengthOf(bytes);
      yield bytes;
    }
    yield tailOf(check);
  },
};

function nameHead(name: FileName): Buffer {
  const bytes = Buffer.byteLength(name);
  const head = Buffer.allocUnsafe(2 + bytes);
  head.writeUInt16BE(bytes);
  head.write(name, 2, 'utf8');
  return head;
}

function lengthOf(bytes: Uint8Array): Buffer {
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(bytes.length);
  return length;
}

/** The part of no length and the check sum. */
function tailOf(check: number): Buffer {
  const tail = Buffer.alloc(8);
  tail.writeUInt32BE(check, 4);
  return tail;
}

function proofOf(hash: string | undefined): Buffer {
  if (hash === undefined) return Buffer.alloc(1);
  const proof = Buffer.allocUnsafe(1 + hashBytes);
  proof[0] = 1;
  proof.write(hash, 1, 'hex');
  return proof;
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
    const bytes = this.#take(2).readUInt16BE();
    if (bytes === 0) return undefined;
    if (bytes > longestNameBytes) throw new FileRefusal(3003, `a name of ${bytes} bytes`);
    const name = decodeName(this.#take(bytes));
    this.#count.begin(name);
    return name;
  }

  member(name: FileName, sink: MemberSink): void {
    try {
      this.#parts(shown(name), this.#count.sinkOf(name, sink));
      const isProven = this.#take(1)[0] === 1;
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
    this.#parts('the metadata', { take });
    if (this.#window.fill(1).length > 0) throw new FileRefusal(3003, 'bytes follow the metadata');
    return Buffer.concat(parts);
  }

  #parts(what: string, sink: CountedSink): void {
    let check = 0;
    let content = 0;
    for (let length = this.#length(what); length > 0; length = this.#length(what)) {
      const bytes = this.#take(length);
      check = crc32(bytes, check);
      content += length;
      sink.take(bytes, content); // how far blocks inflate was judged by `squeeze.ts`
    }
    if (this.#take(4).readUInt32BE() === check >>> 0) return;
    throw new FileRefusal(3003, `the content of ${what} is not what was sent`);
  }

  #length(what: string): number {
    const length = this.#take(4).readUInt32BE();
    if (length <= longestPartBytes) return length;
    throw new FileRefusal(3053, `${what} has a part of ${length} bytes`);
  }

  /** Good until the next call. */
  #take(bytes: number): Buffer {
    const taken = this.#window.fill(bytes).subarray(0, bytes);
    if (taken.length < bytes) throw new FileRefusal(3003, 'the bundle ends within a member');
    this.#window.skip(bytes);
    return taken;
  }
}
