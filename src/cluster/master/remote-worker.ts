/**
 * One worker as its master sees it, from a good hello to the end of the link: permission, lock,
 * check, synchronisation (cluster-protocol.md 4.3). The link carries, the jobs do the file work.
 */
import { messageOf } from '../../guards.ts';
import { isInSync } from '../files/compare.ts';
import type { CheckReport } from '../files/jobs.ts';
import type { Changes } from '../files/manifest.ts';
import type { Link } from '../link.ts';
import type { Asked, PeerKind, Reply } from '../session/output.ts';
import type { BundleShelf } from '../tasks/bundle-shelf.ts';
import { Deletions } from '../tasks/deletions.ts';
import type { LocalIntegrity } from '../tasks/local-integrity.ts';
import { NodeLog, seconds } from '../tasks/node-log.ts';
import type { NodePorts, NodeSettings, TransferFolder } from '../tasks/node-ports.ts';
import { IntegrityPermission } from '../tasks/permission.ts';
import { type ReceivedFile, ReceivingTasks } from '../tasks/receiving.ts';
import { SendingTasks, updateKind } from '../tasks/sending.ts';
import { ZipBudget } from '../tasks/zip-budget.ts';
import { type Fault, fault, faultText } from '../wire/fault.ts';
import type { Hello } from '../wire/payload-hello.ts';
import { splitKeys } from './client-keys.ts';
import { noSpan, type Span, type WorkerStatus } from './worker-status.ts';

/** What all workers of one master share. */
export interface MasterDesk {
  readonly settings: NodeSettings;
  readonly ports: NodePorts;
  readonly local: LocalIntegrity;
  readonly shelf: BundleShelf;
  /** Round of local integrity; permission is granted once in each. */
  round(): number;
  /** When the newest scan was first known to differ from the one before. */
  changedAtMs(): number;
}

export class RemoteWorker {
  readonly name: string;
  readonly link: Link;
  readonly #hello: Hello;
  readonly #desk: MasterDesk;
  readonly #transfers: TransferFolder;
  readonly #log: NodeLog;
  readonly #permission: IntegrityPermission;
  readonly #receiving: ReceivingTasks;
  readonly #sending = new SendingTasks();
  readonly #deletions: Deletions;
  readonly #zip: ZipBudget;
  readonly #connectedAtMs: number;
  #lastAliveAtMs: number;
  #lastAliveMonotonicMs: number;
  #peer: PeerKind | undefined;
  #canBeNudged = false;
  #lastCheck: Span = noSpan;
  #lastSync: WorkerStatus['lastSync'] = { ...noSpan, missing: 0, shared: 0, extra: 0 };
  #inStepWith: number | undefined;
  #changedDuringCheck = false;

