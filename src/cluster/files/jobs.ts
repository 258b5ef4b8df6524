/**
 * The work on files that must not hold up the main thread: scanning, hashing, packing, unpacking,
 * placing. The roles call this port; `host/` runs it in a thread that keeps the last scan, so full
 * manifests never cross over.
 */
import type { SealedChunk, SealedEnd } from '../tasks/sealed-pack.ts';
import type { ApplyFault } from './apply.ts';
import type { Catalogue } from './catalogue.ts';
import type { Changes, Order } from './manifest.ts';
import type { UnpackLimits } from './member-count.ts';
import type { FileName } from './name.ts';
import type { Packed } from './pack.ts';
import type { Origin } from './place.ts';
import type { Scan, ScanProblem } from './walk.ts';

export interface FilesSettings {
  /** Absolute; its own symlinks are resolved once, when the thread starts. */
  readonly home: string;
  readonly catalogue: Catalogue;
  /** Whom received files and folders belong to; undefined: whoever runs us. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly unpackLimits: UnpackLimits;
  readonly compressLevel: number;
  /** Seals what leaves in `sealChanges`. */
  readonly clusterKey: string;
  /** Where the hashes survive a restart; undefined: nowhere. */
  readonly hashCachePath: string | undefined;
}

export interface ScanReport extends Pick<Scan, 'blind' | 'hashedFiles'> {
  /** Grows by one with every scan that found something else than the one before. */
  readonly generation: number;
  readonly files: number;
  /** Files by item key: what the guard compares an order with. */
  readonly present: ReadonlyMap<string, number>;
  readonly problems: readonly ScanProblem[];
  /** Of all names and hashes; undefined where something could not be read. */
  readonly digest: string | undefined;
  /** Of the agents' keys; undefined: there are none. */
  readonly keysHash: string | undefined;
}

/** A worker's manifest against our last scan. */
export interface CheckReport extends Pick<Scan, 'blind'> {
  readonly generation: number;
  /** Of the names and hashes of all files to send, the agents' keys left out. */
  readonly content: string;
  readonly order: Order;
  /** Files that it creates, by item key. */
  readonly created: ReadonlyMap<string, number>;
  /** Files in the worker's manifest, by item key: what the guard compares with. */
  readonly present: ReadonlyMap<string, number>;
  readonly receivedFiles: number;
  readonly extraValid: readonly FileName[];
  readonly problems: readonly string[];
}

/**
 * A received bundle, its content staged and waiting for `apply` or `discard`. Of what is created
 * and updated only the numbers cross over: ten thousand entries cost each thread as much as
 * writing a thousand files.
 */
export interface Unpacked {
  readonly id: number;
  readonly missingFiles: number;
  readonly sharedFiles: number;
  readonly extra: Changes['extra'];
  /** Files of ours that the master asks for. */
  readonly wanted: readonly FileName[];
  /** Files that it creates, by item key. */
  readonly created: ReadonlyMap<string, number>;
  readonly stagedFiles: number;
  readonly problems: readonly string[];
}

export interface ApplyReport {
  /** Their names would cost each thread as much as making a thousand of them. */
  readonly placedFiles: number;
  readonly removed: readonly FileName[];
  readonly faults: readonly ApplyFault[];
}

/** A bundle that is sealed and written down while it is packed; it tells what is there to be sent. */
export type SealedStream = AsyncGenerator<readonly SealedChunk[], SealedEnd>;

export interface SealOrder {
  readonly order: Order;
  readonly zipBytes: number;
  /** In our own form, for our own nodes. */
  readonly isOwn: boolean;
  /** Of the upload, on every receiver. */
  readonly path: string;
  /** An open file of ours, empty, which stays open until the stream has ended. */
  readonly descriptor: number;
}

/** A bundle as a stream, about 1 MiB a chunk; it returns what was packed and what was left out. */
export type PackStream = AsyncGenerator<Uint8Array, Packed>;

export interface FileJobs {
  /** Throws where the home itself cannot be read. */
  scan(): Promise<ScanReport>;
  /** Our last scan as a bundle with nothing but its manifest, for the master. */
  packManifest(): PackStream;
  /** Members of `missing` and `shared` as they are now, then the metadata, sealed with the cluster key. */
  sealChanges(order: SealOrder): SealedStream;
  /** Files of ours that the master wants, with a flat manifest; others are left out. */
  packFiles(names: readonly FileName[]): PackStream;
  /** A worker's manifest. Throws `FileRefusal`, or `HostError` before the first scan is done. */
  check(bundlePath: string): Promise<CheckReport>;
  /**
   * A bundle with files; their content goes to files of our own names below `stagingFolder`, on
   * the disk for good when this resolves. The bundle itself is left where it is.
   */
  unpack(bundlePath: string, stagingFolder: string, origin: Origin): Promise<Unpacked>;
  /** Place and delete; `extra` holds only what the guard allowed. Ends the staging either way. */
  apply(id: number, extra: Changes['extra']): Promise<ApplyReport>;
  discard(id: number): Promise<void>;
  /** Hashes of the last scan's files of these item kinds, by name; empty before the first. */
  hashes(itemKeys: readonly string[]): Promise<Readonly<Record<string, string>>>;
  close(): Promise<void>;
}
