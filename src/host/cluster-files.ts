/**
 * The jobs on files, run in one thread of their own. A thread that dies takes its jobs with it and
 * is started anew with the next one; it then has to scan before anything can be compared.
 */
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import type {
  FileJobs,
  FilesSettings,
  PackStream,
  SealedStream,
  SealOrder,
} from '../cluster/files/jobs.ts';
import type { Changes } from '../cluster/files/manifest.ts';
import type { FileName } from '../cluster/files/name.ts';
import type { Origin } from '../cluster/files/place.ts';
import { HostError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { errorOf, type JobKind, type JobReply, type Jobs } from './cluster-files-messages.ts';
import { programAsset } from './program-asset.ts';

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Ten thousand files need some 20 MB of heap. A new thread's is not collected as a whole before it
 * has grown above this (MB): while it only grows, that finds nothing, at a twentieth of the cost of
 * receiving them.
 */
const growthFlag = '--initial-old-space-size=48';
/** Young objects die soon here: a small nursery keeps the thread's memory low. */
const resourceLimits = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 1024 };

/** Chunks asked for ahead, so that packing and sending overlap. */
const chunksAhead = 4;

export class ClusterFiles implements FileJobs {
  readonly #settings: FilesSettings;
  readonly #threadUrl: URL;
  readonly #waiting = new Map<number, Waiting>();
  #thread: Worker | undefined;
  #generation = 0;
  #lastId = 0;

  /** `threadUrl`: the thread's file where it is not next to this one (a bundled program). */
  constructor(settings: FilesSettings, threadUrl = threadBeside(import.meta.url)) {
    this.#settings = settings;
    this.#threadUrl = threadUrl;
  }

  async scan(): ReturnType<FileJobs['scan']> {
    const report = await this.#ask('scan', null);
    this.#generation = report.generation;
    return report;
  }

  packManifest(): PackStream {
    return this.#stream(() => this.#ask('startManifest', null));
  }

  async *sealChanges(order: SealOrder): SealedStream {
    const id = await this.#ask('startSealed', order);
    const thread = this.#thread;
    try {
      let next = this.#quiet(this.#ask('nextSealed', id));
      for (let part = await next; ; part = await next) {
        if (part.kind === 'chunks') next = this.#quiet(this.#ask('nextSealed', id));
        yield part.chunks;
        if (part.kind === 'end') return part.end;
      }
    } finally {
      await this.#stop(id, thread);
    }
  }

  packFiles(names: readonly FileName[]): PackStream {
    return this.#stream(() => this.#ask('startFiles', names));
  }

  check(bundlePath: string): ReturnType<FileJobs['check']> {
    return this.#ask('check', bundlePath);
  }

  unpack(
    bundlePath: string,
    stagingFolder: string,
    origin: Origin,
  ): ReturnType<FileJobs['unpack']> {
    return this.#ask('unpack', { bundlePath, stagingFolder, origin });
  }

  apply(id: number, extra: Changes['extra']): ReturnType<FileJobs['apply']> {
    return this.#ask('apply', { id, extra });
  }

  async discard(id: number): Promise<void> {
    await this.#ask('discard', id);
  }

  hashes(itemKeys: readonly string[]): ReturnType<FileJobs['hashes']> {
    return this.#ask('hashes', itemKeys);
  }

  /**
   * What is under way fails once the thread is gone, not before: until then it may write into the
   * file of a bundle by its descriptor, which must not mean another file by then.
   */
  async close(): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    const waiting = this.#takeWaiting();
    await thread?.terminate();
    const error = new HostError('store_failed', 'the thread for files was closed');
    for (const { reject } of waiting) reject(error);
  }

  /** Two chunks under way at most; a reader that stops early stops the packing. */
  async *#stream(start: () => Promise<number>): PackStream {
    const id = await start();
    const thread = this.#thread;
    const ahead = Array.from({ length: chunksAhead }, () => this.#chunk(id));
    try {
      for (;;) {
        const chunk = await ahead.shift();
        if (chunk === undefined) throw new HostError('store_failed', 'the bundle has no end');
        if (chunk.kind === 'end') return chunk.packed;
        ahead.push(this.#chunk(id));
        yield chunk.bytes;
      }
    } finally {
      await this.#stop(id, thread);
    }
  }

  /** A thread that is gone has taken its packs with it. */
  async #stop(id: number, thread: Worker | undefined): Promise<void> {
    if (thread !== undefined && this.#thread === thread) await this.#ask('stopPack', id);
  }

  #chunk(id: number): Promise<Jobs['nextChunk']['answer']> {
    return this.#quiet(this.#ask('nextChunk', id));
  }

  /** Asked ahead: looked at when its turn comes, if it comes. */
  #quiet<Value>(ahead: Promise<Value>): Promise<Value> {
    ahead.catch(() => undefined);
    return ahead;
  }

  #ask<Kind extends JobKind>(kind: Kind, ask: Jobs[Kind]['ask']): Promise<Jobs[Kind]['answer']> {
    this.#thread ??= this.#startThread();
    const thread = this.#thread;
    this.#lastId += 1;
    const id = this.#lastId;
    thread.ref(); // a job under way keeps the process alive, an idle thread does not
    return new Promise<Jobs[Kind]['answer']>((resolve, reject) => {
      const take = (answer: unknown): void => resolve(answer as Jobs[Kind]['answer']);
      this.#waiting.set(id, { resolve: take, reject });
      thread.postMessage({ id, kind, ask });
    });
  }

  #startThread(): Worker {
    const workerData = { settings: this.#settings, generation: this.#generation };
    const carried = programAsset('cluster-files-thread.cjs');
    setFlagsFromString(growthFlag); // for threads that are started from now on
    const options = { workerData, resourceLimits, eval: carried !== undefined };
    const thread = new Worker(carried ?? this.#threadUrl, options);
    thread.on('message', (reply: JobReply) => this.#settle(reply));
    thread.on('error', (error) => this.#died(thread, messageOf(error)));
    thread.on('exit', (code) => this.#died(thread, `it ended with ${code}`));
    return thread;
  }

  #settle(reply: JobReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (this.#waiting.size === 0) this.#thread?.unref();
    if (reply.kind === 'done') waiting?.resolve(reply.answer);
    else waiting?.reject(errorOf(reply.failure));
  }

  #died(thread: Worker, reason: string): void {
    if (this.#thread !== thread) return;
    this.#thread = undefined;
    const error = new HostError('store_failed', `the thread for files died: ${reason}`);
    for (const { reject } of this.#takeWaiting()) reject(error);
  }

  #takeWaiting(): readonly Waiting[] {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    return waiting;
  }
}

/** The thread's file: a source beside this source, a bundle beside the bundle this is part of. */
function threadBeside(url: string): URL {
  return new URL(`./cluster-files-thread.${url.endsWith('.ts') ? 'ts' : 'cjs'}`, url);
}
