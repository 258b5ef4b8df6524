/**
 * Port: the agent's configuration file as the applier sees it. `host/` implements it for Unix
 * (protocol of replace.ts) and Windows. A snapshot is what was read, with the identity that lets a
 * later replace notice that somebody else wrote in between.
 */

export interface ConfigSnapshot {
  readonly bytes: Uint8Array;
  /** `sha256:` tag of the bytes. */
  readonly hash: string;
  /** Opaque word for device, inode, size and times; equal means untouched. */
  readonly identity: string;
  /** Where the system knows such things (Unix). */
  readonly owner?: FileOwner;
}

/** Who may touch the file: enough to make it anew when somebody removed it. */
export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits, `0o660`. */
  readonly mode: number;
}

export interface Replacement {
  /** `renamed` is the normal way; `in_place` where the file is a mount point of its own. */
  readonly kind: 'renamed' | 'in_place';
  readonly notes: readonly string[];
}

export interface ConfigFile {
  /** Finishes or undoes what a crash left behind (journal, orphans). Call once before the first read. */
  recover(): Promise<readonly string[]>;
  /** Throws AgentError `not_regular` or `not_found`, HostError `write_failed` when unreadable. */
  read(): Promise<ConfigSnapshot>;
  /**
   * Puts `bytes` in place of `before` so that any crash leaves one of the two, whole. Keeps
   * `before` as newest backup generation first. Throws AgentError `changed_meanwhile` when the
   * file is no longer `before`, HostError `write_failed` when the disk refuses; nothing changed then.
   */
  replace(before: ConfigSnapshot, bytes: Uint8Array): Promise<Replacement>;
  /**
   * Makes the missing file anew, whole or not at all. Without an `owner` it gets the group of its
   * directory and 0660, as packages leave it. Throws AgentError `changed_meanwhile` when it is there.
   */
  create(bytes: Uint8Array, owner: FileOwner | undefined): Promise<Replacement>;
}

/** Port: earlier contents, newest first, outside the agent's own directory. */
export interface BackupStore {
  /** Durable when it resolves; keeps the newest three and, until it is put back, the original. */
  keep(bytes: Uint8Array): Promise<void>;
  /** `1` is the newest. Throws HostError `not_found`. */
  read(generation: number): Promise<Uint8Array>;
  /** What stood there before our first write, or undefined. */
  readOriginal(): Promise<Uint8Array | undefined>;
  /** It was put back: what stands there at our next write is the operator's, and the original then. */
  forgetOriginal(): Promise<void>;
}
