/** The part of a worker that keeps agents' data: sends agent-info, stores the groups it is sent. */
import type { Clock } from '../../clock.ts';
import type { Intervals } from '../files/cluster-json.ts';
import type { AgentInfoJournal } from '../store/agent-info-journal.ts';
import type { AgentStore } from '../store/agent-store.ts';
import { GroupsReceiver } from '../tasks/agent-groups-receiver.ts';
import { type AgentInfoPeer, AgentInfoSender } from '../tasks/agent-info-sender.ts';
import { ByteGate } from '../tasks/byte-gate.ts';
import type { DataPeer } from '../tasks/data-peer.ts';
import type { Service } from '../tasks/services.ts';

export interface WorkerAgentDataParts {
  /** Name of this node. */
  readonly node: string;
  readonly store: AgentStore;
  readonly journal: AgentInfoJournal;
  readonly clock: Clock;
  readonly intervals: Pick<Intervals, 'worker' | 'master'>;
}

/** The master, as this part sees it. */
export interface WorkerDataPeer extends DataPeer, AgentInfoPeer {}

const largestBodiesBytes = 256 * 1024 * 1024;
const answerMs = 20_000;
const longestText = 1_024;

export class WorkerAgentData {
  readonly #info: AgentInfoSender;
  readonly #groups: GroupsReceiver;

  constructor({ node, store, journal, clock, intervals }: WorkerAgentDataParts) {
    this.#info = new AgentInfoSender({
      ...{ node, store, journal, clock },
      everyMs: intervals.worker.sync_agent_info * 1000,
      storingMs: intervals.master.timeout_agent_info * 1000 + answerMs,
    });
    this.#groups = new GroupsReceiver({
      ...{ store, clock, gate: new ByteGate(largestBodiesBytes) },
      timeoutMs: intervals.worker.timeout_agent_groups * 1000,
      mismatchLimit: intervals.worker.agent_groups_mismatch_limit,
    });
  }

  /** This node stops in order. */
  close(): void {
    this.#info.close();
  }

  service(): Service<WorkerDataPeer> {
    const stop = new WeakMap<DataPeer, AbortController>();
    const signalOf = (peer: DataPeer): AbortSignal => {
      const controller = stop.get(peer) ?? new AbortController();
      stop.set(peer, controller);
      return controller.signal;
    };
    const thanks = { kind: 'ok', payload: 'Thanks' } as const;
    return {
      handlers: {
        groupsReady: ({ value }, peer) =>
          this.#groups.ready('changed', value, peer, signalOf(peer)),
        allGroupsReady: ({ value }, peer) => this.#groups.ready('all', value, peer, signalOf(peer)),
        agentInfoStored: ({ value }) => {
          this.#info.stored(value);
          return thanks;
        },
        agentInfoFailed: ({ value }, peer) => {
          this.#info.failed(value.slice(0, longestText), peer.log);
          return thanks;
        },
      },
      tasks: [{ name: 'Agent-info', run: (peer, signal) => this.#info.run(peer, signal) }],
      left: (peer) => {
        stop.get(peer)?.abort(new DOMException('the link ended', 'AbortError'));
        this.#groups.reset();
      },
    };
  }
}
