/**
 * When a worker shows its files to the master (cluster-protocol.md 4.3): when connected, then
 * towards a stock master by the clock; towards our own when told, when a local file changed, after
 * files were put in place, and seldom by the clock.
 */
import { type Cancel, type Clock, sleep } from '../../clock.ts';
import { messageOf } from '../../guards.ts';
import type { FileJobs } from '../files/jobs.ts';
import type { Link } from '../link.ts';
import type { LocalIntegrity } from '../tasks/local-integrity.ts';
import { type NodeLog, seconds } from '../tasks/node-log.ts';
import { manifestKind, type SendingTasks } from '../tasks/sending.ts';
import { expectOk, sendFile } from '../upload.ts';
import { fault } from '../wire/fault.ts';
import type { UpdateReceiver } from './update-receiver.ts';

export interface LoopRules {
  /** Between two checks towards a stock master, and after a failure. */
  readonly everyMs: number;
  /** Between two checks towards our own master when nothing happens. */
  readonly auditMs: number;
  /** Before permission is asked again. */
  readonly retryMs: number;
}

export interface IntegrityLoopParts {
  readonly link: Link;
  readonly clock: Clock;
  readonly jobs: FileJobs;
  readonly local: LocalIntegrity;
  readonly sending: SendingTasks;
  readonly update: UpdateReceiver;
  readonly log: NodeLog;
  readonly rules: LoopRules;
  /** The master told that it is one of ours and nudges. */
  readonly isNudged: boolean;
  /** It knows the digest of its own files, and ours may be the same. */
  readonly showsDigest: boolean;
  /** It said that all is well, to a digest. */
  same(): void;
  /** Path of an upload on the master, of our own choice. */
  uploadPath(): string;
}

/** Packing a large bundle does not hold up the answer: it starts with the first chunk. */
const answerMs = 60_000;

export class IntegrityLoop {
  readonly #parts: IntegrityLoopParts;
  #sentGeneration: number | undefined;
  #wake: AbortController | undefined;
  #answered: AbortController | undefined;
  #isWanted = true;
  /** Asked again soon: the last scan will do. */
  #wasDenied = false;
  #startedMs: number | undefined;
  /** The master has begun the check that is open: what it says from here on can be the answer. */
  #isShown = false;
  #settling: Cancel | undefined;
  #hasEnded = false;

  constructor(parts: IntegrityLoopParts) {
    this.#parts = parts;
  }

  /** Until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { rules, isNudged } = this.#parts;
    try {
      while (!signal.aborted) {
        if (!this.#isWanted) await this.#pause(isNudged ? rules.auditMs : rules.everyMs, signal);
        await this.#parts.update.settled();
        this.#isWanted = false;
        const outcome = await this.#round(signal);
        this.#wasDenied = outcome === 'denied';
        if (outcome === 'asked' && isNudged) await this.#answer(signal);
        if (outcome === 'asked' || outcome === 'same' || !isNudged) continue;
        if (outcome === 'denied') await this.#pause(rules.retryMs, signal);
        else await sleep(this.#parts.clock, rules.everyMs, signal);
        this.#isWanted = true;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#hasEnded = true;
      this.#settling?.();
    }
  }

  /** Files are shown soon, whatever happens. */
  get isSettling(): boolean {
    return this.#settling !== undefined;
  }

  /** Our own master says that something changed, or that all is well: true. */
  told(): boolean {
    const isAnswer = this.#isShown && this.#finish('Sync not required.');
    if (!isAnswer) this.want();
    return isAnswer;
  }

  /** The master answers the check with files. */
  updating(): void {
    this.#finish('Sync required.');
  }

