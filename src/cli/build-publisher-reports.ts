/** The reports of a running publisher put together: keys, book, disk, desk. */
import { resolve } from 'node:path';
import { HostError } from '../errors.ts';
import { buildKeyRingFile, type KeyRingFile } from '../host/key-ring-file.ts';
import { openReports } from '../host/report-database.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import type { Complaints } from '../publisher/complaints.ts';
import {
  type AgentBook,
  type AgentEvent,
  buildAgentBook,
} from '../publisher/reports/agent-book.ts';
import {
  buildReportDesk,
  type IncomingReport,
  type ReportDesk,
} from '../publisher/reports/report-desk.ts';
import { keepReports, type ReportStore } from '../publisher/reports/report-keeper.ts';
import type { PublisherConfig } from './publisher-config.ts';

export interface ReportOffice {
  readonly book: AgentBook;
  readonly desk: ReportDesk;
  /** Absent while reports are kept in memory only. */
  readonly past?: Pick<ReportStore, 'events' | 'recent' | 'loads' | 'addLoads'>;
  /** Until `signal` aborts; then everything is written and closed. */
  run(signal: AbortSignal): Promise<void>;
}

/** Undefined where no reports are taken. */
export async function openReportOffice(
  path: string,
  config: PublisherConfig,
  complaints: Complaints,
  onEvent?: (event: AgentEvent) => void,
  onTaken?: (report: IncomingReport) => void,
): Promise<ReportOffice | undefined> {
  const { reports, org, files } = config;
  if (!reports.enabled) return undefined;
  const store = openStore(resolve(path, files.reports), complaints);
  const keys = buildKeyRingFile(resolve(path, reports.keys), clock, complaints);
  await keys.look();
  const book = buildAgentBook(store?.rows() ?? [], onEvent);
  const desk = buildReportDesk({
    org,
    keys,
    book,
    maxPerSecond: reports.maxPerSecond,
    everySec: Math.round(reports.interval / 1_000),
    ...(onTaken === undefined ? {} : { onTaken }),
  });
  return {
    book,
    desk,
    ...(store === undefined ? {} : { past: store }),
    run: (signal) => runReports({ keys, book, store, complaints, keepMs: reports.keep }, signal),
  };
}

/** Reports are worth less than the list: a damaged file is told, and they stay in memory. */
function openStore(path: string, complaints: Complaints): ReportStore | undefined {
  try {
    return openReports(path);
  } catch (thrown) {
    if (!(thrown instanceof HostError)) throw thrown;
    complaints.begin('reports.store', `${thrown.message}; reports are kept in memory only`);
    return undefined;
  }
}

interface Running {
  readonly keys: KeyRingFile;
  readonly book: AgentBook;
  readonly store: ReportStore | undefined;
  readonly complaints: Complaints;
  readonly keepMs: number;
}

async function runReports(running: Running, signal: AbortSignal): Promise<void> {
  const { keys, store } = running;
  if (store === undefined) return keys.run(signal);
  // While no keys can be read nobody is taken for removed.
  const exists = (agent: string): boolean => keys.size() === 0 || keys.keyOf(agent) !== undefined;
  try {
    await Promise.all([
      keys.run(signal),
      keepReports({ ...running, store, clock, exists }, signal),
    ]);
  } finally {
    store.close();
  }
}
