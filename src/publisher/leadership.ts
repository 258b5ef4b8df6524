/** What a running publisher knows of who writes, itself or another one. */
import type { Writer } from './writer.ts';

export interface LeaderStatus {
  readonly engine: string;
  /** Of this publisher. */
  readonly name: string;
  readonly leads: boolean;
  /** Who leads, as seen last; absent when nobody was seen. */
  readonly holder?: { readonly name: string; readonly url: string };
  /** Of the newest list known here. */
  readonly term: number;
  readonly why: string;
  readonly sinceAtMs: number;
}

export interface Leadership {
  readonly writer: Writer;
  /** Others may lead: what this one is configured to publish is published on request only. */
  readonly isShared: boolean;
  /** At this very instant. */
  leads(): boolean;
  /** Hands on what only this publisher has. */
  seed(): Promise<void>;
  /** Resolves when it is known whether anybody leads, or that this cannot be known. */
  looked(): Promise<void>;
  status(): LeaderStatus;
  /** Until `signal` aborts; then another one may sit down. */
  run(signal: AbortSignal): Promise<void>;
}
