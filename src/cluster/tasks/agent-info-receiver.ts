/**
 * Agent-info of one worker on its master (cluster-protocol.md 4.4): one round at a time, each
 * agent judged before the database sees it, stored in batches so that others get their turn; the
 * next batch is judged while the database works.
 * What one agent has wrong costs that agent; what the database cannot do fails the round, and the
 * worker sends it again.
 */
import { type Clock, deadline, sleep } from '../../clock.ts';
import { messageOf } from '../../guards.ts';
import type { AgentInfoKind } from '../../wazuh/wazuh-db.ts';
import type { Reply } from '../session/output.ts';
import { agentsOf, parseAgent } from '../store/agent-info-body.ts';
import type { AgentStore } from '../store/agent-store.ts';
import { decodeInfoEnvelope } from '../store/data-envelope.ts';
import { WdbError } from '../store/wazuh-db.ts';
import { fault } from '../wire/fault.ts';
import { PayloadError } from '../wire/payload.ts';
import type { SyncResult } from '../wire/wazuh-json.ts';
import type { ByteGate } from './byte-gate.ts';
import { type DataPeer, tellFailure, tellResult, useString } from './data-peer.ts';
import { type NodeLog, seconds } from './node-log.ts';
import { noRound, type Round } from './round.ts';
import { takeString } from './taken-string.ts';

export interface AgentInfoReceiverParts {
  readonly peer: DataPeer;
  readonly store: AgentStore;
  readonly clock: Clock;
  readonly gate: ByteGate;
  /** Longest time for storing one round (`timeout_agent_info`). */
  readonly timeoutMs: number;
  /** Aborts when the link ends. */
  readonly signal: AbortSignal;
}

type Lists = ReadonlyMap<AgentInfoKind, readonly string[]>;

/** What became of a body. */
interface Outcome {
  readonly kinds: Set<AgentInfoKind>;
  /** An agent that the database took. */
  taken: Lists | undefined;
  /** Refused by the database, each alone: the fault of either. */
  readonly doubtful: Lists[];
  refused: number;
  reason: string;
}

/** Of one batch; the database works some tens of milliseconds on it. */
const agentsAtOnce = 2_000;
const bytesAtOnce = 1024 * 1024;
/** With so many it is asked at once whether the database takes any: its disk may be full. */
const mostDoubtful = 64;

export class AgentInfoReceiver {
  readonly #parts: AgentInfoReceiverParts;
  readonly #log: NodeLog;
  #isBusy = false;
  #last: Round = noRound;

  constructor(parts: AgentInfoReceiverParts) {
    this.#parts = parts;
    this.#log = parts.peer.log.at('Agent-info sync');
  }

  get isFree(): boolean {
    return !this.#isBusy;
  }

  get last(): Round {
    return this.#last;
  }

  /** The answer to `maySendAgentInfo`. */
  maySend(): Reply {
    return { kind: 'ok', payload: this.isFree ? 'True' : 'False' };
  }

