/**
 * The work on files that must not hold up the main thread: scanning, hashing, packing, unpacking,
 * placing. The roles call this port; `host/` runs it in a thread that keeps the last scan, so full
 * manifests never cross over.
 */
import type { ApplyFault } from './apply.ts';
import type { Catalogue } from './catalogue.ts';
import type { Changes } from './manifest.ts';
import type { FileName } from './name.ts';
import type { Packed } from './pack.ts';
import type { Origin } from './place.ts';
import type { UnpackLimits } from './unpack.ts';
import type { Scan, ScanProblem } from './walk.ts';

export interface FilesSettings {
  /** Absolute; its own symlinks are resolved once, when the thread starts. */
  readonly home: string;
  readonly catalogue: Catalogue;
  /** Whom received files and folders belong to; undefined: whoever runs us. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly unpackLimits: UnpackLimits;
  readonly compressLevel: number;
  /** Where the hashes survive a restart; undefined: nowhere. */
  readonly hashCachePath: string | undefined;
}

export interface ScanReport extends Pick<Scan, 'blind' | 'hashedFiles'> {
  /** Grows by one with every scan that found something else than the one before. */
  readonly generation: number;
  readonly files: number;
  readonly problems: readonly ScanProblem[];
}

/** A worker's manifest against our last scan. */
export interface CheckReport {
  readonly generation: number;
  readonly changes: Changes;
  /** Files in the worker's manifest, by item key: what the guard compares with. */
  readonly present: ReadonlyMap<string, number>;
  readonly receivedFiles: number;
  readonly extraValid: readonly FileName[];
  readonly problems: readonly string[];
}

/** A received bundle, its content staged and waiting for `apply` or `discard`. */
export interface Unpacked {
  readonly id: number;
  readonly changes: Changes;
  readonly stagedFiles: number;
  readonly problems: readonly string[];
}

export interface ApplyReport {
  readonly placed: readonly FileName[];
  readonly removed: readonly FileName[];
  readonly faults: readonly ApplyFault[];
}

/** A bundle as a stream; `packed` resolves when the last chunk was taken. */
export interface PackStream {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly packed: Promise<Packed>;
}

export interface FileJobs {
  /** Throws where the home itself cannot be read. */
  scan(signal?: AbortSignal): Promise<ScanReport>;
  /** Our last scan as a bundle with nothing but its manifest, for the master. */
  packManifest(): PackStream;
  /** Members of `missing` and `shared`, then the metadata. */
  packChanges(changes: Changes, zipBytes: number): PackStream;
  /** A worker's bundle. Throws `FileRefusal`; the bundle stays where it is. */
  check(bundlePath: string): Promise<CheckReport>;
  /** A master's bundle; its content goes to files of our own names in `stagingFolder`. */
  unpack(bundlePath: string, stagingFolder: string): Promise<Unpacked>;
  apply(id: number, changes: Changes, origin: Origin): Promise<ApplyReport>;
  discard(id: number): Promise<void>;
  close(): Promise<void>;
}
