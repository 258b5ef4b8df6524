/**
 * The relay for agents that speak UDP: every datagram of one source goes to one manager, its
 * answers go back. There is no connection to cut: a switch drops the flow, and the agent's next
 * datagram starts one to the next manager, unnoticed by the agent, whose keys are good everywhere.
 * With no manager up its datagrams are dropped, as a dead manager would; the port stays ours.
 */
import type { Cancel } from '../clock.ts';
import { HostError } from '../errors.ts';
import { isBarePong } from '../health/ping.ts';
import { Avoided } from './avoid.ts';
import { isLoopback } from './loopback.ts';
import { isOutdated } from './outdated.ts';
import type {
  Datagrams,
  ListenAddress,
  ListenPlace,
  RefusedWhy,
  RelayManager,
  RelayPorts,
  SessionSample,
  SuspectWhy,
} from './ports.ts';
import type { SwitchReason } from './relay.ts';
import type { RelaySettings } from './settings.ts';
import { Slots } from './slots.ts';
import { judgeStall, type Stall } from './stall.ts';

interface Flow {
  readonly number: number;
  readonly manager: RelayManager;
  readonly upstream: Datagrams;
  readonly agentPort: number;
  readonly openedAtMs: number;
  bytesUp: number;
  bytesDown: number;
  isAnswered: boolean;
  lastFromAgentAtMs: number;
  lastFromManagerAtMs: number;
  unansweredSinceAtMs: number | undefined;
  told: Stall | undefined;
}

export class DatagramRelay {
  readonly #ports: RelayPorts;
  readonly #settings: RelaySettings;
  readonly #avoided: Avoided;
  readonly #slots: Slots;
  /** By source port: all sources are loopback addresses, an agent keeps its port. */
  readonly #flows = new Map<string, Flow>();
  #local: (Datagrams & ListenAddress) | undefined;
  #stopWatch: Cancel | undefined;
  #nextNumber = 1;
  #lastRefusal: RefusedWhy | undefined;

  constructor(ports: RelayPorts, settings: RelaySettings) {
    this.#ports = ports;
    this.#settings = settings;
    this.#avoided = new Avoided(settings.avoidMs);
    this.#slots = new Slots(ports.clock);
  }

