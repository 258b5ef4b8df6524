/**
 * The loopback relay: the agent dials it, it stands for the best manager that answers.
 * Switching cuts the agent's connection, which makes the agent reconnect to the same address at
 * once. No manager up, no connection: silence would cost the agent 60 s a try, a reset 1 s; so it is
 * kept for a moment only, where somebody may answer soon (`patience.ts`).
 */
import { type Cancel, sleep } from '../clock.ts';
import { Avoided } from './avoid.ts';
import { type Dialled, type DialPorts, dialBest } from './dial.ts';
import { isLoopback } from './loopback.ts';
import { isOutdated } from './outdated.ts';
import { type Guest, Patience, Tried } from './patience.ts';
import type {
  Connection,
  ListenAddress,
  Listening,
  ListenPlace,
  RefusedWhy,
  RelayManager,
  RelayPorts,
  SessionSample,
  SuspectWhy,
} from './ports.ts';
import { Session } from './session.ts';
import type { RelaySettings } from './settings.ts';
import { Slots } from './slots.ts';
import { Standby } from './standby.ts';

/** `failed`: the manager is dead or hung, cut now. `planned`: a drain, lose nothing. */
export type SwitchReason = 'failed' | 'planned';

type Found =
  | { readonly kind: 'dialled'; readonly dialled: Dialled }
  | { readonly kind: 'nobody'; readonly why: RefusedWhy; readonly tried: readonly string[] };

export class Relay {
  readonly #ports: RelayPorts;
  readonly #settings: RelaySettings;
  readonly #avoided: Avoided;
  readonly #slots: Slots;
  readonly #standby: Standby;
  readonly #patience: Patience;
  readonly #sessions = new Map<number, Session>();
  readonly #dialling = new Set<AbortController>();
  #listening: Listening | undefined;
  #stopWatch: Cancel | undefined;
  /** Ends of gentle closes, by session. */
  readonly #lastMoments = new Map<number, Cancel>();
  #emptied: (() => void) | undefined;
  #nextNumber = 1;
  /** The manager that failed under the last session, until there is another. */
  #lost: { readonly managerId: string; readonly atMs: number } | undefined;
  #admitsAtMs: number | undefined;
  #isClosed = false;

  constructor(ports: RelayPorts, settings: RelaySettings) {
    this.#ports = ports;
    this.#settings = settings;
    this.#avoided = new Avoided(settings.avoidMs);
    this.#slots = new Slots(ports.clock);
    this.#standby = new Standby(this.#dialPorts());
    this.#patience = new Patience(ports.clock, settings, () => ports.patienceMs?.() ?? 0);
  }

  /** Throws HostError `listen_failed`. Returns where the agent may dial. */
  async open(place: ListenPlace): Promise<ListenAddress> {
    this.#listening = await this.#ports.network.listen(place, (agent) => void this.#serve(agent));
    const { address, port } = this.#listening;
    return { address, port };
  }

