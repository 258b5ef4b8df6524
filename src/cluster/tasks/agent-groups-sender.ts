/**
 * Groups of agents to one worker (cluster-protocol.md 4.6, 4.7): what changed, or everything. One
 * message at a time; what changes meanwhile is gathered into the next one. A worker that did not
 * say that it has something is owed it, and gets everything after a while.
 */
import { type Clock, deadline } from '../../clock.ts';
import { PeerError } from '../../errors.ts';
import { messageOf } from '../../guards.ts';
import type { AgentStore, Pages } from '../store/agent-store.ts';
import { isEmptyPage } from '../store/agent-store.ts';
import { encodeGroupsEnvelope } from '../store/data-envelope.ts';
import type { GroupDebts } from '../store/group-debts.ts';
import { WdbError } from '../store/wazuh-db.ts';
import { expectOk, sendString } from '../upload.ts';
import type { SyncResult } from '../wire/wazuh-json.ts';
import { sayFinished } from './data-peer.ts';
import { type NodeLog, seconds } from './node-log.ts';
import { noRound, type Round } from './round.ts';
import type { ServedPeer } from './services.ts';

export type GroupsKind = 'changed' | 'all';

export interface GroupsPeer extends ServedPeer {
  readonly name: string;
}

export interface GroupsSenderParts {
  readonly peer: GroupsPeer;
  readonly store: AgentStore;
  readonly debts: GroupDebts;
  readonly clock: Clock;
  /** How long the worker may take to store a message. */
  readonly storingMs: number;
  /** Aborts when the link ends. */
  readonly signal: AbortSignal;
}

type Verdict = SyncResult | string;

const kinds = {
  changed: { command: 'groupsReady', subTag: 'Agent-groups send' },
  all: { command: 'allGroupsReady', subTag: 'Agent-groups send full' },
} as const;
/** Changes of several rounds that wait for a slow worker; above this it gets everything instead. */
const mostWaitingBytes = 4 * 1024 * 1024;
const firstPauseMs = 60_000;
const longestPauseMs = 600_000;

export class GroupsSender {
  readonly #parts: GroupsSenderParts;
  #waiting: string[] = [];
  #isAllWanted: boolean;
  #pauseMs = firstPauseMs;
  #notBeforeMs = 0;
  #isRunning = false;
  #verdict: { readonly kind: GroupsKind; readonly give: (verdict: Verdict) => void } | undefined;
  #last: Readonly<Record<GroupsKind, Round>> = { changed: noRound, all: noRound };

  constructor(parts: GroupsSenderParts) {
    this.#parts = parts;
    const { debts, peer, clock } = parts;
    debts.joined(peer.name, clock.nowMs());
    this.#isAllWanted = debts.owedSinceMs(peer.name) !== undefined;
  }

  get last(): Readonly<Record<GroupsKind, Round>> {
    return this.#last;
  }

  get name(): string {
    return this.#parts.peer.name;
  }

  /** Pages of changes, maybe with no agent in them: the checksum goes out in any case. */
  queue(pages: Pages): void {
    const named = this.#waiting.filter((page) => !isEmptyPage(page));
    this.#waiting = [...named, ...pages];
    const bytes = this.#waiting.reduce((sum, page) => sum + page.length, 0);
    if (named.length > 0 && bytes > mostWaitingBytes) {
      this.#waiting = pages.filter(isEmptyPage);
      this.#isAllWanted = true;
    }
    void this.#drive();
  }

  /** The worker found that its checksum differs. */
  wantAll(): void {
    const { debts, clock } = this.#parts;
    debts.owe(this.name, clock.nowMs());
    this.#isAllWanted = true;
    this.#notBeforeMs = 0;
    void this.#drive();
  }

  stored(kind: GroupsKind, result: SyncResult): void {
    if (this.#verdict?.kind === kind) this.#verdict.give(result);
  }

  failed(kind: GroupsKind, text: string): void {
    this.#log(kind).error(`There was an error while processing agent-groups on the peer: ${text}`);
    if (this.#verdict?.kind === kind) this.#verdict.give(text);
  }

  /** Never rejects. Ends when nothing waits, or with the first failure. */
  async #drive(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    const { signal, debts } = this.#parts;
    try {
      while (!signal.aborted && this.#hasWork) {
        const isAll = this.#isAllWanted && this.#mayTryAll;
        const isDone = await this.#sendNext(isAll ? 'all' : 'changed');
        if (!isDone) return this.#failedOnce();
        if (isAll) this.#pauseMs = firstPauseMs;
        if (!this.#isAllWanted && this.#waiting.length === 0) debts.paid(this.name);
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#failedOnce();
      this.#log('changed').error(this.#sendingError(error));
    } finally {
      this.#isRunning = false;
    }
  }

  get #mayTryAll(): boolean {
    return this.#parts.clock.monotonicMs() >= this.#notBeforeMs;
  }

  get #hasWork(): boolean {
    return this.#waiting.length > 0 || (this.#isAllWanted && this.#mayTryAll);
  }

  #failedOnce(): void {
    const { clock } = this.#parts;
    this.#isAllWanted = true;
    this.#notBeforeMs = clock.monotonicMs() + this.#pauseMs;
    this.#pauseMs = Math.min(longestPauseMs, this.#pauseMs * 2);
    this.#owe();
  }

