/**
 * Brings the book to disk in small steps, keeps it there for as long as configured, and goes on in
 * memory while the disk refuses. Runs beside everything else; only its writes block, each for a few
 * milliseconds.
 */
import { type Clock, sleep } from '../../clock.ts';
import { HostError } from '../../errors.ts';
import type { LoadSample } from '../board/load-history.ts';
import type { Complaints } from '../complaints.ts';
import type { AgentBook, AgentEvent, AgentRow, Unsaved } from './agent-book.ts';

/** Port: durable reports. Every method throws HostError `store_failed`. */
export interface ReportStore {
  rows(): readonly AgentRow[];
  /** How many agents report. */
  count(): number;
  /** Newest first. */
  events(agent: string, limit: number): readonly AgentEvent[];
  /** Of all agents, since `sinceMs`, the newest `limit`, newest first. */
  recent(sinceMs: number, limit: number): readonly AgentEvent[];
  /** Agents of each manager over the last day, oldest first. */
  loads(): readonly LoadSample[];
  /** One more sample; those above the cap go, the oldest first. */
  addLoads(sample: LoadSample): void;
  save(unsaved: Unsaved): void;
  /** Rows and events older than `beforeMs` go, and the oldest events above the cap. */
  trim(beforeMs: number, gone: readonly string[]): void;
  close(): void;
}

export interface ReportKeeperParts {
  readonly clock: Clock;
  readonly book: AgentBook;
  readonly store: ReportStore;
  readonly complaints: Complaints;
  readonly keepMs: number;
  /** False for an agent that was removed. */
  exists(agent: string): boolean;
}

const saveEveryMs = 250;
const retryMs = 5_000;
const trimEveryMs = 3_600_000;
/** About ten milliseconds of writing. */
const batch = 1_000;
const topic = 'reports.store';

export async function keepReports(parts: ReportKeeperParts, signal: AbortSignal): Promise<void> {
  const { clock } = parts;
  let trimmedMs = Number.NEGATIVE_INFINITY;
  while (!signal.aborted) {
    const isSaved = saveSome(parts);
    if (isSaved && clock.monotonicMs() - trimmedMs >= trimEveryMs) {
      trimmedMs = clock.monotonicMs();
      trimOld(parts);
    }
    const pauseMs = isSaved ? saveEveryMs : retryMs;
    await sleep(clock, pauseMs, signal).catch(() => undefined);
  }
  while (parts.book.unsavedCount() > 0 && saveSome(parts));
}

/** False when the disk refused; nothing is lost by that but its place on disk. */
export function saveSome({ book, store, complaints }: ReportKeeperParts): boolean {
  if (book.unsavedCount() === 0) return true;
  const unsaved = book.takeUnsaved(batch);
  try {
    store.save(unsaved);
    complaints.end(topic);
    return true;
  } catch (thrown) {
    book.putBack(unsaved);
    return complain(complaints, thrown);
  }
}

export function trimOld(parts: ReportKeeperParts): void {
  const { book, store, clock, keepMs, complaints } = parts;
  const beforeMs = clock.nowMs() - keepMs;
  const gone = book.forget(
    ({ receivedAtMs, report }) => receivedAtMs < beforeMs || !parts.exists(report.agent),
  );
  try {
    store.trim(beforeMs, gone);
  } catch (thrown) {
    complain(complaints, thrown);
  }
}

function complain(complaints: Complaints, thrown: unknown): false {
  if (!(thrown instanceof HostError)) throw thrown;
  complaints.begin(topic, thrown.message);
  return false;
}
