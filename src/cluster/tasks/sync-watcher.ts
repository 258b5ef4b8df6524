/** Whoever keeps the sync status of files is told what scans and checks find. Must not throw. */
import type { ScanReport } from '../files/jobs.ts';
import type { Order } from '../files/manifest.ts';

export interface NodeCheck {
  /** Of the master's scan that the node was compared with. */
  readonly generation: number;
  /** What the node must change; undefined: nothing. */
  readonly order: Order | undefined;
  /** How many files the node has. */
  readonly files: number;
}

export interface SyncWatcher {
  /** Our own files were scanned. */
  scanned(report: ScanReport): void;
  checked(node: string, check: NodeCheck): void;
  /** The node could not put files in place, and says why. */
  failed(node: string, reason: string): void;
}
