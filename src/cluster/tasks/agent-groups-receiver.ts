/**
 * Groups of agents on a worker (cluster-protocol.md 4.6, 4.7): store what the master sends, compare
 * the checksums of both tables, and after some mismatches in a row ask for everything.
 */
import { type Clock, deadline } from '../../clock.ts';
import { messageOf } from '../../guards.ts';
import type { Reply } from '../session/output.ts';
import { type GroupsPage, parseGroupsPage } from '../store/agent-groups-body.ts';
import type { AgentStore } from '../store/agent-store.ts';
import { decodeGroupsEnvelope } from '../store/data-envelope.ts';
import { WdbError } from '../store/wazuh-db.ts';
import { expectOk } from '../upload.ts';
import { fault } from '../wire/fault.ts';
import type { SyncResult } from '../wire/wazuh-json.ts';
import type { GroupsKind } from './agent-groups-sender.ts';
import type { ByteGate } from './byte-gate.ts';
import { type DataPeer, tellFailure, tellResult, useString } from './data-peer.ts';
import { type NodeLog, seconds } from './node-log.ts';
import { takeString } from './taken-string.ts';

export interface GroupsReceiverParts {
  readonly store: AgentStore;
  readonly clock: Clock;
  readonly gate: ByteGate;
  /** Longest time for storing one message (`timeout_agent_groups`). */
  readonly timeoutMs: number;
  /** Mismatches in a row before everything is asked for. */
  readonly mismatchLimit: number;
}

interface Stored {
  readonly result: SyncResult;
  /** Of the master's table; undefined: not told. */
  readonly hash: string | null | undefined;
}

const kinds = {
  changed: { subTag: 'Agent-groups recv', done: 'groupsStored', failed: 'groupsFailed' },
  all: { subTag: 'Agent-groups recv full', done: 'allGroupsStored', failed: 'allGroupsFailed' },
} as const;
const mostWaiting = 8;

export class GroupsReceiver {
  readonly #parts: GroupsReceiverParts;
  #mismatches = 0;
  #waiting = 0;
  #tail: Promise<void> = Promise.resolve();

  constructor(parts: GroupsReceiverParts) {
    this.#parts = parts;
  }

