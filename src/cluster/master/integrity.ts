/**
 * The integrity of one worker as its master keeps it: permission, lock, check, synchronisation
 * (cluster-protocol.md 4.3). The link carries, the jobs do the file work.
 */
import { messageOf } from '../../guards.ts';
import type { CheckReport } from '../files/jobs.ts';
import type { Order } from '../files/manifest.ts';
import { resumeFeature } from '../session/greeting.ts';
import type { PeerKind, Reply } from '../session/output.ts';
import { Deletions } from '../tasks/deletions.ts';
import { type NodeLog, seconds } from '../tasks/node-log.ts';
import { blocksFeature, type TransferFolder } from '../tasks/node-ports.ts';
import { IntegrityPermission } from '../tasks/permission.ts';
import type { ReceivedFile, ReceivingTasks } from '../tasks/receiving.ts';
import { type SendingTasks, updateKind } from '../tasks/sending.ts';
import type { ServedPeer, Service } from '../tasks/services.ts';
import type { NodeCheck } from '../tasks/sync-watcher.ts';
import { ZipBudget } from '../tasks/zip-budget.ts';
import { fault, faultText } from '../wire/fault.ts';
import type { TaskFault } from '../wire/payload-transfer.ts';
import { contentOf, splitKeys } from './client-keys.ts';
import type { MasterDesk } from './desk.ts';
import { ReadAgain } from './read-again.ts';
import { Wishes } from './wishes.ts';
import { noSpan, type Span, type WorkerStatus } from './worker-status.ts';

/** What integrity needs of a worker. */
export interface IntegrityPeer extends ServedPeer {
  readonly name: string;
  readonly transfers: TransferFolder;
  readonly receiving: ReceivingTasks;
  readonly sending: SendingTasks;
  readonly connectedAtMs: number;
  readonly peer: PeerKind | undefined;
  /** What both ends can do beyond the stock protocol. */
  readonly features: ReadonlySet<string>;
}

/** The part of a master that keeps the files of its workers like its own. */
export const masterIntegrity: Service<IntegrityPeer & { readonly integrity: RemoteIntegrity }> = {
  handlers: {
    mayCheckIntegrity: ({ value }, worker) => worker.integrity.mayCheck(value),
    integrityStart: (_asked, worker) => worker.integrity.start(),
    integritySent: ({ value }, worker) =>
      told(worker.receiving.sent(value, worker.link), worker.log),
    integrityFailed: ({ value }, worker) => worker.integrity.peerFailed(value),
  },
};

/** Lines in the log about files that a bundle had to leave out. */
const mostLeftTold = 20;

/** Instead of `True` or `False`, only to a worker that showed a digest. */
export const sameAnswer = 'Same';

type IntegrityStatus = Pick<
  WorkerStatus,
  'isIntegrityFree' | 'lastCheck' | 'lastSync' | 'behindSinceMs' | 'heldDeletions' | 'heldReason'
>;

export class RemoteIntegrity {
  readonly #worker: IntegrityPeer;
  readonly #desk: MasterDesk;
  readonly #log: NodeLog;
  readonly #permission: IntegrityPermission;
  readonly #deletions: Deletions;
  readonly #zip: ZipBudget;
  readonly #wishes = new Wishes();
  readonly #readAgain: ReadAgain;
  #lastCheck: Span = noSpan;
  #lastSync: WorkerStatus['lastSync'] = { ...noSpan, missing: 0, shared: 0, extra: 0 };
  #inStepWith: number | undefined;
  #changedDuringCheck = false;
  /** The worker heard what becomes of its check, or hears it with an update. */
  #isAnswered = false;

  constructor(worker: IntegrityPeer, desk: MasterDesk) {
    const { intervals, communication, catalogue } = desk.settings.cluster;
    this.#worker = worker;
    this.#desk = desk;
    this.#log = worker.log;
    const maxLockedMs = intervals.master.max_locked_integrity_time * 1000;
    this.#permission = new IntegrityPermission({ maxLockedMs });
    this.#deletions = new Deletions({ book: desk.ports.heldBook, peer: worker.name, catalogue });
    this.#zip = new ZipBudget(communication);
    this.#readAgain = new ReadAgain(desk.ports.clock, () => this.nudge());
  }

  get hasHeldDeletions(): boolean {
    return this.#deletions.heldFiles > 0;
  }

