/**
 * Bulk bytes live outside the JavaScript heap, where V8 notices them late: some 100 MB of dead
 * buffers pile up before it looks. Whoever moves bulk counts it here, and every few megabytes the
 * young generation is collected (about a millisecond).
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options: { readonly type: 'minor' }) => void;

const everyBytes = 6 * 1024 * 1024;

export class BulkMemory {
  #collect: Collect | undefined;
  #movedBytes = 0;

  /** `bytes` more were allocated and will soon be dead. */
  moved(bytes: number): void {
    this.#movedBytes += bytes;
    if (this.#movedBytes < everyBytes) return;
    this.#movedBytes = 0;
    this.#collect ??= exposeCollect();
    this.#collect({ type: 'minor' });
  }
}

function exposeCollect(): Collect {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  return typeof collect === 'function' ? (collect as Collect) : () => undefined;
}

/** One for the main thread: all its links together. */
export const bulkMemory = new BulkMemory();
