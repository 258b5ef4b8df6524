/**
 * The bundle, written: members, then `files_metadata.json` (cluster-protocol.md 3.4). A generator:
 * nothing is held but one segment and one chunk, whatever the size.
 *
 * The bundle's size is limited as stock does it, and so is the sum of what it inflates to, which
 * is what stock receivers count. What does not fit waits for the next synchronisation.
 */
import type { Changes, Entry, Manifest } from './manifest.ts';
import { encodeChanges, encodeManifest } from './manifest.ts';
import {
  deflateMember,
  fileSeparator,
  longestStream,
  nameSeparator,
  segmentBytes,
  storeSmall,
} from './member.ts';
import type { FileName } from './name.ts';
import { shown } from './refusal.ts';

export const metadataName = 'files_metadata.json';

/** A file as the packer reads it; `undefined`: it is gone. */
export interface OpenFile {
  readonly sizeBytes: number;
  /** The next at most `segmentBytes` bytes, in a buffer that is reused; empty at the end. */
  read(): Uint8Array;
  /** All was read: the next `read` gives nothing. */
  isAtEnd?(): boolean;
  /** After the last byte: BLAKE2b-512 in hex of all that was read, where the file's stamp proves it. */
  provenHash?(): string | undefined;
  close(): void;
}

/** What a member is to the receiver; no group: only the metadata says it. */
export interface MemberKind {
  readonly group: 'missing' | 'shared' | undefined;
  readonly itemKey: string;
}

/** How members and metadata are written down. */
export interface BundleForm {
  /** Members of the kind need no entry in the metadata. */
  isTold?(kind: MemberKind): boolean;
  /** Pieces of a file that `content` is all of; undefined: it is to be written by `member`. */
  whole?(
    name: FileName,
    file: OpenFile,
    content: Uint8Array,
    kind: MemberKind,
  ): readonly Uint8Array[] | undefined;
  /** `content` gives chunks that are good until the next is asked for. */
  member(
    name: FileName,
    file: OpenFile,
    content: Iterable<Uint8Array>,
    kind: MemberKind,
  ): Iterable<Uint8Array>;
  metadata(segments: Iterable<Uint8Array>): Generator<Uint8Array>;
}

export interface FileSource {
  /** Throws where the file is there but cannot be read. */
  open(name: FileName): OpenFile | undefined;
}

export interface PackLimits {
  /** Of the compressed members together, and of their content together. */
  readonly zipBytes: number;
  readonly level: number;
  /** Absent: as stock nodes read it. */
  readonly form?: BundleForm;
  /** Content after which the rest waits for the next bundle; a larger file goes alone. */
  readonly shareBytes?: number;
}

export interface Left {
  readonly name: FileName;
  readonly kind: 'too_large' | 'no_room' | 'gone' | 'unreadable';
  readonly text: string;
}

export interface Packed {
  readonly files: number;
  readonly left: readonly Left[];
  readonly bytes: number;
}

const noRoomText = 'Maximum zip size exceeded. Not all files will be compressed during this sync.';
const unknownKind: MemberKind = { group: undefined, itemKey: '' };
/** Room for the metadata in the sum that the receiver counts. */
const largestReserveBytes = 1024 * 1024;

/** The members of `names`, each followed by a separator. Returns what was packed and what not. */
export function* packMembers(
  names: Iterable<FileName>,
  source: FileSource,
  limits: PackLimits,
): Generator<Uint8Array, Packed> {
  const packer = new Packer(source, limits);
  for (const name of names) yield* packer.add(name, unknownKind);
  return packer.packed();
}

/** The last member. `json`: the text in pieces. */
export function packMetadata(
  json: Iterable<string>,
  { level, form = stockForm(level) }: Pick<PackLimits, 'level' | 'form'>,
): Generator<Uint8Array> {
  return form.metadata(segmentsOf(json));
}

/** Zlib streams between separators (cluster-protocol.md 3.4). */
function stockForm(level: number): BundleForm {
  return {
    whole(name, { sizeBytes }, content) {
      const small = content.length === sizeBytes ? storeSmall(content) : undefined;
      return (
        small && [Buffer.concat([Buffer.from(name, 'utf8'), nameSeparator, small, fileSeparator])]
      );
    },
    *member(name, _file, content) {
      yield Buffer.concat([Buffer.from(name, 'utf8'), nameSeparator]);
      yield* deflateMember(content, level);
      yield fileSeparator;
    },
    *metadata(segments) {
      yield Buffer.from(metadataName, 'latin1');
      yield nameSeparator;
      yield* deflateMember(segments, level);
    },
  };
}

