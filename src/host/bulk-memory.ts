/**
 * Bulk bytes live outside the JavaScript heap, where V8 notices them late: some 100 MB of dead
 * buffers pile up before it looks. Whoever moves bulk counts it here, and every few megabytes the
 * young generation is collected (about a millisecond). What was under way meanwhile has grown old: in
 * a thread, whose heap is small, all are collected at times (some five milliseconds). Never so in the
 * main thread: what a publisher knows of its agents is much, and everything else would wait.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';

type Collect = (options: { readonly type: 'minor' | 'major' }) => void;

const everyBytes = 6 * 1024 * 1024;
/** Among so many collections one is of all. */
const wholeEvery = 8;

export class BulkMemory {
  #collect: Collect | undefined;
  #movedBytes = 0;
  #collections = 0;

  /** `bytes` more were allocated and will soon be dead. */
  moved(bytes: number): void {
    this.#movedBytes += bytes;
    if (this.#movedBytes < everyBytes) return;
    this.#movedBytes = 0;
    this.#collect ??= exposeCollect();
    this.#collections += 1;
    const isWhole = !isMainThread && this.#collections % wholeEvery === 0;
    this.#collect({ type: isWhole ? 'major' : 'minor' });
  }
}

function exposeCollect(): Collect {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  return typeof collect === 'function' ? (collect as Collect) : () => undefined;
}

/** One for each thread: all its links, or all its packs, together. */
export const bulkMemory = new BulkMemory();