  /** Throws HostError `listen_failed`. Returns where the agent may send. */
  async open(place: ListenPlace): Promise<ListenAddress> {
    if (place.kind === 'inherited') {
      throw new HostError(
        'listen_failed',
        'a relay for UDP takes no socket of the service manager',
      );
    }
    this.#local = await this.#ports.network.bind(place, {
      datagram: (datagram, from) => this.#forward(datagram, from),
      failed: () => undefined, // an answer to an agent that has gone
    });
    const { address, port } = this.#local;
    return { address, port };
  }

  /** Both reasons alike: nothing is lost by moving a flow, and nothing under way can be saved. */
  switchAway(managerId: string, _reason: SwitchReason): void {
    this.#avoided.add(managerId, this.#nowMs());
    const leaving = [...this.#flows].filter(([, { manager }]) => manager.id === managerId);
    this.#ports.report({ kind: 'switched', managerId, sessions: leaving.length });
    for (const [key, flow] of leaving) this.#drop(key, flow);
  }

  /** This flow only; its manager may be chosen again, at another address. */
  endSession(session: number, _reason: SwitchReason): void {
    for (const [key, flow] of [...this.#flows]) if (flow.number === session) this.#drop(key, flow);
  }

  /** A switch at `atMs` (wall clock): the slot of this agent. */
  drainAt(managerId: string, atMs: number): Cancel {
    return this.#slots.at(atMs, () => this.switchAway(managerId, 'planned'));
  }

  get sessions(): readonly SessionSample[] {
    return [...this.#flows.values()].map(sampleOf);
  }

  async close(): Promise<void> {
    this.#stopWatch?.();
    this.#slots.close();
    for (const [key, flow] of [...this.#flows]) this.#drop(key, flow);
    this.#local?.close();
  }

  #forward(datagram: Uint8Array, from: ListenAddress): void {
    const key = `${from.address}:${from.port}`;
    const flow = this.#flows.get(key) ?? this.#begin(key, from);
    if (flow === undefined) return;
    flow.bytesUp += datagram.length;
    flow.lastFromAgentAtMs = this.#nowMs();
    flow.unansweredSinceAtMs ??= flow.lastFromAgentAtMs;
    flow.upstream.send(datagram);
  }

  #begin(key: string, from: ListenAddress): Flow | undefined {
    if (!isLoopback(from.address)) return this.#refuse('not_loopback');
    const nowMs = this.#nowMs();
    const managers = this.#ports.choose().filter(({ protocol }) => protocol === 'udp');
    const manager = this.#avoided.order(managers, nowMs)[0];
    if (manager === undefined) return this.#refuse('no_manager');
    if (this.#flows.size >= this.#settings.maxSessions && !this.#makeRoom(nowMs))
      return this.#refuse('full');
    const upstream = this.#ports.network.dialDatagrams(manager, {
      datagram: (datagram) => this.#answer(key, datagram, from),
      failed: () => this.#failed(key, manager),
    });
    const number = this.#nextNumber++;
    const flow: Flow = {
      number,
      manager,
      upstream,
      agentPort: from.port,
      openedAtMs: nowMs,
      bytesUp: 0,
      bytesDown: 0,
      isAnswered: false,
      lastFromAgentAtMs: nowMs,
      lastFromManagerAtMs: nowMs,
      unansweredSinceAtMs: undefined,
      told: undefined,
    };
    this.#flows.set(key, flow);
    this.#lastRefusal = undefined;
    const managerId = manager.id;
    this.#ports.report({ kind: 'connected', session: number, managerId, tookMs: 0, skipped: [] });
    this.#watch();
    return flow;
  }

  /** Drops the quietest flow: an agent takes a new port at every try, and any user here has many. */
  #makeRoom(nowMs: number): boolean {
    const [quietest] = [...this.#flows].sort(
      ([, left], [, right]) => left.lastFromAgentAtMs - right.lastFromAgentAtMs,
    );
    if (quietest === undefined) return false;
    const [key, flow] = quietest;
    if (nowMs - flow.lastFromAgentAtMs < this.#settings.quietMs) return false;
    this.#drop(key, flow);
    return true;
  }

  #answer(key: string, datagram: Uint8Array, to: ListenAddress): void {
    const flow = this.#flows.get(key);
    if (flow === undefined) return;
    flow.bytesDown += datagram.length;
    flow.isAnswered ||= !isBarePong(datagram);
    flow.lastFromManagerAtMs = this.#nowMs();
    flow.unansweredSinceAtMs = undefined;
    this.#local?.send(datagram, to);
  }

  #failed(key: string, manager: RelayManager): void {
    const flow = this.#flows.get(key);
    if (flow?.manager !== manager) return;
    this.#drop(key, flow);
    this.#suspect(manager.id, 'closed');
  }

  /** Told when it begins, not at every datagram. */
  #refuse(why: RefusedWhy): undefined {
    if (why !== this.#lastRefusal) this.#ports.report({ kind: 'refused', why, tried: [] });
    this.#lastRefusal = why;
  }

  #suspect(managerId: string, why: SuspectWhy): void {
    this.#avoided.add(managerId, this.#nowMs());
    this.#ports.report({ kind: 'suspect', managerId, why });
  }

  #drop(key: string, flow: Flow): void {
    this.#flows.delete(key);
    flow.upstream.close();
    const { number, bytesUp, bytesDown } = flow;
    const lastedMs = this.#nowMs() - flow.openedAtMs;
    const managerId = flow.manager.id;
    this.#ports.report({
      kind: 'closed',
      session: number,
      managerId,
      bytesUp,
      bytesDown,
      lastedMs,
    });
  }

  #watch(): void {
    if (this.#stopWatch !== undefined) return;
    this.#stopWatch = this.#ports.clock.after(this.#settings.watchMs, () => {
      this.#stopWatch = undefined;
      const nowMs = this.#nowMs();
      for (const [key, flow] of [...this.#flows]) this.#look(key, flow, nowMs);
      if (this.#flows.size > 0) this.#watch();
    });
  }

  #look(key: string, flow: Flow, nowMs: number): void {
    if (nowMs - flow.lastFromAgentAtMs >= this.#settings.idleMs) {
      this.#drop(key, flow);
      return;
    }
    const stall = judgeStall(sampleOf(flow), this.#settings.stall, nowMs);
    if (stall !== undefined && stall !== flow.told) this.#suspect(flow.manager.id, stall);
    flow.told = stall;
    if (stall !== undefined && isOutdated(flow.manager, this.#ports.choose()))
      this.#drop(key, flow);
  }

  #nowMs(): number {
    return this.#ports.clock.monotonicMs();
  }
}

function sampleOf({ number, manager, upstream: _, told: __, ...rest }: Flow): SessionSample {
  const waiting = { retransmits: 0, waitingBytes: 0, waitingSinceAtMs: undefined };
  const { id: managerId, address } = manager;
  return { session: number, managerId, address, protocol: 'udp', ...rest, ...waiting };
}