  constructor(hello: Hello, link: Link, transfers: TransferFolder, desk: MasterDesk) {
    const { clock, random, log, heldBook } = desk.ports;
    const { intervals, communication, catalogue } = desk.settings.cluster;
    this.name = hello.node;
    this.link = link;
    this.#hello = hello;
    this.#desk = desk;
    this.#transfers = transfers;
    this.#log = new NodeLog(log, `Worker ${hello.node}`);
    const maxLockedMs = intervals.master.max_locked_integrity_time * 1000;
    this.#permission = new IntegrityPermission({ maxLockedMs });
    this.#receiving = new ReceivingTasks({
      clock,
      random,
      timeoutMs: communication.receivingFileTimeoutMs,
      cancel: (taskId, reason) => this.#cancelPeer(taskId, reason),
    });
    this.#deletions = new Deletions({ book: heldBook, peer: hello.node, catalogue });
    this.#zip = new ZipBudget(communication);
    this.#connectedAtMs = clock.nowMs();
    this.#lastAliveAtMs = this.#connectedAtMs;
    this.#lastAliveMonotonicMs = clock.monotonicMs();
  }

  get log(): NodeLog {
    return this.#log;
  }

  /** Milliseconds since its last keep-alive, or since it connected. */
  get silentMs(): number {
    return this.#desk.ports.clock.monotonicMs() - this.#lastAliveMonotonicMs;
  }

  get hasHeldDeletions(): boolean {
    return this.#deletions.heldFiles > 0;
  }

  alive(): void {
    const { clock } = this.#desk.ports;
    this.#lastAliveAtMs = clock.nowMs();
    this.#lastAliveMonotonicMs = clock.monotonicMs();
  }

  recognised(peer: PeerKind, features: ReadonlySet<string>): void {
    this.#peer = peer;
    this.#canBeNudged = features.has('nudge');
    if (peer === 'ours') this.#desk.ports.peerBook.remember(this.name);
  }

  cancelled(taskId: string | undefined, reason: Fault): void {
    const isKnown = this.#sending.cancelled(taskId, reason);
    const what = isKnown
      ? 'The task was canceled due to the following error on the remote node'
      : 'The task was requested to be canceled but no task_id was received';
    this.#log.error(`${what}: ${faultText(reason)}`);
  }

  /** True: the command was ours to answer. */
  asked(asked: Asked): boolean {
    const reply = this.#serve(asked);
    if (reply !== undefined) this.link.answer(asked.counter, reply);
    return reply !== undefined;
  }

  /** The newest scan differs: our own workers are told at once to check. */
  nudge(): void {
    if (!this.#canBeNudged || !this.link.isOpen) return;
    if (!this.#permission.isFree) {
      this.#changedDuringCheck = true;
      return;
    }
    this.link.request('integrityUnchanged', undefined).catch(() => undefined);
  }

  /** The link ended. */
  end(): void {
    this.#receiving.end();
    void this.#transfers.end();
  }

  status(): WorkerStatus {
    const generation = this.#desk.local.report?.generation;
    const isInStep = generation !== undefined && this.#inStepWith === generation;
    return {
      name: this.name,
      type: this.#hello.type,
      version: this.#hello.version,
      address: this.link.peerAddress,
      peer: this.#peer,
      connectedAtMs: this.#connectedAtMs,
      lastKeepAliveAtMs: this.#lastAliveAtMs,
      isIntegrityFree: this.#permission.isFree,
      lastCheck: this.#lastCheck,
      lastSync: this.#lastSync,
      behindSinceMs: isInStep ? undefined : Math.max(this.#connectedAtMs, this.#desk.changedAtMs()),
      heldDeletions: this.#deletions.heldFiles,
      heldReason: this.#deletions.reason,
    };
  }

  #serve(asked: Asked): Reply | undefined {
    switch (asked.command) {
      case 'mayCheckIntegrity':
        return { kind: 'ok', payload: this.#mayCheck() ? 'True' : 'False' };
      case 'integrityStart':
        return this.#startCheck();
      case 'integritySent':
        return this.#told(this.#receiving.sent(asked.value, this.link));
      case 'integrityFailed':
        return this.#peerFailed(asked.value);
      case 'extraValidStart':
      case 'extraValidSent':
        // No item of ours lets a worker add files; stock refuses each file with this text.
        return { kind: 'fault', fault: fault(3022, 'File not allowed to be synced from worker') };
      default:
        return undefined;
    }
  }

  #mayCheck(): boolean {
    const { local, ports, settings } = this.#desk;
    const { isGranted, isReleased } = this.#permission.ask({
      isScanned: local.report !== undefined,
      round: this.#desk.round(),
      isOncePerRound: this.#peer !== 'ours',
      nowMs: ports.clock.monotonicMs(),
    });
    const lockedS = settings.cluster.intervals.master.max_locked_integrity_time;
    if (isReleased) {
      this.#log.warning(
        "Automatically releasing Integrity check permissions flag (b'syn_i_w_m_p') after being " +
          `locked out for more than ${lockedS}s.`,
      );
    }
    return isGranted;
  }

  #startCheck(): Reply {
    const { local, ports } = this.#desk;
    if (local.report === undefined || !this.#permission.lock(ports.clock.monotonicMs())) {
      const why = local.report === undefined ? 'no local scan yet' : 'a check is under way';
      return { kind: 'fault', fault: fault(1000, `Permission not granted: ${why}`) };
    }
    const task = this.#receiving.start();
    if (task === undefined) {
      this.#permission.release();
      return { kind: 'fault', fault: fault(1000, 'too many tasks are open') };
    }
    void this.#check(task.file);
    return { kind: 'ok', payload: task.id };
  }

  #told(reply: Reply): Reply {
    if (reply.kind === 'fault') this.#log.error(faultText(reply.fault));
    return reply;
  }

  #peerFailed(value: Extract<Asked, { command: 'integrityFailed' }>['value']): Reply {
    if (!this.#receiving.failed(value)) {
      this.#log.error(`Error in synchronization process: ${faultText(value.fault)}`);
      this.#permission.release();
      this.#inStepWith = undefined;
    }
    return { kind: 'ok', payload: 'Error received' };
  }

  /** Never rejects: whatever happens, the lock is released and said. */
  async #check(file: Promise<ReceivedFile>): Promise<void> {
    const log = this.#log.at('Integrity check');
    log.info('Starting.');
    this.#changedDuringCheck = false;
    try {
      await this.#checkAndSync(await file, log);
    } catch (error) {
      log.error(`Error synchronizing integrity: ${messageOf(error)}`);
    } finally {
      this.#permission.release();
    }
    if (this.#changedDuringCheck) this.nudge();
  }

  async #checkAndSync(file: ReceivedFile, log: NodeLog): Promise<void> {
    const { clock } = this.#desk.ports;
    const startAtMs = clock.nowMs();
    const startedMs = clock.monotonicMs();
    log.debug(`Received file from worker: '${file.path}'`);
    const report = await this.#judge(file);
    const { changes, news } = this.#deletions.judge({
      changes: report.changes,
      present: report.present,
      scan: this.#desk.local.report,
      nowMs: startAtMs,
    });
    if (news !== undefined) log.warning(news);
    for (const problem of report.problems) log.warning(problem);
    this.#lastCheck = { startAtMs, endAtMs: clock.nowMs() };
    const isDone = isInSync(changes);
    log.info(
      `Finished in ${seconds(clock.monotonicMs() - startedMs)}s. Received metadata of ` +
        `${report.receivedFiles} files. Sync ${isDone ? 'not ' : ''}required.`,
    );
    if (isDone) await this.link.request('integrityUnchanged', undefined);
    else await this.#sync(changes);
    if (isDone) this.#inStepWith = report.generation;
  }

  async #judge(file: ReceivedFile): Promise<CheckReport> {
    try {
      return await this.#desk.ports.jobs.check(this.#transfers.pathOf(file.transfer));
    } finally {
      await this.#transfers.drop(file.transfer);
    }
  }

  async #sync(changes: Changes): Promise<void> {
    const { clock } = this.#desk.ports;
    const log = this.#log.at('Integrity sync');
    const startAtMs = clock.nowMs();
    const startedMs = clock.monotonicMs();
    const { missing, shared, extra } = changes;
    log.info('Starting.');
    log.info(
      `Files to create in worker: ${missing.size} | Files to update in worker: ${shared.size} | ` +
        `Files to delete in worker: ${extra.size}`,
    );
    for (const part of this.#peer === 'ours' ? splitKeys(changes) : [changes]) {
      await this.#send(part, log);
    }
    log.info(`Finished in ${seconds(clock.monotonicMs() - startedMs)}s.`);
    this.#lastSync = {
      startAtMs,
      endAtMs: clock.nowMs(),
      missing: missing.size,
      shared: shared.size,
      extra: extra.size,
    };
  }

  async #send(changes: Changes, log: NodeLog): Promise<void> {
    const { shelf, ports } = this.#desk;
    const files = changes.missing.size + changes.shared.size;
    log.debug(
      `Compressing ${files > 0 ? 'files and ' : ''}'files_metadata.json' of ${files} files.`,
    );
    await shelf.use(changes, this.#zip.limitBytes, async (bundle) => {
      log.debug('Sending zip file.');
      const trip = await this.#sending.run(this.link, updateKind, ports.clock, (signal, progress) =>
        bundle.sendTo(this.link, signal, progress),
      );
      log.debug('Zip file sent.');
      this.#zip.learn(trip, log);
      if (trip.isInterrupted) return;
      const { left } = await bundle.packed();
      for (const one of left) if (one.text !== '') log.warning(one.text);
      if (left.some(({ kind }) => kind === 'no_room')) this.#changedDuringCheck = true;
    });
  }

  #cancelPeer(taskId: string, reason: Fault): void {
    if (!this.link.isOpen) return;
    this.link.request('cancelTask', { taskId, fault: reason }).catch(() => undefined);
  }
}
