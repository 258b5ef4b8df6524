/** Deletions of one peer through the guard: what may go now, what is held, what to say about it. */
import type { Catalogue } from '../files/catalogue.ts';
import { acceptDeletions, judgeDeletions } from '../files/guard.ts';
import type { ScanReport } from '../files/jobs.ts';
import type { Manifest } from '../files/manifest.ts';
import type { HeldBook } from './held-book.ts';

export interface DeletionsOptions {
  readonly book: HeldBook;
  /** Name in the book: the worker, or `master` on a worker. */
  readonly peer: string;
  readonly catalogue: Catalogue;
}

export interface AllowedDeletions {
  readonly extra: Manifest;
  /** New: to be logged and told to the peer, once. */
  readonly news: string | undefined;
}

export interface DeletionOrder {
  readonly extra: Manifest;
  /** Files that the same order creates, by item key. */
  readonly created: ReadonlyMap<string, number>;
  readonly present: ReadonlyMap<string, number>;
  /** The scan that found the files to be too many; undefined where the peer scanned. */
  readonly scan: Pick<ScanReport, 'blind'> | undefined;
  readonly nowMs: number;
}

export class Deletions {
  readonly #options: DeletionsOptions;
  #reason: string | undefined;

  constructor(options: DeletionsOptions) {
    this.#options = options;
  }

  get heldFiles(): number {
    return this.#options.book.read(this.#options.peer).length;
  }

  get reason(): string | undefined {
    return this.heldFiles === 0 ? undefined : this.#reason;
  }

  /** No more deletions than are justified now. */
  judge({ extra, created, present, scan, nowMs }: DeletionOrder): AllowedDeletions {
    const { book, peer, catalogue } = this.#options;
    const before = book.read(peer);
    const held = book.takeAcceptance(peer) ? acceptDeletions(before) : before;
    const wish = { extra, present, created, scan, nowMs };
    const judged = judgeDeletions(wish, catalogue, held);
    book.write(peer, judged.held);
    this.#reason = judged.reason;
    const news = judged.isNews ? newsText(judged.held.length, judged.reason ?? '') : undefined;
    return { extra: judged.allowed, news };
  }
}

function newsText(count: number, reason: string): string {
  return (
    `${count} deletions are held: ${reason}. They are done when further complete scans agree, ` +
    'or at once after accept-deletions.'
  );
}