  /** A node that stops closes its store first: what was sent and not paid is owed there already. */
  #owe(): void {
    const { debts, clock } = this.#parts;
    try {
      debts.owe(this.name, clock.nowMs());
    } catch (error) {
      this.#log('changed').debug(`Not noted that groups are owed: ${messageOf(error)}`);
    }
  }

  /** True: the worker has it, whole. */
  async #sendNext(kind: GroupsKind): Promise<boolean> {
    const { clock } = this.#parts;
    const log = this.#log(kind);
    const startAtMs = clock.nowMs();
    log.info('Starting.');
    this.#note(kind, { startAtMs, endAtMs: undefined, chunks: 0 });
    const pages = await this.#take(kind, log);
    if (pages === undefined) return false;
    const result = await this.#sendPages(kind, pages, log);
    if (result === undefined) return false;
    this.#note(kind, { startAtMs, endAtMs: clock.nowMs(), chunks: result.updatedChunks });
    return result.errorMessages.length === 0;
  }

  async #take(kind: GroupsKind, log: NodeLog): Promise<Pages | undefined> {
    const { store, clock, signal } = this.#parts;
    if (kind === 'changed') {
      const pages = this.#waiting;
      this.#waiting = [];
      return pages;
    }
    this.#isAllWanted = false;
    const startedMs = clock.monotonicMs();
    try {
      log.debug('Recalculating agent-group hash.');
      await store.recalculateGroups(signal).catch((error: unknown) => {
        if (!(error instanceof WdbError)) throw error;
        log.warning(
          `Error ${error.fault.code} executing recalculate agent-group hash command: ${error.message}`,
        );
      });
      const pages = await store.allGroups(signal);
      const tookS = seconds(clock.monotonicMs() - startedMs);
      log.debug(`Obtained ${pages.length} chunks of data in ${tookS}s.`);
      return pages;
    } catch (error) {
      if (signal.aborted) throw error;
      log.error(`Could not obtain data from wazuh-db: ${messageOf(error)}`);
      return undefined;
    }
  }

  /** What the worker said; undefined: that it failed, or nothing in time. */
  async #sendPages(kind: GroupsKind, pages: Pages, log: NodeLog): Promise<SyncResult | undefined> {
    const { peer, clock, signal } = this.#parts;
    const startedMs = clock.monotonicMs();
    const tookS = (): string => seconds(clock.monotonicMs() - startedMs);
    const nothing = { updatedChunks: 0, errorMessages: [], timeSpentS: 0 };
    if (pages.length === 0) {
      sayFinished(log, tookS(), nothing);
      return nothing;
    }
    const id = await sendString(peer.link, encodeGroupsEnvelope(pages), { signal });
    log.debug('Sending chunks.');
    const verdict = await this.#ask(kind, id);
    if (typeof verdict === 'string') return undefined;
    sayFinished(log, tookS(), verdict);
    return verdict;
  }

  async #ask(kind: GroupsKind, id: string): Promise<Verdict> {
    const { peer, clock, storingMs, signal } = this.#parts;
    const limit = deadline(clock, storingMs, signal);
    const verdict = Promise.withResolvers<Verdict>();
    const onAbort = (): void => {
      const late = new PeerError('peer_silent', 'the worker did not say that it stored the groups');
      verdict.reject(signal.aborted ? signal.reason : late);
    };
    limit.signal.addEventListener('abort', onAbort, { once: true });
    this.#verdict = { kind, give: verdict.resolve };
    try {
      expectOk(await peer.link.request(kinds[kind].command, id, { signal }), 'groups of agents');
      return await verdict.promise;
    } finally {
      verdict.promise.catch(() => undefined);
      limit.signal.removeEventListener('abort', onAbort);
      limit.cancel();
      this.#verdict = undefined;
    }
  }

  #note(kind: GroupsKind, round: Round): void {
    this.#last = { ...this.#last, [kind]: round };
  }

  #log(kind: GroupsKind): NodeLog {
    return this.#parts.peer.log.at(kinds[kind].subTag);
  }

  #sendingError(error: unknown): string {
    return `Error sending agent-groups information to ${this.name}: ${messageOf(error)}`;
  }
}
