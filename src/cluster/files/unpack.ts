/**
 * The bundle, read: a stream of bytes in, members out, nothing of it believed. A member ends where
 * its zlib stream ends, not at the next separator, so content may hold separators. Bounded: one
 * window of bytes, each member, all members together, their number, the ratio of inflation.
 */
import { inflateSync } from 'node:zlib';
import { messageOf } from '../../guards.ts';
import { inflateStream } from './inflate.ts';
import { fileSeparator, nameSeparator } from './member.ts';
import {
  type CountedSink,
  MemberCount,
  type MemberSink,
  type UnpackLimits,
} from './member-count.ts';
import { decodeName, type FileName, longestNameBytes } from './name.ts';
import { metadataName } from './pack.ts';
import { FileRefusal, shown } from './refusal.ts';
import { readStored } from './stored.ts';
import { type ByteSource, ByteWindow } from './window.ts';

const mebibyte = 1024 * 1024;
/** Up to this many compressed bytes a member is inflated in one go. */
const smallBytes = 64 * 1024;
const smallContentBytes = 4 * mebibyte;

/**
 * Read the whole bundle. `open` is called once for every member but the metadata, whose bytes are
 * the result. Throws `FileRefusal` that names the member; sinks already ended stay as they are,
 * so the caller drops them.
 */
export async function unpackBundle(
  source: ByteSource,
  open: (name: FileName) => MemberSink,
  limits: UnpackLimits,
): Promise<Buffer> {
  return new Unpacker(source, open, limits).run();
}

class Unpacker {
  readonly #window: ByteWindow;
  readonly #open: (name: FileName) => MemberSink;
  readonly #limits: UnpackLimits;
  readonly #count: MemberCount;

  constructor(source: ByteSource, open: (name: FileName) => MemberSink, limits: UnpackLimits) {
    this.#window = new ByteWindow(source);
    this.#open = open;
    this.#limits = limits;
    this.#count = new MemberCount(limits);
  }

  async run(): Promise<Buffer> {
    for (;;) {
      const name = this.#readName();
      if (name === metadataName) return this.#readMetadata(name);
      await this.#readMember(name, this.#open(name), this.#limits.memberBytes);
      this.#skipSeparator(name);
    }
  }

  async #readMetadata(name: FileName): Promise<Buffer> {
    const parts: Buffer[] = [];
    const sink = {
      write: (bytes: Uint8Array) => void parts.push(Buffer.from(bytes)),
      end: () => undefined,
      abort: () => undefined,
    };
    await this.#readMember(name, sink, this.#limits.metadataBytes);
    if (this.#window.fill(1).length > 0) {
      throw new FileRefusal(3003, `bytes follow the last member ${metadataName}`);
    }
    return Buffer.concat(parts);
  }

  #readName(): FileName {
    const longest = longestNameBytes + nameSeparator.length;
    const ahead = this.#window.fill(longest).subarray(0, longest);
    const end = ahead.indexOf(nameSeparator);
    if (end === -1) {
      const where = ahead.length === 0 ? 'the bundle ends' : 'a member has no name';
      throw new FileRefusal(3003, `${where} before ${metadataName} was read`);
    }
    const name = decodeName(ahead.subarray(0, end));
    this.#window.skip(end + nameSeparator.length);
    this.#count.begin(name);
    return name;
  }

  #skipSeparator(name: FileName): void {
    const next = this.#window.fill(fileSeparator.length).subarray(0, fileSeparator.length);
    if (!next.equals(fileSeparator)) {
      throw new FileRefusal(3003, `bytes follow the content of ${shown(name)}`);
    }
    this.#window.skip(fileSeparator.length);
  }

  async #readMember(name: FileName, sink: MemberSink, memberBytes: number): Promise<void> {
    const counted = this.#count.sinkOf(name, sink, memberBytes);
    try {
      if (!this.#readSmall(counted)) await inflateStream(this.#window, counted);
      sink.end();
    } catch (error) {
      sink.abort();
      if (error instanceof FileRefusal) throw error;
      const text = `the member ${shown(name)} does not inflate: ${messageOf(error)}`;
      throw new FileRefusal(3003, text, { cause: error });
    }
  }

  /** The common case, one call; false where the stream is not whole and well before a separator. */
  #readSmall(sink: CountedSink): boolean {
    const ahead = this.#window.fill(smallBytes + fileSeparator.length);
    const found = ahead.indexOf(fileSeparator);
    const isLast = found === -1 && ahead.length < smallBytes;
    if (found === -1 && !isLast) return false;
    const stream = ahead.subarray(0, isLast ? ahead.length : found);
    const content = readStored(stream) ?? inflateWhole(stream);
    if (content === undefined) return false;
    sink.take(content, stream.length);
    this.#window.skip(stream.length);
    return true;
  }
}

/** What `inflateSync` returns with `info`; the published types leave it out. */
interface InflateInfo {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

/** Undefined: not one whole zlib stream of modest content; the slow way tells why. */
function inflateWhole(stream: Uint8Array): Buffer | undefined {
  try {
    const result: unknown = inflateSync(stream, {
      info: true,
      maxOutputLength: smallContentBytes,
      chunkSize: stream.length < 4096 ? 8192 : 65_536,
    });
    const { buffer, engine } = result as InflateInfo;
    return engine.bytesWritten === stream.length ? buffer : undefined;
  } catch {
    return undefined;
  }
}
