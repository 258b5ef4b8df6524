/** The published versions, newest last, as the publisher keeps them. */
import type { SeatBook } from '../leader/file-engine.ts';
import type { FlatForm } from '../list/flat.ts';
import type { Position } from '../list/model.ts';
import type { Content } from './content.ts';
import type { RolloutRecord } from './rollout/record.ts';

/** Why a version was signed. */
export type Reason =
  | 'first'
  | 'publish'
  | 'config'
  | 'drain'
  | 'undrain'
  | 'weight'
  | 'balance'
  | 'load'
  | 'rollback'
  | 'resign'
  | 'rollout'
  | 'roster'
  | 'leaving'
  | 'halt'
  /** Signed by somebody else, who alone knows why. */
  | 'followed';

export interface PublishedList extends Position {
  readonly issuedAtMs: number;
  readonly rootVersion: number;
  readonly reason: Reason;
  /** What the operator named: the drained id, the version rolled back to; empty otherwise. */
  readonly detail: string;
  /** `sha256:` tag of the payload. */
  readonly hash: string;
  /** Tag of the payload before it. */
  readonly prev?: string;
  /** Fingerprint of the configuration when this was signed: a later difference is news. */
  readonly source: string;
  readonly content: Content;
  /** The rollout that this version is a wave of; absent when it is for everybody. */
  readonly rollout?: RolloutRecord;
  /** As served. */
  readonly envelope: Uint8Array;
  /** The flat form as it came with a list that somebody else signed; never stored here. */
  readonly flat?: FlatForm;
}

/** An operator's word on one rollout. */
export interface RolloutMark {
  readonly id: string;
  readonly kind: 'paused' | 'resumed' | 'aborted';
  readonly who: string;
  readonly why: string;
  readonly atMs: number;
}

/** How many versions are kept; older ones go with each new one. */
export const maxHistory = 1_000;

/**
 * Port: durable history. One writer at a time wins; what is appended is on disk when it returns.
 * Every method throws HostError `store_failed` when the disk or the file fails it.
 */
export interface History {
  newest(): PublishedList | undefined;
  find(version: number): PublishedList | undefined;
  /** The newest `limit`, newest first. */
  list(limit: number): readonly PublishedList[];
  /**
   * False, and nothing written, when somebody else appended after `expectedVersion`. With a `token`
   * throws PeerError `not_leader`, and nothing is written, unless it is the newest one of the seat.
   */
  append(entry: PublishedList, expectedVersion: number | undefined, token?: number): boolean;
  /** What others made the newest version: it and nothing above it stays, whatever was here. */
  adopt(entry: PublishedList): void;
  /** The same content under another configuration: remembered without a new version. */
  noteSource(version: number, source: string): void;
  /** An operator's word on a rollout; the last one counts, but nothing undoes an abort. */
  mark(mark: RolloutMark): void;
  markOf(id: string): RolloutMark | undefined;
  /** Differs from an earlier value when another process wrote meanwhile. */
  changeMark(): number;
  close(): void;
}

/** The file also remembers who writes. */
export interface SeatedHistory extends History, SeatBook {}

/** From then on sidecars need a receipt to believe the version. */
export function listExpiresAtMs(entry: PublishedList): number {
  return entry.issuedAtMs + entry.content.validFor * 1_000;
}

/** What people and programs are told of a version. */
export function versionOf(entry: PublishedList) {
  const { version, epoch, term, reason, detail, hash, issuedAtMs } = entry;
  return { version, epoch, term, reason, detail, hash, issuedAtMs };
}