  /** accept -> wait for the admission -> choose -> dial -> splice -> switch */
  async #serve(agent: Connection): Promise<void> {
    const refusal = this.#mayAccept(agent);
    if (refusal !== undefined) return this.#refuse(agent, refusal, []);
    const stop = new AbortController();
    this.#dialling.add(stop);
    const startMs = this.#nowMs();
    const guest = this.#patience.guest(startMs);
    const found = await this.#find(guest, startMs, stop.signal);
    guest.leave();
    this.#dialling.delete(stop);
    if (found.kind === 'nobody') return this.#refuse(agent, found.why, found.tried);
    this.#splice(agent, found.dialled, this.#nowMs() - startMs);
  }

  /** Again while the agent may be kept, and only at whoever was not asked yet or answers now. */
  async #find(guest: Guest, startMs: number, signal: AbortSignal): Promise<Found> {
    const tried = new Tried(() => this.#ports.isCrowd?.() ?? false);
    const others = () => tried.worthDialling(this.#choose(), this.#nowMs());
    for (;;) {
      await this.#admitted(startMs, signal);
      const managers = others();
      const dialled = managers.length === 0 ? undefined : await this.#dial(managers, tried, signal);
      if (dialled !== undefined) return { kind: 'dialled', dialled };
      tried.add(managers);
      const isFull = tried.isFull(this.#choose(), this.#nowMs());
      const ending = isFull ? 'over' : await guest.wait(() => others().length > 0, signal);
      if (ending === 'other') continue;
      const { ids } = tried;
      const why = ids.length === 0 ? 'no_manager' : 'none_answered';
      return { kind: 'nobody', why: ending === 'replaced' ? ending : why, tried: ids };
    }
  }

  /** Cut every session with this manager; their agents reconnect and land on the next one. */
  switchAway(managerId: string, reason: SwitchReason): void {
    this.#avoided.add(managerId, this.#nowMs());
    const leaving = [...this.#sessions.values()].filter(({ manager }) => manager.id === managerId);
    this.#ports.report({ kind: 'switched', managerId, sessions: leaving.length });
    if (reason === 'failed' && leaving.length > 0) this.#lost = { managerId, atMs: this.#nowMs() };
    for (const session of leaving) {
      if (reason === 'failed') session.reset();
      else this.#closeGently(session);
    }
  }

  /** This session only; its manager may be chosen again, at another address. */
  endSession(number: number, reason: SwitchReason): void {
    const session = this.#sessions.get(number);
    if (session === undefined) return;
    if (reason === 'failed') session.reset();
    else this.#closeGently(session);
  }

  /** A planned switch at `atMs` (wall clock): the slot of this agent. */
  drainAt(managerId: string, atMs: number): Cancel {
    return this.#slots.at(atMs, () => this.switchAway(managerId, 'planned'));
  }

  get sessions(): readonly SessionSample[] {
    return [...this.#sessions.values()].map((session) => session.sample);
  }

  /**
   * Stop accepting first, so that nobody lands in a relay that goes away, then end every session
   * gently: one reconnect per agent. Resolves when all are gone, after `gentleMs` at the latest.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    const stopped = this.#listening?.close();
    this.#stopWatch?.();
    this.#standby.close();
    this.#slots.close();
    for (const dialling of this.#dialling) dialling.abort(new Error('the relay closes'));
    for (const session of this.#sessions.values()) this.#closeGently(session);
    await Promise.all([stopped, this.#whenEmpty()]);
  }

  #mayAccept(agent: Connection): RefusedWhy | undefined {
    if (!isLoopback(agent.peerAddress)) return 'not_loopback';
    if (this.#isClosed) return 'full';
    const taken = this.#sessions.size + this.#dialling.size;
    return taken < this.#settings.maxSessions || this.#makeRoom() ? undefined : 'full';
  }

  /** Ends the oldest session that no manager has answered: an agent is answered in milliseconds. */
  #makeRoom(): boolean {
    const latestMs = this.#nowMs() - this.#settings.quietMs;
    const unanswered = [...this.#sessions.values()].find(
      ({ sample, openedAtMs }) => !sample.isAnswered && openedAtMs <= latestMs,
    );
    if (unanswered === undefined) return false;
    this.#sessions.delete(unanswered.number); // its place is free now, its end is told when it comes
    unanswered.reset();
    return true;
  }

  #choose(): readonly RelayManager[] {
    const own = this.#listening;
    const others = this.#ports
      .choose()
      .filter(({ protocol }) => protocol === 'tcp')
      .filter(({ address, port }) => address !== own?.address || port !== own.port);
    return this.#avoided.order(others, this.#nowMs());
  }

  /**
   * Only the agent of a manager that failed waits: who comes of itself is no part of a herd. Asked again
   * where one of those that answered does no more when its slot comes: it was dealt for all of them.
   */
  async #admitted(startMs: number, signal: AbortSignal): Promise<void> {
    const lost = this.#lost;
    const { clock, admission } = this.#ports;
    if (lost === undefined || admission === undefined) return;
    for (let isAgain = false; !signal.aborted; isAgain = true) {
      const leftMs = startMs + this.#settings.maxHoldMs - this.#nowMs();
      const lostForMs = this.#nowMs() - lost.atMs;
      const waitMs = admission(lost.managerId, lostForMs, isAgain ? leftMs : undefined);
      const heldMs = Math.min(waitMs, leftMs);
      if (heldMs <= 0) return;
      const answered = this.#answering();
      this.#admitsAtMs = this.#nowMs() + heldMs;
      await sleep(clock, heldMs, signal).catch(() => undefined);
      const answering = this.#answering();
      if (answered.every((id) => answering.includes(id))) return;
    }
  }

  #answering(): readonly string[] {
    return this.#choose().flatMap(({ id, answers }) => (answers === true ? [id] : []));
  }

  /** While an agent waits for its admission, and until it is led on: for how long still. */
  get admitsInMs(): number | undefined {
    if (this.#admitsAtMs === undefined || this.#dialling.size === 0) return undefined;
    return Math.max(0, this.#admitsAtMs - this.#nowMs());
  }

  /** While an agent is kept because nobody answers: for how long still, at most. */
  get keepsForMs(): number | undefined {
    return this.#patience.keepsForMs;
  }

  async #dial(
    managers: readonly RelayManager[],
    tried: Tried,
    signal: AbortSignal,
  ): Promise<Dialled | undefined> {
    const spare = (manager: RelayManager) => this.#standby.take(manager);
    const failed = (manager: RelayManager, why: SuspectWhy): void => {
      if (why === 'dial_silent') tried.addSilent(manager, this.#nowMs());
      this.#suspect(manager.id, why);
    };
    const goesOn = () => tried.worthDialling(this.#choose(), this.#nowMs()).length > 0;
    // Where no door can be full the next one is dialled without asking.
    const isCrowd = this.#ports.isCrowd?.() ?? false;
    const ports = { ...this.#dialPorts(), spare, failed, ...(isCrowd ? { goesOn } : {}) };
    const dialled = await dialBest(ports, managers, signal);
    if (!this.#isClosed) return dialled;
    dialled?.connection.reset();
    return undefined;
  }

  #dialPorts(): DialPorts {
    const { clock, network } = this.#ports;
    const failed = ({ id }: RelayManager, why: SuspectWhy): void => this.#suspect(id, why);
    return { clock, network, settings: this.#settings, failed };
  }

  #splice(agent: Connection, { manager, connection, skipped }: Dialled, tookMs: number): void {
    const number = this.#nextNumber++;
    const parts = { number, manager, agent, upstream: connection };
    const session = new Session(this.#ports.clock, parts, {
      managerLeft: (why) => {
        this.#lost = { managerId: manager.id, atMs: this.#nowMs() };
        this.#suspect(manager.id, why);
      },
      closed: () => this.#ended(session),
    });
    this.#sessions.set(number, session);
    this.#lost = undefined;
    this.#admitsAtMs = undefined;
    this.#ports.report({
      kind: 'connected',
      session: number,
      managerId: manager.id,
      tookMs,
      skipped,
    });
    this.#watch();
  }

  #refuse(agent: Connection, why: RefusedWhy, tried: readonly string[]): void {
    agent.reset();
    this.#ports.report({ kind: 'refused', why, tried });
  }

  #suspect(managerId: string, why: SuspectWhy): void {
    this.#avoided.add(managerId, this.#nowMs());
    this.#ports.report({ kind: 'suspect', managerId, why });
  }

  #whenEmpty(): Promise<void> {
    if (this.#sessions.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#emptied = resolve;
    });
  }

  #closeGently(session: Session): void {
    if (this.#lastMoments.has(session.number)) return;
    const { clock } = this.#ports;
    const cancel = clock.after(this.#settings.gentleMs, () => session.reset());
    this.#lastMoments.set(session.number, cancel);
    session.closeGently();
  }

  #ended({ number, manager, sample, openedAtMs }: Session): void {
    this.#sessions.delete(number);
    this.#lastMoments.get(number)?.();
    this.#lastMoments.delete(number);
    if (this.#sessions.size === 0) this.#emptied?.();
    const { bytesUp, bytesDown } = sample;
    const lastedMs = this.#nowMs() - openedAtMs;
    const managerId = manager.id;
    this.#ports.report({
      kind: 'closed',
      session: number,
      managerId,
      bytesUp,
      bytesDown,
      lastedMs,
    });
  }

  /** Looks at the sessions while there are any; an idle relay has no timer. */
  #watch(): void {
    if (this.#stopWatch !== undefined || this.#isClosed) return;
    this.#stopWatch = this.#ports.clock.after(this.#settings.watchMs, () => {
      this.#stopWatch = undefined;
      const nowMs = this.#nowMs();
      for (const session of [...this.#sessions.values()]) this.#look(session, nowMs);
      if (this.#settings.standby) this.#standby.want(this.#next(), this.#choose());
      if (this.#sessions.size > 0) this.#watch();
    });
  }

  /** Who would get the agent if every manager in use failed now. */
  #next(): RelayManager | undefined {
    const inUse = new Set([...this.#sessions.values()].map(({ manager }) => manager.id));
    return this.#choose().find(({ id }) => !inUse.has(id));
  }

  #look(session: Session, nowMs: number): void {
    if (session.isIdle(this.#settings, nowMs)) {
      session.reset();
      return;
    }
    const stall = session.newStall(this.#settings.stall, nowMs);
    if (stall !== undefined) this.#suspect(session.manager.id, stall);
    // Stuck where its manager is no more: what waits there is lost, and no probe will find it.
    if (session.isStalled && isOutdated(session.manager, this.#ports.choose())) session.reset();
  }

  #nowMs(): number {
    return this.#ports.clock.monotonicMs();
  }
}