  /** The answer to `groupsReady` and `allGroupsReady`; storing goes on by itself. */
  ready(kind: GroupsKind, id: string, peer: DataPeer, signal: AbortSignal): Reply {
    if (this.#waiting >= mostWaiting) {
      void takeString(peer, id, 0).catch(() => undefined); // also from the disk
      return { kind: 'fault', fault: fault(1000, 'too many groups messages wait') };
    }
    this.#waiting += 1;
    this.#tail = this.#tail.then(async () => {
      await this.#receive(kind, id, peer, signal);
      this.#waiting -= 1;
    });
    return { kind: 'ok', payload: id };
  }

  /** The link ended: stock counts mismatches of one connection. */
  reset(): void {
    this.#mismatches = 0;
  }

  /** Never rejects. */
  async #receive(kind: GroupsKind, id: string, peer: DataPeer, signal: AbortSignal): Promise<void> {
    const { clock, gate } = this.#parts;
    const log = peer.log.at(kinds[kind].subTag);
    const startedMs = clock.monotonicMs();
    log.info('Starting.');
    try {
      const stored = await useString(peer, id, { gate, signal }, (bytes) =>
        this.#store(bytes, log, signal),
      );
      await tellResult(peer.link, kinds[kind].done, stored.result);
      await this.#compare(stored.hash, peer, log, signal);
      const tookS = seconds(clock.monotonicMs() - startedMs);
      log.info(`Finished in ${tookS}s. Updated ${stored.result.updatedChunks} chunks.`);
      if (kind === 'all') await this.#recalculate(log, signal);
    } catch (error) {
      if (!signal.aborted) await tellFailure(peer, kinds[kind].failed, error, log);
    }
  }

  /** Throws `PayloadError` before anything is stored. */
  async #store(bytes: Buffer, log: NodeLog, signal: AbortSignal): Promise<Stored> {
    const { clock, timeoutMs } = this.#parts;
    const pages = decodeGroupsEnvelope(bytes).map(parseGroupsPage);
    const startedMs = clock.monotonicMs();
    const errorMessages: string[] = [];
    let updatedChunks = 0;
    const limit = deadline(clock, timeoutMs, signal);
    try {
      for (const [index, page] of pages.entries()) {
        const error = await this.#storePage(page, limit.signal);
        if (error === undefined) updatedChunks += 1;
        else errorMessages.push(error);
        const place = `chunk ${index + 1}/${pages.length}`;
        if (error !== undefined) log.error(`Wazuh-db response for ${place} was not "ok": ${error}`);
      }
    } catch (error) {
      if (!limit.signal.aborted || signal.aborted) throw error;
      log.error('Timeout while processing agent-groups chunks.');
      errorMessages.push('timeout');
    } finally {
      limit.cancel();
    }
    const tookMs = clock.monotonicMs() - startedMs;
    const share = `${updatedChunks}/${pages.length}`;
    log.debug(`${share} chunks updated in wazuh-db in ${seconds(tookMs)}s.`);
    const result = { updatedChunks, errorMessages, timeSpentS: tookMs / 1000 };
    return { result, hash: pages.at(-1)?.hash };
  }

  /** What went wrong with this page, if anything. */
  async #storePage(page: GroupsPage, signal: AbortSignal): Promise<string | undefined> {
    try {
      await this.#parts.store.setGroups(page.agents, signal);
    } catch (error) {
      if (!(error instanceof WdbError)) throw error;
      return error.message;
    }
    return page.refused[0];
  }

  async #compare(
    master: string | null | undefined,
    peer: DataPeer,
    log: NodeLog,
    signal: AbortSignal,
  ): Promise<void> {
    if (master === undefined) return;
    const { clock } = this.#parts;
    const startedMs = clock.monotonicMs();
    const own = await this.#ownHash(log, signal);
    if (own.kind === 'told') {
      log.debug(`Obtained 1 chunks of data in ${seconds(clock.monotonicMs() - startedMs)}s.`);
    }
    if (own.kind === 'told' && own.hash === master) {
      const reset = this.#mismatches > 0 ? 'Counter reset.' : '';
      log.debug(`The checksum of both databases match. ${reset}`);
      this.#mismatches = 0;
      return;
    }
    const shown = own.kind === 'told' ? shownHash(own.hash) : 'UNABLE TO COLLECT FROM DB';
    log.debug(`The checksum of master (${shownHash(master)}) and worker (${shown}) are different.`);
    await this.#mismatched(peer, log);
  }

  async #ownHash(
    log: NodeLog,
    signal: AbortSignal,
  ): Promise<{ readonly kind: 'told'; readonly hash: string | null } | { readonly kind: 'none' }> {
    try {
      const hash = await this.#parts.store.groupsHash(signal);
      return hash === undefined ? { kind: 'none' } : { kind: 'told', hash };
    } catch (error) {
      if (!(error instanceof WdbError)) throw error;
      log.error(`Could not obtain data from wazuh-db: ${error.message}`);
      return { kind: 'none' };
    }
  }

  async #mismatched(peer: DataPeer, log: NodeLog): Promise<void> {
    const { mismatchLimit } = this.#parts;
    this.#mismatches += 1;
    log.debug(`Checksum comparison failed (${this.#mismatches}/${mismatchLimit}).`);
    if (this.#mismatches < mismatchLimit) return;
    expectOk(await peer.link.request('wantAllGroups', undefined), 'all groups');
    this.#mismatches = 0;
    log.info('Sent request to obtain all agent-groups information from the master node.');
  }

  async #recalculate(log: NodeLog, signal: AbortSignal): Promise<void> {
    log.debug('Recalculating agent-group hash.');
    try {
      await this.#parts.store.recalculateGroups(signal);
    } catch (error) {
      if (!(error instanceof WdbError)) throw error;
      log.warning(
        `Error ${error.fault.code} executing recalculate agent-group hash command: ${messageOf(error)}`,
      );
    }
  }
}

/** As Python prints it. */
function shownHash(hash: string | null): string {
  return hash ?? 'None';
}
