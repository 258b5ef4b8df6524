/**
 * What this node's files are, computed once and shared by everything that asks: when a change is
 * told, when somebody wants it fresh, and by the clock (cluster-protocol.md 4.2). One scan runs at
 * a time; whoever asks during one gets the next.
 */
import type { Cancel, Clock } from '../../clock.ts';
import { sleep } from '../../clock.ts';
import { messageOf } from '../../guards.ts';
import type { FileJobs, ScanReport } from '../files/jobs.ts';
import { type NodeLog, seconds } from './node-log.ts';
import type { FileWatch, Watching } from './node-ports.ts';

export interface LocalIntegrityOptions {
  readonly clock: Clock;
  readonly jobs: FileJobs;
  readonly watch: FileWatch;
  readonly log: NodeLog;
  /** Workers say nothing of scans that found no problem. */
  readonly isQuiet?: boolean;
  /** Scan by the clock where changes are not told, and where they are. */
  readonly everyMs: number;
  readonly auditMs: number;
  /** Changes within this time are one. */
  readonly settleMs: number;
  /** Somebody will ask for a scan soon whatever happens: changes told now need none of their own. */
  isAwaited?(): boolean;
  /** After every scan that finished. */
  onScan(report: ScanReport): void;
}

/** A scan that failed is tried again after this. */
const failedMs = 2_000;

export class LocalIntegrity {
  readonly #options: LocalIntegrityOptions;
  #report: ScanReport | undefined;
  #hasFailed = false;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #timer: Cancel | undefined;
  #watching: Watching | undefined;
  #signal: AbortSignal | undefined;

  constructor(options: LocalIntegrityOptions) {
    this.#options = options;
  }

  /** The newest finished scan; undefined before the first. */
  get report(): ScanReport | undefined {
    return this.#report;
  }

  /** Scan now and again until `signal` aborts; resolves then. */
  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    this.#watching = this.#options.watch.watch(() => this.#changed());
    try {
      while (!signal.aborted) {
        await this.refresh();
        const { everyMs, auditMs, clock } = this.#options;
        const isTold = this.#watching.isReliable && this.#report?.blind.length === 0;
        const pauseMs = this.#hasFailed ? Math.min(everyMs, failedMs) : everyMs;
        await sleep(clock, isTold && !this.#hasFailed ? auditMs : pauseMs, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#timer?.();
      this.#watching.close();
      await this.#running;
    }
  }

  /** Resolves after a scan that began after this call; never rejects. */
  refresh(): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#scan().finally(() => {
        this.#running = undefined;
      });
      return this.#running;
    }
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return this.refresh();
    });
    return this.#next;
  }

  #changed(): void {
    if (this.#timer !== undefined || this.#signal?.aborted !== false) return;
    this.#timer = this.#options.clock.after(this.#options.settleMs, () => {
      this.#timer = undefined;
      if (this.#options.isAwaited?.() !== true) void this.refresh();
    });
  }

  async #scan(): Promise<void> {
    if (this.#signal?.aborted === true) return;
    const { clock, jobs, log, onScan } = this.#options;
    const startedMs = clock.monotonicMs();
    if (this.#options.isQuiet !== true) log.info('Starting.');
    try {
      const report = await jobs.scan();
      this.#report = report;
      this.#hasFailed = false;
      this.#tell(report, clock.monotonicMs() - startedMs);
      onScan(report);
    } catch (error) {
      this.#hasFailed = true;
      log.error(`Error calculating local file integrity: ${messageOf(error)}`);
    }
  }

  #tell(report: ScanReport, tookMs: number): void {
    const { log } = this.#options;
    for (const { level, folder, text } of report.problems) log[level](`{'${folder}': ["${text}"]}`);
    if (this.#options.isQuiet === true) return;
    log.info(`Finished in ${seconds(tookMs)}s. Calculated metadata of ${report.files} files.`);
  }
}
