/**
 * The master's answer to a check: files to create, to update, to delete (cluster-protocol.md 4.3,
 * 5.7). One at a time; deletions pass the guard; whatever fails is said in stock's words and
 * reported once.
 */
import { messageOf } from '../../guards.ts';
import { faultSummary } from '../files/apply.ts';
import type { ApplyReport, ScanReport, Unpacked } from '../files/jobs.ts';
import type { FileName } from '../files/name.ts';
import type { Link } from '../link.ts';
import type { Reply } from '../session/output.ts';
import type { Deletions } from '../tasks/deletions.ts';
import { type NodeLog, seconds } from '../tasks/node-log.ts';
import type { NodePorts, TransferFolder } from '../tasks/node-ports.ts';
import type { ReceivedFile, ReceivingTasks } from '../tasks/receiving.ts';
import { fault } from '../wire/fault.ts';

export interface UpdateParts {
  readonly link: Link;
  readonly ports: NodePorts;
  readonly transfers: TransferFolder;
  readonly receiving: ReceivingTasks;
  readonly deletions: Deletions;
  readonly log: NodeLog;
  /** The master wants these files of ours. Never rejects. */
  send(names: readonly FileName[]): Promise<void>;
  /** Our own newest scan. */
  report(): ScanReport | undefined;
  /** Files were placed or deleted; `isClean` says that nothing failed and nothing is held. */
  applied(isClean: boolean): void;
}

export class UpdateReceiver {
  readonly #parts: UpdateParts;
  #running: Promise<void> | undefined;

  constructor(parts: UpdateParts) {
    this.#parts = parts;
  }

  get isFree(): boolean {
    return this.#running === undefined;
  }

  /** Resolves when no update is under way. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** The answer to `updateStart`. */
  start(): Reply {
    const task = this.#parts.receiving.start();
    if (task === undefined) {
      return { kind: 'fault', fault: fault(1000, 'too many updates are under way') };
    }
    const after = this.#running ?? Promise.resolve();
    const running: Promise<void> = after
      .then(() => this.#receive(task.file))
      .finally(() => {
        if (this.#running === running) this.#running = undefined;
      });
    this.#running = running;
    return { kind: 'ok', payload: task.id };
  }

  /** Never rejects. */
  async #receive(coming: Promise<ReceivedFile>): Promise<void> {
    const { log, transfers } = this.#parts;
    try {
      const file = await coming;
      try {
        await this.#update(file);
      } finally {
        await transfers.drop(file.transfer);
      }
    } catch (error) {
      log.error(`Error synchronizing files: ${messageOf(error)}`);
      await this.#tell(messageOf(error));
      this.#parts.applied(false);
    }
  }

  async #update(file: ReceivedFile): Promise<void> {
    const { log, ports, transfers } = this.#parts;
    const startedMs = ports.clock.monotonicMs();
    log.info('Starting.');
    const path = transfers.pathOf(file.transfer);
    const unpacked = await ports.jobs.unpack(path, transfers.stagingOf(file.transfer), 'master');
    const { missingFiles, sharedFiles, extra, wanted } = unpacked;
    log.info(
      `Files to create: ${missingFiles} | Files to update: ${sharedFiles} | ` +
        `Files to delete: ${extra.size}`,
    );
    for (const problem of unpacked.problems) log.warning(problem);
    const isInSync = missingFiles + sharedFiles + extra.size === 0;
    if (isInSync) await ports.jobs.discard(unpacked.id);
    else await this.#apply(unpacked);
    if (wanted.length > 0) await this.#parts.send(wanted);
    log.info(`Finished in ${seconds(ports.clock.monotonicMs() - startedMs)}s.`);
  }

  async #apply(unpacked: Unpacked): Promise<void> {
    const { log, ports, deletions, report } = this.#parts;
    log.debug('Worker does not meet integrity checks. Actions required.');
    log.debug('Updating local files: Start.');
    const { extra, news } = deletions.judge({
      extra: unpacked.extra,
      created: unpacked.created,
      present: report()?.present ?? new Map(),
      scan: undefined,
      nowMs: ports.clock.nowMs(),
    });
    if (news !== undefined) {
      log.warning(news);
      await this.#tell(news);
    }
    const done = await ports.jobs.apply(unpacked.id, extra);
    this.#sayFaults(done);
    log.debug('Updating local files: End.');
    this.#parts.applied(done.faults.length === 0 && deletions.heldFiles === 0);
  }

  #sayFaults({ faults }: ApplyReport): void {
    const { log } = this.#parts;
    for (const { text } of faults.slice(0, 20)) log.error(text);
    const summary = faultSummary(faults);
    if (summary !== undefined) log.error(summary);
  }

  async #tell(text: string): Promise<void> {
    const { link } = this.#parts;
    if (!link.isOpen) return;
    const value = { taskId: undefined, fault: fault(1000, text.slice(0, 512)) };
    await link.request('integrityFailed', value).catch(() => undefined);
  }
}