  /** The answer to `agentInfoReady`; the round goes on by itself. */
  ready(id: string): Reply {
    if (this.#isBusy) {
      void takeString(this.#parts.peer, id, 0).catch(() => undefined); // also from the disk
      return { kind: 'fault', fault: fault(1000, 'an agent-info round is under way') };
    }
    this.#isBusy = true;
    void this.#round(id);
    return { kind: 'ok', payload: id };
  }

  /** Never rejects. Frees the way for the next round before it tells how this one went. */
  async #round(id: string): Promise<void> {
    const { peer, clock, gate, signal } = this.#parts;
    const startAtMs = clock.nowMs();
    const startedMs = clock.monotonicMs();
    this.#log.info('Starting.');
    try {
      const result = await useString(peer, id, { gate, signal }, (bytes) => this.#store(bytes));
      this.#isBusy = false;
      await tellResult(peer.link, 'agentInfoStored', result);
      const { updatedChunks } = result;
      this.#last = { startAtMs, endAtMs: clock.nowMs(), chunks: updatedChunks };
      const tookS = seconds(clock.monotonicMs() - startedMs);
      this.#log.info(`Finished in ${tookS}s. Updated ${updatedChunks} chunks.`);
    } catch (error) {
      this.#isBusy = false;
      if (!signal.aborted) await tellFailure(peer, 'agentInfoFailed', error, this.#log);
    }
  }

  /** Throws `PayloadError` for what is no such body; what stood before the fault may be stored. */
  async #store(bytes: Buffer): Promise<SyncResult> {
    const { clock, timeoutMs, signal } = this.#parts;
    const start = decodeInfoEnvelope(bytes);
    const outcome: Outcome = {
      kinds: new Set(),
      taken: undefined,
      doubtful: [],
      refused: 0,
      reason: '',
    };
    const limit = deadline(clock, timeoutMs, signal);
    const startedMs = clock.monotonicMs();
    let isDone = false;
    try {
      await this.#storeAll(bytes, start, outcome, limit.signal);
      isDone = true;
    } catch (error) {
      if (signal.aborted || error instanceof PayloadError) throw error;
      const isLate = limit.signal.aborted;
      const what = isLate ? 'Timeout while' : 'Error while';
      const why = isLate ? '.' : `: ${messageOf(error)}`;
      this.#log.error(`${what} processing agent-info chunks${why}`);
    } finally {
      limit.cancel();
    }
    return this.#said(outcome, isDone, clock.monotonicMs() - startedMs);
  }

  #said({ kinds, refused, reason }: Outcome, isDone: boolean, tookMs: number): SyncResult {
    if (refused > 0) this.#log.warning(`${refused} agents were not stored, such as: ${reason}`);
    const updatedChunks = isDone ? kinds.size : 0;
    this.#log.debug(
      `${updatedChunks}/${kinds.size} chunks updated in wazuh-db in ${seconds(tookMs)}s.`,
    );
    return { updatedChunks, errorMessages: [], timeSpentS: tookMs / 1000 };
  }

  async #storeAll(
    bytes: Buffer,
    start: number,
    outcome: Outcome,
    signal: AbortSignal,
  ): Promise<void> {
    let underWay: Promise<void> = Promise.resolve();
    try {
      for (const batch of this.#batches(bytes, start, outcome)) {
        await underWay;
        await sleep(this.#parts.clock, 0, signal);
        underWay = this.#storeBatch(batch, outcome, signal);
        underWay.catch(() => undefined); // looked at when its turn comes
      }
    } finally {
      await underWay;
    }
    await this.#judgeDoubtful(outcome, signal);
  }

  async #judgeDoubtful(outcome: Outcome, signal: AbortSignal): Promise<void> {
    for (const agent of outcome.doubtful.splice(0)) await this.#judgeAgain(agent, outcome, signal);
  }

  /** Refused once more it is the agent's fault only if the database takes another one meanwhile. */
  async #judgeAgain(agent: Lists, outcome: Outcome, signal: AbortSignal): Promise<void> {
    const { store } = this.#parts;
    if (await store.putAgentInfo(agent, signal)) {
      outcome.taken ??= agent;
      return;
    }
    const { taken } = outcome;
    if (taken === undefined || !(await store.putAgentInfo(taken, signal))) throw refusesAll();
    outcome.refused += 1;
    outcome.reason ||= 'the database refused it';
  }

  *#batches(bytes: Buffer, start: number, outcome: Outcome): Generator<Lists> {
    let batch = new Map<AgentInfoKind, string[]>();
    let agents = 0;
    let size = 0;
    for (const range of agentsOf(bytes, start)) {
      const json = bytes.toString('utf8', range.start, range.end);
      const agent = this.#judge(range.kind, json, outcome);
      if (agent === undefined) continue;
      add(batch, range.kind, agent);
      agents += 1;
      size += agent.length;
      if (agents < agentsAtOnce && size < bytesAtOnce) continue;
      yield batch;
      batch = new Map();
      agents = 0;
      size = 0;
    }
    yield batch;
  }

  #judge(kind: AgentInfoKind, json: string, outcome: Outcome): string | undefined {
    try {
      outcome.kinds.add(kind);
      return JSON.stringify(parseAgent(kind, json));
    } catch (error) {
      if (!(error instanceof PayloadError)) throw error;
      outcome.refused += 1;
      outcome.reason ||= error.message;
      return undefined;
    }
  }

  /** Halves what the database refuses until the agent that it does not take stands alone. */
  async #storeBatch(batch: Lists, outcome: Outcome, signal: AbortSignal): Promise<void> {
    const size = sizeOf(batch);
    if (size === 0) return;
    if (await this.#parts.store.putAgentInfo(batch, signal)) {
      outcome.taken ??= firstOf(batch);
    } else if (size > 1) {
      for (const half of halves(batch)) await this.#storeBatch(half, outcome, signal);
    } else if (outcome.doubtful.push(batch) >= mostDoubtful) {
      await this.#judgeDoubtful(outcome, signal);
    }
  }
}

function refusesAll(): WdbError {
  return new WdbError(2012, 'the database refuses one agent after the other');
}

function add(lists: Map<AgentInfoKind, string[]>, kind: AgentInfoKind, agent: string): void {
  const list = lists.get(kind);
  if (list === undefined) lists.set(kind, [agent]);
  else list.push(agent);
}

function sizeOf(batch: Lists): number {
  return [...batch.values()].reduce((sum, agents) => sum + agents.length, 0);
}

function firstOf(batch: Lists): Lists {
  const [kind, [agent = '']] = [...batch][0] ?? ['syncreq', []];
  return new Map([[kind, [agent]]]);
}

/** Two batches that are one batch together; of one kind first, then by position. */
function halves(batch: Lists): readonly Lists[] {
  const entries = [...batch].flatMap(([kind, agents]) => agents.map((agent) => ({ kind, agent })));
  const middle = Math.ceil(entries.length / 2);
  return [entries.slice(0, middle), entries.slice(middle)].map((part) => {
    const lists = new Map<AgentInfoKind, string[]>();
    for (const { kind, agent } of part) add(lists, kind, agent);
    return lists;
  });
}
