/** What the main thread and the thread for files tell each other. */

import type {
  ApplyReport,
  CheckReport,
  ScanReport,
  SealOrder,
  Unpacked,
} from '../cluster/files/jobs.ts';
import type { Changes } from '../cluster/files/manifest.ts';
import type { FileName } from '../cluster/files/name.ts';
import type { Packed } from '../cluster/files/pack.ts';
import type { Origin } from '../cluster/files/place.ts';
import { FileRefusal } from '../cluster/files/refusal.ts';
import type { SealedChunk, SealedEnd } from '../cluster/tasks/sealed-pack.ts';
import { HostError, type ReasonName } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';

/** Every kind of job with its argument and its result. */
export interface Jobs {
  readonly scan: { readonly ask: null; readonly answer: ScanReport };
  readonly startManifest: { readonly ask: null; readonly answer: number };
  readonly startSealed: { readonly ask: SealOrder; readonly answer: number };
  readonly startFiles: { readonly ask: readonly FileName[]; readonly answer: number };
  readonly nextChunk: { readonly ask: number; readonly answer: Chunk };
  readonly nextSealed: { readonly ask: number; readonly answer: SealedPart };
  readonly stopPack: { readonly ask: number; readonly answer: null };
  readonly check: { readonly ask: string; readonly answer: CheckReport };
  readonly unpack: { readonly ask: UnpackAsk; readonly answer: Unpacked };
  readonly apply: { readonly ask: ApplyAsk; readonly answer: ApplyReport };
  readonly discard: { readonly ask: number; readonly answer: null };
  readonly hashes: {
    readonly ask: readonly string[];
    readonly answer: Readonly<Record<string, string>>;
  };
}

export type JobKind = keyof Jobs;

export type Chunk =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'end'; readonly packed: Packed };

export type SealedPart =
  | { readonly kind: 'chunks'; readonly chunks: readonly SealedChunk[] }
  | {
      readonly kind: 'end';
      readonly chunks: readonly SealedChunk[];
      readonly end: SealedEnd;
    };

export interface UnpackAsk {
  readonly bundlePath: string;
  readonly stagingFolder: string;
  readonly origin: Origin;
}

export interface ApplyAsk {
  readonly id: number;
  readonly extra: Changes['extra'];
}

export interface JobMessage {
  readonly id: number;
  readonly kind: JobKind;
  readonly ask: Jobs[JobKind]['ask'];
}

export type JobReply =
  | { readonly id: number; readonly kind: 'done'; readonly answer: Jobs[JobKind]['answer'] }
  | { readonly id: number; readonly kind: 'failed'; readonly failure: Failure };

/** An error as it crosses threads. */
export interface Failure {
  /** Set: a refusal with this stock code. */
  readonly faultCode: number | undefined;
  readonly reason: ReasonName;
  readonly text: string;
}

export function failureOf(error: unknown): Failure {
  if (error instanceof FileRefusal) {
    return { faultCode: error.fault.code, reason: error.reason, text: error.message };
  }
  const reason = error instanceof HostError ? error.reason : reasonOf(systemCodeOf(error));
  return { faultCode: undefined, reason, text: messageOf(error) };
}

function reasonOf(code: string | undefined): ReasonName {
  return code === 'ENOENT' ? 'not_found' : 'store_failed';
}

export function errorOf({ faultCode, reason, text }: Failure): Error {
  return faultCode === undefined ? new HostError(reason, text) : new FileRefusal(faultCode, text);
}