/** A whole bundle for a worker: the metadata tells what is really inside. */
export function* packChanges(
  changes: Changes,
  source: FileSource,
  limits: PackLimits,
): Generator<Uint8Array, Packed> {
  const packer = new Packer(source, limits);
  for (const group of ['shared', 'missing'] as const) {
    for (const [name, entry] of changes[group]) yield* packer.add(name, kindOf(entry, group));
  }
  const packed = packer.packed();
  yield* packMetadata(encodeChanges(untold(without(changes, packed.left), limits.form)), limits);
  return packed;
}

/** A merged blob's entry says more than a kind can. */
function kindOf({ itemKey, merge }: Entry, group: MemberKind['group']): MemberKind {
  return { itemKey, group: merge === undefined ? group : undefined };
}

/** Less what the members themselves tell. */
function untold(changes: Changes, form: BundleForm | undefined): Changes {
  const keep = (group: 'missing' | 'shared'): Manifest =>
    new Map([...changes[group]].filter(([, entry]) => !form?.isTold?.(kindOf(entry, group))));
  if (form?.isTold === undefined) return changes;
  return { ...changes, missing: keep('missing'), shared: keep('shared') };
}

/** Files of one node as they are, with the flat manifest that a worker's files come with. */
export function* packFiles(
  files: Manifest,
  source: FileSource,
  limits: PackLimits,
): Generator<Uint8Array, Packed> {
  const packed = yield* packMembers(files.keys(), source, limits);
  const { missing } = without({ missing: files, shared: new Map(), extra: new Map() }, packed.left);
  yield* packMetadata(encodeManifest(missing), limits);
  return packed;
}

/** `changes` less what was left out. Never more deletions than before, unlike stock. */
export function without(changes: Changes, left: readonly Left[]): Changes {
  if (left.length === 0) return changes;
  const names = new Set(left.map(({ name }) => name));
  const keep = (group: Manifest): Manifest =>
    new Map<FileName, Entry>([...group].filter(([name]) => !names.has(name)));
  return { ...changes, missing: keep(changes.missing), shared: keep(changes.shared) };
}

class Packer {
  readonly #source: FileSource;
  readonly #limits: PackLimits;
  readonly #contentLimit: number;
  readonly #form: BundleForm;
  readonly #shareLimit: number;
  #files = 0;
  readonly #left: Left[] = [];
  #bytes = 0;
  #contentBytes = 0;
  #isFull = false;

  constructor(source: FileSource, limits: PackLimits) {
    this.#source = source;
    this.#limits = limits;
    this.#form = limits.form ?? stockForm(limits.level);
    this.#contentLimit = limits.zipBytes - Math.min(largestReserveBytes, limits.zipBytes / 16);
    this.#shareLimit = limits.shareBytes ?? Number.POSITIVE_INFINITY;
  }

  packed(): Packed {
    return { files: this.#files, left: this.#left, bytes: this.#bytes };
  }

  /** Most files are small: they are read and closed before the first of their pieces is asked for. */
  add(name: FileName, kind: MemberKind): Iterable<Uint8Array> {
    const file = this.#open(name);
    if (file === undefined) return [];
    let isLong = false;
    try {
      if (!this.#fits(name, file)) return [];
      const first = this.#first(name, file);
      if (first === undefined) return [];
      this.#files += 1;
      this.#contentBytes += first.length;
      const whole = this.#form.whole?.(name, file, first, kind);
      isLong = whole === undefined;
      if (whole === undefined) return this.#long(name, file, first, kind);
      for (const { length } of whole) this.#bytes += length;
      return whole;
    } finally {
      if (!isLong) file.close();
    }
  }

  #open(name: FileName): OpenFile | undefined {
    if (this.#isFull) {
      this.#leave(name, 'no_room', '');
      return undefined;
    }
    try {
      const file = this.#source.open(name);
      if (file === undefined) this.#leave(name, 'gone', `${shown(name)} is gone since the scan`);
      return file;
    } catch (error) {
      return this.#unreadable(name, error);
    }
  }

  #first(name: FileName, file: OpenFile): Uint8Array | undefined {
    try {
      return file.read();
    } catch (error) {
      return this.#unreadable(name, error);
    }
  }

