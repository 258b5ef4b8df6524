/** What both roles need of the host, and how one node is set up. */
import type { Clock, Random } from '../../clock.ts';
import type { Log } from '../../log.ts';
import type { ClusterConfig } from '../config.ts';
import type { ClusterJson } from '../files/cluster-json.ts';
import type { FileJobs } from '../files/jobs.ts';
import { resumeFeature } from '../session/greeting.ts';
import type { TransferStore } from '../store-queue.ts';
import type { HeldBook } from './held-book.ts';
import type { ClusterLog } from './node-log.ts';
import type { SyncWatcher } from './sync-watcher.ts';

/** `ours`: nobody else is admitted. `any`: stock nodes too; one once seen as ours stays ours. */
export type PeerPolicy = 'ours' | 'any';

/** The role of master where it moves between our own nodes. */
export interface RoleFence {
  /** Master: its own token. Worker: the greatest that was seen; 0: none. */
  readonly token: number;
  /** Master: is it one at this very instant? Nothing is served when not. */
  holds(): boolean;
  /** A peer showed this token. */
  saw(token: number): void;
  /** Master: the keys of agents as they are now are on record. Rejects when the role is lost before. */
  keysNoted(): Promise<void>;
}

export interface NodeSettings {
  readonly config: ClusterConfig;
  /** Sent and compared byte for byte. */
  readonly version: string;
  readonly cluster: ClusterJson;
  readonly peers: PeerPolicy;
  /** Absent: the node that is configured as master is the master. */
  readonly fence?: RoleFence;
}

/** Uploads of one link on disk, under names of our own. */
export interface TransferFolder extends TransferStore {
  pathOf(transfer: number): string;
  /** Content of a finished upload; whoever asks has judged its size. */
  read(transfer: number): Promise<Buffer>;
  /** Drop one that was taken and is no longer needed. */
  drop(transfer: number): Promise<void>;
  /** A folder for the content of this upload; whoever stages makes it. */
  stagingOf(transfer: number): string;
  /** The link ended: nothing of it stays on disk but what is kept for the next one. */
  end(): Promise<void>;
  /** Nor that. */
  dropKept(): Promise<void>;
}

/** Which nodes have proved to be ours; survives restarts. */
export interface PeerBook {
  isOurs(node: string): boolean;
  remember(node: string): void;
}

/** Tells of changes below the item folders; undefined answers mean: poll. */
export interface FileWatch {
  /** Calls `changed` soon after a change, again and again until closed. */
  watch(changed: () => void): Watching;
}

export interface Watching {
  /** False: this host cannot tell of all changes; scan by the clock. */
  readonly isReliable: boolean;
  close(): void;
}

export interface NodePorts {
  readonly clock: Clock;
  readonly random: Random;
  /** Stock lines. */
  readonly log: ClusterLog;
  /** Our own structured events. */
  readonly events: Log;
  readonly jobs: FileJobs;
  readonly watch: FileWatch;
  readonly peerBook: PeerBook;
  readonly heldBook: HeldBook;
  /** A master with a store keeps the sync status of files in it. */
  readonly watcher?: SyncWatcher | undefined;
  /** One per link; `name` is a checked node name. */
  openTransfers(name: string): TransferFolder;
}

/** Bundles in the form of `own-form.ts`, which has changed: who knows an older one gets stock's. */
export const blocksFeature = 'blocks-3';

/** What our own nodes can do for each other beyond the stock protocol. */
export const ownFeatures = [
  'nudge',
  'digest',
  blocksFeature,
  'extra-valid',
  resumeFeature,
  'list',
] as const;