  /** The master could not finish the check: another one soon. */
  failed(): void {
    if (this.#isShown && this.#finish('The master failed.')) this.settle(this.#parts.rules.everyMs);
  }

  /** A local scan found other files than those last shown. */
  scanned(generation: number): void {
    if (this.#settling !== undefined) return;
    if (this.#parts.isNudged && generation !== this.#sentGeneration) this.want();
  }

  /** Files were put in place: what scans see now is that; show it once, after `delayMs`. */
  settle(delayMs: number): void {
    this.#settling?.();
    if (this.#hasEnded) return; // an update may end after the link: nobody is left to be shown anything
    this.#settling = this.#parts.clock.after(delayMs, () => {
      this.#settling = undefined;
      this.#wasDenied = false; // the last scan will not do: it was before
      this.want();
    });
  }

  want(): void {
    this.#isWanted = true;
    this.#wake?.abort();
  }

  /** True: a check of ours was open, and ends by this. */
  #finish(how: string): boolean {
    const startedMs = this.#startedMs;
    this.#startedMs = undefined;
    this.#isShown = false;
    this.#answered?.abort();
    if (startedMs === undefined) return false;
    const tookMs = this.#parts.clock.monotonicMs() - startedMs;
    this.#parts.log.info(`Finished in ${seconds(tookMs)}s. ${how}`);
    return true;
  }

  /** Wait for what the master makes of the check, for a while; a stock worker just asks again. */
  async #answer(signal: AbortSignal): Promise<void> {
    if (this.#startedMs === undefined) return;
    this.#answered = new AbortController();
    const either = AbortSignal.any([signal, this.#answered.signal]);
    await sleep(this.#parts.clock, answerMs, either).catch(() => undefined);
    this.#answered = undefined;
    signal.throwIfAborted();
  }

  /** Sleeps until woken, `delayMs` at most. Rejects only when `signal` aborts. */
  async #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    const wake = new AbortController();
    this.#wake = wake;
    const either = AbortSignal.any([signal, wake.signal]);
    await sleep(this.#parts.clock, delayMs, either).catch(() => undefined);
    this.#wake = undefined;
    signal.throwIfAborted();
  }

  async #round(signal: AbortSignal): Promise<'asked' | 'same' | 'denied' | 'failed'> {
    const permission = await this.#mayCheck(signal);
    if (permission !== 'asked') return permission;
    const { log, clock } = this.#parts;
    log.info('Starting.');
    this.#startedMs = clock.monotonicMs();
    this.#isShown = false;
    try {
      await this.#check(signal);
      return 'asked';
    } catch (error) {
      this.#startedMs = undefined;
      if (signal.aborted) throw error;
      log.error(`Error synchronizing integrity: ${messageOf(error)}`);
      await this.#report(error);
      return 'failed';
    }
  }

  async #mayCheck(signal: AbortSignal): Promise<'asked' | 'same' | 'denied'> {
    const { link, log } = this.#parts;
    try {
      const digest = await this.#digest();
      const answer = await link.request('mayCheckIntegrity', digest, { signal });
      const text = expectOk(answer, 'permission').toString('latin1').slice(0, 64);
      if (text === 'True') {
        log.debug('Permission to synchronize granted.');
        return 'asked';
      }
      if (digest !== undefined && text === 'Same') {
        log.info('Starting.');
        log.info('Finished in 0.000s. Sync not required.');
        this.#parts.same();
        return 'same';
      }
      log.debug(`Master didn't grant permission to start a new synchronization: b'${text}'`);
    } catch (error) {
      if (signal.aborted) throw error;
      log.error(`Error asking for permission: ${messageOf(error)}`);
    }
    return 'denied';
  }

  /** Of a scan that is new; undefined where the master would not know what it is. */
  async #digest(): Promise<string | undefined> {
    const { local, showsDigest } = this.#parts;
    if (!showsDigest) return undefined;
    if (!this.#wasDenied) await local.refresh();
    this.#isWanted = false; // whoever wanted a check until now gets this one
    this.#sentGeneration = local.report?.generation;
    return local.report?.digest;
  }

  async #check(signal: AbortSignal): Promise<void> {
    const { link, clock, jobs, local, sending, log, showsDigest, uploadPath } = this.#parts;
    if (!showsDigest) await local.refresh();
    const { report } = local;
    if (report === undefined) throw new Error('the local files cannot be read');
    this.#sentGeneration = report.generation;
    log.debug(`Compressing 'files_metadata.json' of ${report.files} files.`);
    const trip = await sending.run(link, manifestKind, clock, async (cancelled, progress) => {
      this.#isShown = true;
      log.debug('Sending zip file.');
      const path = uploadPath();
      const either = AbortSignal.any([cancelled, signal]);
      const counted = count(jobs.packManifest(), progress);
      const { sentBytes } = await sendFile(link, path, counted, { signal: either });
      return { path, sentBytes };
    });
    if (!trip.isInterrupted) log.debug('Zip file sent.');
  }

  async #report(error: unknown): Promise<void> {
    const { link } = this.#parts;
    if (!link.isOpen) return;
    const value = { taskId: undefined, fault: fault(1000, messageOf(error).slice(0, 256)) };
    await link.request('integrityFailed', value).catch(() => undefined);
  }
}

async function* count(
  chunks: AsyncIterable<Uint8Array>,
  progress: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of chunks) {
    yield chunk;
    bytes += chunk.length;
    progress(bytes);
  }
}