  #unreadable(name: FileName, error: unknown): undefined {
    const reason = error instanceof Error ? error.message : String(error);
    this.#leave(name, 'unreadable', `Exception raised: Error 3001 - ${reason}`);
  }

  /** Judged by the longest the stream can get, so that nothing sent needs to be taken back. */
  #fits(name: FileName, { sizeBytes }: OpenFile): boolean {
    const { zipBytes } = this.#limits;
    if (sizeBytes > this.#contentLimit) {
      this.#leave(name, 'too_large', `File too large to be synced: ${name}`);
      return false;
    }
    if (this.#contentBytes > 0 && this.#contentBytes + sizeBytes > this.#shareLimit) {
      this.#isFull = true;
      this.#leave(name, 'no_room', '');
      return false;
    }
    const isLight = this.#contentBytes + sizeBytes <= this.#contentLimit;
    if (isLight && this.#bytes + memberBytes(name, sizeBytes) <= zipBytes) return true;
    if (this.#files === 0) return true; // alone it may be just above: it must go some day
    this.#isFull = true;
    this.#leave(name, 'no_room', noRoomText);
    return false;
  }

  *#long(
    name: FileName,
    file: OpenFile,
    first: Uint8Array,
    kind: MemberKind,
  ): Generator<Uint8Array> {
    try {
      for (const bytes of this.#form.member(name, file, this.#content(file, first), kind)) {
        this.#bytes += bytes.length;
        yield bytes;
      }
    } finally {
      file.close();
    }
  }

  /** A file that grows while it is read stops at the limit; the next scan sees its new hash. */
  *#content(file: OpenFile, first: Uint8Array): Generator<Uint8Array, void> {
    if (first.length === 0) return;
    yield first;
    let room = this.#contentLimit - first.length;
    for (let bytes = file.read(); bytes.length > 0 && room > 0; bytes = file.read()) {
      room -= bytes.length;
      this.#contentBytes += bytes.length;
      yield bytes;
    }
  }

  #leave(name: FileName, kind: Left['kind'], text: string): void {
    this.#left.push({ name, kind, text });
  }
}

function memberBytes(name: FileName, contentBytes: number): number {
  const names = Buffer.byteLength(name) + nameSeparator.length + fileSeparator.length;
  return names + longestStream(contentBytes);
}

function* segmentsOf(pieces: Iterable<string>): Generator<Uint8Array> {
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  for (const piece of pieces) {
    for (let start = 0; start < piece.length; start += segmentBytes / 4) {
      const bytes = Buffer.from(piece.slice(start, start + segmentBytes / 4), 'latin1');
      if (waitingBytes + bytes.length > segmentBytes) {
        yield Buffer.concat(waiting);
        waiting = [];
        waitingBytes = 0;
      }
      waiting.push(bytes);
      waitingBytes += bytes.length;
    }
  }
  if (waitingBytes > 0) yield Buffer.concat(waiting);
}

/**
 * Gather small pieces into chunks of `size` bytes, each in memory of its own; with `reused` in
 * that memory, which is then good until the next chunk is asked for.
 */
export function* chunked<Result>(
  pieces: Generator<Uint8Array, Result>,
  size: number,
  reused?: Uint8Array<ArrayBuffer>,
): Generator<Uint8Array<ArrayBuffer>, Result> {
  let chunk = reused ?? new Uint8Array(size);
  let filled = 0;
  try {
    for (let next = pieces.next(); ; next = pieces.next()) {
      if (next.done === true) {
        if (filled > 0) yield chunk.subarray(0, filled);
        return next.value;
      }
      let rest = next.value;
      if (rest.length < size - filled) {
        chunk.set(rest, filled);
        filled += rest.length;
        continue;
      }
      while (rest.length > 0) {
        const part = rest.subarray(0, size - filled);
        chunk.set(part, filled);
        filled += part.length;
        rest = rest.subarray(part.length);
        if (filled < size) continue;
        yield chunk;
        chunk = reused ?? new Uint8Array(size);
        filled = 0;
      }
    }
  } finally {
    endEarly(pieces);
  }
}

/** Nobody asks any more: what the generators behind it hold is let go. */
export function endEarly(pieces: Generator<unknown, unknown> | undefined): void {
  pieces?.return(undefined);
}
