/**
 * Agent-info of a worker (cluster-protocol.md 4.4): ask, read, keep, send, wait for the word that
 * it is stored. Reading marks the agents as sent, so what was read is kept on disk until then, and
 * nothing new is read while something old waits. A link that ends does not end a read; one that
 * failed may have marked agents, which are then asked for again, as after a kill. A node that has
 * become the master knows nothing of what the one before it was told: it is told anew. Large bodies
 * go in parts: a lost link costs two, the one that is stored and the one that goes up meanwhile.
 */
import { type Clock, deadline, sleep, untilAborted } from '../../clock.ts';
import { PeerError } from '../../errors.ts';
import { messageOf } from '../../guards.ts';
import { masterTokenOf } from '../session/offer.ts';
import { partsOf } from '../store/agent-info-body.ts';
import {
  type AgentInfoJournal,
  type JournalPart,
  seenWithinS,
} from '../store/agent-info-journal.ts';
import type { AgentStore } from '../store/agent-store.ts';
import { expectOk } from '../upload.ts';
import { fault, faultText } from '../wire/fault.ts';
import type { SyncResult } from '../wire/wazuh-json.ts';
import { sayFinished } from './data-peer.ts';
import { type NodeLog, seconds } from './node-log.ts';
import { PartUploads } from './part-uploads.ts';
import type { ServedPeer } from './services.ts';

export interface AgentInfoSenderParts {
  readonly node: string;
  readonly store: AgentStore;
  readonly journal: AgentInfoJournal;
  readonly clock: Clock;
  /** Pause between two rounds. */
  readonly everyMs: number;
  /** How long the master may take to store a part. */
  readonly storingMs: number;
}

/** The master, as far as agent-info goes. */
export interface AgentInfoPeer extends ServedPeer {
  readonly features: ReadonlySet<string>;
}

type Verdict =
  | { readonly kind: 'stored'; readonly result: SyncResult }
  | { readonly kind: 'failed' };

const partBytes = 2 * 1024 * 1024;
/** A part that the master cannot store this often is given up; its agents are read anew. */
const mostFailures = 5;
/** Agents are stamped in whole seconds, by another program. */
const marginS = 5;

export class AgentInfoSender {
  readonly #parts: AgentInfoSenderParts;
  #verdict: PromiseWithResolvers<Verdict> | undefined;
  /** What was read before is kept: nothing between the database and the journal can be lost. */
  #isOpen = false;
  #reading: Promise<void> = Promise.resolve();
  readonly #uploads = new PartUploads();

  constructor(parts: AgentInfoSenderParts) {
    this.#parts = parts;
  }

