/**
 * Bulk bytes live outside the JavaScript heap, where V8 notices them late: some 100 MB of dead
 * buffers pile up before it looks. Whoever moves bulk counts it here, and every few megabytes the
 * young generation is collected (about a millisecond), at times all (some five): what was under way
 * while the young were collected has grown old.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

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
    this.#collect({ type: this.#collections % wholeEvery === 0 ? 'major' : 'minor' });
  }
}

function exposeCollect(): Collect {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  return typeof collect === 'function' ? (collect as Collect) : () => undefined;
}

/** One for the main thread: all its links together. */
export const bulkMemory = new BulkMemory();