  status(): IntegrityStatus {
    const generation = this.#desk.local.report?.generation;
    const isInStep = generation !== undefined && this.#inStepWith === generation;
    const { connectedAtMs } = this.#worker;
    return {
      isIntegrityFree: this.#permission.isFree,
      lastCheck: this.#lastCheck,
      lastSync: this.#lastSync,
      behindSinceMs: isInStep ? undefined : Math.max(connectedAtMs, this.#desk.changedAtMs()),
      heldDeletions: this.#deletions.heldFiles,
      heldReason: this.#deletions.reason,
    };
  }

  /** The newest scan differs: our own workers are told at once to check. */
  nudge(): void {
    const { features, link } = this.#worker;
    if (!features.has('nudge') || !link.isOpen) return;
    if (!this.#permission.isFree) {
      this.#changedDuringCheck = true;
      return;
    }
    link.request('integrityUnchanged', undefined).catch(() => undefined);
  }

  /** The link ended. */
  end(): void {
    this.#readAgain.end();
  }

  /** The answer to `mayCheckIntegrity`. */
  mayCheck(digest: string | undefined): Reply {
    const { local, ports, settings } = this.#desk;
    if (this.#isSame(digest)) return { kind: 'ok', payload: sameAnswer };
    const { isGranted, isReleased } = this.#permission.ask({
      isScanned: local.report !== undefined,
      round: this.#desk.round(),
      isOncePerRound: this.#worker.peer !== 'ours',
      nowMs: ports.clock.monotonicMs(),
    });
    const lockedS = settings.cluster.intervals.master.max_locked_integrity_time;
    if (isReleased) {
      this.#log.warning(
        "Automatically releasing Integrity check permissions flag (b'syn_i_w_m_p') after being " +
          `locked out for more than ${lockedS}s.`,
      );
    }
    return { kind: 'ok', payload: isGranted ? 'True' : 'False' };
  }

  /** A worker of ours that shows the digest of our own files is in step, without a manifest. */
  #isSame(digest: string | undefined): boolean {
    const { report } = this.#desk.local;
    if (digest === undefined || report?.digest !== digest) return false;
    if (!this.#permission.isFree || this.hasHeldDeletions) return false;
    const { clock } = this.#desk.ports;
    if (!this.#permission.spend(clock.monotonicMs())) return false;
    const atMs = clock.nowMs();
    this.#lastCheck = { startAtMs: atMs, endAtMs: atMs };
    this.#inStepWith = report.generation;
    this.#noteCheck({ generation: report.generation, order: undefined, files: report.files });
    const log = this.#log.at('Integrity check');
    log.info('Starting.');
    log.info(`Finished in 0.000s. Received digest of ${report.files} files. Sync not required.`);
    return true;
  }

  /** The answer to `integrityStart`. */
  start(): Reply {
    const { local, ports } = this.#desk;
    const nowMs = ports.clock.monotonicMs();
    if (local.report === undefined || !this.#permission.lock(nowMs)) {
      const why =
        local.report === undefined ? 'no local scan yet' : 'a check is under way, or too many';
      return { kind: 'fault', fault: fault(1000, `Permission not granted: ${why}`) };
    }
    const task = this.#worker.receiving.start();
    if (task === undefined) {
      this.#permission.release();
      return { kind: 'fault', fault: fault(1000, 'too many tasks are open') };
    }
    void this.#check(task.file, nowMs);
    return { kind: 'ok', payload: task.id };
  }

  /** The worker gives up, or reports what it could not do. */
  peerFailed(value: TaskFault): Reply {
    if (!this.#worker.receiving.failed(value)) {
      this.#log.error(`Error in synchronization process: ${faultText(value.fault)}`);
      this.#inStepWith = undefined; // the lock is the check's, which ends by itself
    }
    this.#desk.ports.watcher?.failed(this.#worker.name, faultText(value.fault));
    return { kind: 'ok', payload: 'Error received' };
  }

  #noteCheck(check: NodeCheck): void {
    this.#desk.ports.watcher?.checked(this.#worker.name, check);
  }

  /** Never rejects: whatever happens, the lock is released and said. */
  async #check(file: Promise<ReceivedFile>, lockedAtMs: number): Promise<void> {
    const log = this.#log.at('Integrity check');
    log.info('Starting.');
    this.#changedDuringCheck = false;
    this.#isAnswered = false;
    try {
      await this.#checkAndSync(await file, log);
    } catch (error) {
      log.error(`Error synchronizing integrity: ${messageOf(error)}`);
      if (!this.#isAnswered) this.#tellFailure(messageOf(error));
    } finally {
      this.#permission.release(lockedAtMs);
    }
    if (this.#changedDuringCheck) this.nudge();
  }

  /** A worker of ours waits to be told and asks by the clock only seldom, unlike a stock one. */
  #tellFailure(why: string): void {
    const { features, link } = this.#worker;
    if (!features.has('nudge') || !link.isOpen) return;
    const value = { taskId: undefined, fault: fault(1000, why.slice(0, 256)) };
    link.request('updateFailed', value).catch(() => undefined);
  }

  async #checkAndSync(file: ReceivedFile, log: NodeLog): Promise<void> {
    const { clock } = this.#desk.ports;
    const startAtMs = clock.nowMs();
    const startedMs = clock.monotonicMs();
    log.debug(`Received file from worker: '${file.path}'`);
    const report = await this.#judge(file);
    const { extra, news } = this.#deletions.judge({
      extra: report.order.extra,
      created: report.created,
      present: report.present,
      scan: report, // the one that it was compared with: a newer one may have ended meanwhile
      nowMs: startAtMs,
    });
    if (news !== undefined) log.warning(news);
    for (const problem of report.problems) log.warning(problem);
    this.#lastCheck = { startAtMs, endAtMs: clock.nowMs() };
    const wanted = this.#worker.features.has('extra-valid')
      ? this.#wishes.next(report.extraValid)
      : [];
    const order = { ...report.order, extra, wanted };
    const isDone = isEmpty(order);
    this.#noteCheck({
      generation: report.generation,
      order: report.order,
      files: report.receivedFiles,
    });
    log.info(
      `Finished in ${seconds(clock.monotonicMs() - startedMs)}s. Received metadata of ` +
        `${report.receivedFiles} files. Sync ${isDone ? 'not ' : ''}required.`,
    );
    this.#isAnswered = isDone;
    if (isDone) await this.#worker.link.request('integrityUnchanged', undefined);
    else await this.#sync(order, report);
    if (isDone) this.#inStepWith = report.generation;
  }

  async #judge(file: ReceivedFile): Promise<CheckReport> {
    try {
      return await this.#desk.ports.jobs.check(this.#worker.transfers.pathOf(file.transfer));
    } finally {
      await this.#worker.transfers.drop(file.transfer);
    }
  }

  async #sync(order: Order, report: CheckReport): Promise<void> {
    const { clock } = this.#desk.ports;
    const log = this.#log.at('Integrity sync');
    const startAtMs = clock.nowMs();
    const startedMs = clock.monotonicMs();
    const { missing, shared, extra } = order;
    log.info('Starting.');
    log.info(
      `Files to create in worker: ${missing.length} | Files to update in worker: ${shared.length} | ` +
        `Files to delete in worker: ${extra.size}`,
    );
    let isWhole = true;
    for (const part of this.#worker.peer === 'ours' ? splitKeys(order) : [order]) {
      if (!(await this.#send(part, contentOf(part, report), log))) isWhole = false;
    }
    if (this.#worker.link.isOpen) this.#readAgain.packed(isWhole);
    log.info(`Finished in ${seconds(clock.monotonicMs() - startedMs)}s.`);
    this.#lastSync = {
      startAtMs,
      endAtMs: clock.nowMs(),
      missing: missing.length,
      shared: shared.length,
      extra: extra.size,
    };
  }

  /** False: there were files in it that could not be read. */
  async #send(order: Order, content: string, log: NodeLog): Promise<boolean> {
    const { shelf, ports } = this.#desk;
    const files = order.missing.length + order.shared.length;
    log.debug(
      `Compressing ${files > 0 ? 'files and ' : ''}'files_metadata.json' of ${files} files.`,
    );
    const { features, link } = this.#worker;
    const isOwn = features.has(blocksFeature);
    const { name: worker } = this.#worker;
    const wish = { order, content, zipBytes: this.#zip.limitBytes, isOwn, worker };
    return await shelf.use(wish, async (bundle) => {
      log.debug('Sending zip file.');
      this.#isAnswered = true;
      const trip = await this.#worker.sending.run(
        link,
        updateKind,
        ports.clock,
        (signal, progress) =>
          bundle.sendTo({
            ...{ link, signal, progress, mayResume: features.has(resumeFeature) },
            resumed: (bytes) =>
              log.info(`The worker holds ${bytes} bytes of it: the rest follows.`),
          }),
      );
      log.debug('Zip file sent.');
      this.#zip.learn(trip, log);
      if (trip.isInterrupted) return true;
      const { left } = await bundle.packed();
      for (const { text } of left.filter((one) => one.text !== '').slice(0, mostLeftTold))
        log.warning(text);
      if (left.some(({ kind }) => kind === 'no_room')) this.#changedDuringCheck = true;
      return !left.some(({ kind }) => kind === 'unreadable');
    });
  }
}

function isEmpty({ missing, shared, extra, wanted = [] }: Order): boolean {
  return missing.length + shared.length + extra.size + wanted.length === 0;
}

function told(reply: Reply, log: NodeLog): Reply {
  if (reply.kind === 'fault') log.error(faultText(reply.fault));
  return reply;
}
