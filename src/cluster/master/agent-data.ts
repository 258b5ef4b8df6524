/**
 * The part of a master that keeps agents' data: takes agent-info from workers, sends them groups.
 * Workers are served side by side; one worker has one round of each kind at a time.
 */
import type { Clock } from '../../clock.ts';
import type { AgentSync } from '../calls/node-view.ts';
import type { Intervals } from '../files/cluster-json.ts';
import type { ChunkSync } from '../local/node-health.ts';
import type { AgentStore } from '../store/agent-store.ts';
import type { GroupDebts } from '../store/group-debts.ts';
import { GroupsSender } from '../tasks/agent-groups-sender.ts';
import { AgentInfoReceiver } from '../tasks/agent-info-receiver.ts';
import { ByteGate } from '../tasks/byte-gate.ts';
import type { DataPeer } from '../tasks/data-peer.ts';
import { LocalAgentGroups } from '../tasks/local-agent-groups.ts';
import type { NodeLog } from '../tasks/node-log.ts';
import type { Round } from '../tasks/round.ts';
import type { Service } from '../tasks/services.ts';
import { stockDate } from './worker-status.ts';

/** One connected worker, as this part sees it. */
export interface AgentDataPeer extends DataPeer {
  readonly name: string;
  readonly signal: AbortSignal;
}

export interface MasterAgentDataParts {
  readonly store: AgentStore;
  readonly debts: GroupDebts;
  readonly clock: Clock;
  /** Under the tag of the master. */
  readonly log: NodeLog;
  readonly intervals: Pick<Intervals, 'worker' | 'master'>;
}

/** Agents' data of one worker, as values. */
export interface AgentDataStatus {
  readonly isAgentInfoFree: boolean;
  readonly agentInfo: Round;
  readonly groups: Round;
  readonly allGroups: Round;
  /** Since when the worker may lack changes of groups; undefined: it has them all. */
  readonly groupsOwedSinceMs: number | undefined;
}

interface Parts {
  readonly info: AgentInfoReceiver;
  readonly groups: GroupsSender;
}

const largestBodiesBytes = 256 * 1024 * 1024;
const answerMs = 20_000;

export class MasterAgentData {
  readonly #parts: MasterAgentDataParts;
  readonly #gate = new ByteGate(largestBodiesBytes);
  readonly #peers = new Map<AgentDataPeer, Parts>();

  constructor(parts: MasterAgentDataParts) {
    this.#parts = parts;
  }

  /** Local agent-groups, until `signal` aborts. */
  run(signal: AbortSignal): Promise<void> {
    const { store, debts, clock, log, intervals } = this.#parts;
    const local = new LocalAgentGroups({
      store,
      debts,
      clock,
      log: log.at('Local agent-groups'),
      startDelayMs: intervals.master.agent_group_start_delay * 1000,
      everyMs: intervals.master.sync_agent_groups * 1000,
      workers: () => [...this.#peers.values()].map(({ groups }) => groups),
    });
    return local.run(signal);
  }

  /** Undefined: no such worker is connected. */
  statusOf(name: string): AgentDataStatus | undefined {
    for (const [peer, { info, groups }] of this.#peers) {
      if (peer.name !== name) continue;
      return {
        isAgentInfoFree: info.isFree,
        agentInfo: info.last,
        groups: groups.last.changed,
        allGroups: groups.last.all,
        groupsOwedSinceMs: this.#parts.debts.owedSinceMs(name),
      };
    }
    return undefined;
  }

  /** The same in the form of `get_health`. */
  syncOf(name: string): AgentSync | undefined {
    const status = this.statusOf(name);
    if (status === undefined) return undefined;
    return {
      isAgentInfoFree: status.isAgentInfoFree,
      agentInfo: chunksOf(status.agentInfo),
      agentGroups: chunksOf(status.groups),
      allAgentGroups: chunksOf(status.allGroups),
    };
  }

  service(): Service<AgentDataPeer> {
    const of = (peer: AgentDataPeer): Parts => this.#of(peer);
    const thanks = { kind: 'ok', payload: 'Thanks' } as const;
    return {
      handlers: {
        maySendAgentInfo: (_, peer) => of(peer).info.maySend(),
        agentInfoReady: ({ value }, peer) => of(peer).info.ready(value),
        wantAllGroups: (_, peer) => {
          of(peer).groups.wantAll();
          return { kind: 'ok', payload: 'The agent-groups are being sent' };
        },
        groupsStored: ({ value }, peer) => {
          of(peer).groups.stored('changed', value);
          return thanks;
        },
        allGroupsStored: ({ value }, peer) => {
          of(peer).groups.stored('all', value);
          return thanks;
        },
        groupsFailed: ({ value }, peer) => {
          of(peer).groups.failed('changed', value.slice(0, longestText));
          return thanks;
        },
        allGroupsFailed: ({ value }, peer) => {
          of(peer).groups.failed('all', value.slice(0, longestText));
          return thanks;
        },
      },
      tasks: [
        {
          name: 'Agent-groups',
          run: async (peer) => {
            of(peer);
          },
        },
      ],
      left: (peer) => void this.#peers.delete(peer),
    };
  }

  /** The parts of a peer are made when it joins, or by the first thing it asks. */
  #of(peer: AgentDataPeer): Parts {
    const known = this.#peers.get(peer);
    if (known !== undefined) return known;
    const { store, debts, clock, intervals } = this.#parts;
    const { signal } = peer;
    const timeoutMs = intervals.master.timeout_agent_info * 1000;
    const storingMs = intervals.worker.timeout_agent_groups * 1000 + answerMs;
    const parts = {
      info: new AgentInfoReceiver({ peer, store, clock, gate: this.#gate, timeoutMs, signal }),
      groups: new GroupsSender({ peer, store, debts, clock, storingMs, signal }),
    };
    this.#peers.set(peer, parts);
    return parts;
  }
}

const longestText = 1_024;

function chunksOf({ startAtMs, endAtMs, chunks }: Round): ChunkSync {
  return { start: stockDate(startAtMs), end: stockDate(endAtMs), chunks };
}