  /** While connected. */
  async run(peer: AgentInfoPeer, signal: AbortSignal): Promise<void> {
    const log = peer.log.at('Agent-info sync');
    while (!signal.aborted) {
      try {
        await this.#round(peer, log, signal);
      } catch (error) {
        if (signal.aborted) return;
        log.error(`Error synchronizing agent info: ${messageOf(error)}`);
      }
      await sleep(this.#parts.clock, this.#parts.everyMs, signal).catch(() => undefined);
    }
  }

  /** The master stored the part. */
  stored(result: SyncResult): void {
    this.#verdict?.resolve({ kind: 'stored', result });
  }

  /** The master could not even read it. */
  failed(text: string, log: NodeLog): void {
    log
      .at('Agent-info sync')
      .error(`There was an error while processing agent-info on the peer: ${text}`);
    this.#verdict?.resolve({ kind: 'failed' });
  }

  /** This node stops in order: nothing is under way between the database and the journal. */
  close(): void {
    if (this.#isOpen) this.#parts.journal.close();
    this.#isOpen = false;
  }

  async #round(peer: AgentInfoPeer, log: NodeLog, signal: AbortSignal): Promise<void> {
    if (!(await mayStart(peer, log))) return;
    log.info('Starting.');
    const startedMs = this.#parts.clock.monotonicMs();
    await untilAborted(this.#reading, signal); // of an earlier link
    if (this.#parts.journal.next() === undefined && !(await this.#read(peer, log, signal))) return;
    for (let part = this.#parts.journal.next(); part !== undefined; ) {
      await this.#send(part, peer, log, startedMs, signal);
      part = this.#parts.journal.next();
      if (part !== undefined && !(await mayStart(peer, log))) return;
    }
  }

  /** False: there is nothing to send. */
  async #read(peer: AgentInfoPeer, log: NodeLog, signal: AbortSignal): Promise<boolean> {
    const reading = this.#readAll(masterTokenOf(peer.features), log);
    this.#reading = reading.catch(() => undefined);
    try {
      await untilAborted(reading, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      log.error(`Could not obtain data from wazuh-db: ${messageOf(error)}`);
      throw new PeerError('database_failed', faultText(fault(2017)));
    }
    if (this.#parts.journal.next() !== undefined) return true;
    log.info('No synchronization required, skipping.');
    return false;
  }

  /** Until all of it is in the journal, whatever becomes of the link. */
  async #readAll(master: number | undefined, log: NodeLog): Promise<void> {
    const { store, journal, clock } = this.#parts;
    const { signal } = new AbortController();
    const startS = Math.floor(clock.nowMs() / 1000);
    const startedMs = clock.monotonicMs();
    await this.#open(startS, log, signal);
    await this.#meet(master, startS, log, signal);
    this.#isOpen = false;
    const body = await store.takeAgentInfo(signal);
    const tookS = seconds(clock.monotonicMs() - startedMs);
    for (const part of partsOf(body, partBytes)) journal.keep(part);
    journal.keptAll(startS - marginS);
    this.#isOpen = true;
    log.debug(`Obtained agents synchronization information in ${tookS}s.`);
  }

  /** After a start or a failed read: what may have been read and lost is asked for again. */
  async #open(nowS: number, log: NodeLog, signal: AbortSignal): Promise<void> {
    if (this.#isOpen) return;
    const { journal } = this.#parts;
    const lostSinceS = journal.open(nowS);
    if (lostSinceS !== undefined) {
      await this.#requestAgain(lostSinceS - marginS, log, signal);
    }
    this.#isOpen = true;
  }

  /** Where the role moves, who has it now was not told what this node read before. */
  async #meet(
    master: number | undefined,
    nowS: number,
    log: NodeLog,
    signal: AbortSignal,
  ): Promise<void> {
    const { journal } = this.#parts;
    if (master === undefined || journal.master === master) return;
    await this.#requestAgain(nowS - seenWithinS, log, signal);
    journal.met(master);
  }

  /** A database that refuses the question must not hold up every round to come. */
  async #requestAgain(sinceS: number, log: NodeLog, signal: AbortSignal): Promise<void> {
    const { store, node } = this.#parts;
    const refusal = await store.requestAgentInfoAgain(node, sinceS, signal);
    if (refusal === undefined) return;
    log.warning(`Agents of an interrupted round are not asked for again: ${refusal}`);
  }

  async #send(
    part: JournalPart,
    peer: ServedPeer,
    log: NodeLog,
    startedMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { journal, clock } = this.#parts;
    const id = await this.#uploads.take(part, peer.link, signal);
    this.#uploads.begin(journal.after(part.number), peer.link, signal);
    log.debug('Sending chunks.');
    const verdict = await this.#ask(peer, id, signal);
    if (verdict.kind === 'stored') {
      sayFinished(log, seconds(clock.monotonicMs() - startedMs), verdict.result);
      if (verdict.result.updatedChunks > 0) return journal.delivered(part.number);
    }
    journal.failed(part.number);
    if (part.failures + 1 >= mostFailures) await this.#giveUp(part, log, signal);
    throw new PeerError('peer_refused', 'the master did not store it; it is sent again');
  }

  async #ask(peer: ServedPeer, id: string, signal: AbortSignal): Promise<Verdict> {
    const limit = deadline(this.#parts.clock, this.#parts.storingMs, signal);
    const verdict = Promise.withResolvers<Verdict>();
    this.#verdict = verdict;
    const onAbort = (): void => verdict.reject(limit.signal.reason);
    limit.signal.addEventListener('abort', onAbort, { once: true });
    try {
      expectOk(await peer.link.request('agentInfoReady', id, { signal }), 'agent-info');
      return await verdict.promise;
    } finally {
      verdict.promise.catch(() => undefined);
      limit.signal.removeEventListener('abort', onAbort);
      limit.cancel();
      this.#verdict = undefined;
    }
  }

  async #giveUp(part: JournalPart, log: NodeLog, signal: AbortSignal): Promise<void> {
    const { journal, clock } = this.#parts;
    log.error(`The master never stored ${part.body.length} bytes of agents; they are read anew.`);
    const nowS = Math.floor(clock.nowMs() / 1000);
    const readS = Math.min(nowS, journal.readS ?? nowS); // long ago, where the link was away
    await this.#requestAgain(readS - seenWithinS, log, signal);
    journal.delivered(part.number);
  }
}

async function mayStart(peer: ServedPeer, log: NodeLog): Promise<boolean> {
  const answer = await peer.link.request('maySendAgentInfo', undefined);
  const said = expectOk(answer, 'permission for agent-info').toString('latin1');
  if (said === 'True') {
    log.debug('Permission to synchronize granted.');
    return true;
  }
  log.debug(
    `Master didn't grant permission to start a new synchronization: b'${said.slice(0, 64)}'`,
  );
  return false;
}
