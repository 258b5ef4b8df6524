/**
 * The role of this node: it looks, judges, takes the seat, waits until whoever had it must have
 * noticed, records itself, and only then is the master; it stops to be one before its lease ends.
 * Demotion comes first in everything: the gate (`fence`) shuts at the very instant, then the port
 * and the hooks, then the rest. Knows nothing of how a role is run: that is `run`'s business.
 */
import { sleep } from '../clock.ts';
import { PeerError, PilotfishError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import type { Holder, Look } from '../leader/engine.ts';
import { OfficeKeeper, type Standing } from '../leader/keep-office.ts';
import { claimRole, refuseForgetful, undoMove } from './claim-role.ts';
import { type Freshness, judgeFreshness, judgePromotion, type Verdict, waiting } from './judge.ts';
import { KeysLedger, type Recorded } from './keys-ledger.ts';
import { ownSeat } from './own-seat.ts';
import { PeerWord } from './peer-word.ts';
import type { PromotionSettings, PromotionStatus, RolePorts } from './ports.ts';
import { parseRecord, type RoleRecord, type WorkerSeen } from './record.ts';
import { KeptMemory } from './role-memory.ts';
import { RoleOrders } from './role-orders.ts';
import { keysText, StatusTeller, shownRecord } from './role-status.ts';
import { RoleSwitch, type RunRole } from './role-switch.ts';
import { promotionTopics } from './topics.ts';

const lookEveryMs = 500;
/** After a try that failed another candidate may do better. */
const backoffMs = 60_000;

export class RoleKeeper {
  readonly #settings: PromotionSettings;
  readonly #ports: RolePorts;
  readonly #office: OfficeKeeper;
  readonly #orders: RoleOrders;
  readonly #switch: RoleSwitch;
  readonly #memory: KeptMemory;
  readonly #peers: PeerWord;
  #record: RoleRecord | undefined;
  #isRecordUnknown = false;
  #revision = 0;
  #holder: string | undefined;
  #freshness: Freshness | undefined;
  #verdict: Verdict = waiting('the engine was not asked yet');
  #engineTrouble: string | undefined;
  readonly #troubles = new Map<'seat' | 'ledger', string>();
  #claim: Promise<void> | undefined;
  #ledger: KeysLedger | undefined;
  #pausedUntilMs = 0;
  #pausedFor = '';
  #mayTake = false;
  #claimedAtMs = 0;
  #movedBeforeMs = 0;
  #workers: () => readonly WorkerSeen[] = () => [];

  constructor(settings: PromotionSettings, ports: RolePorts) {
    this.#settings = settings;
    this.#ports = ports;
    this.#memory = new KeptMemory(ports.book);
    this.#record = this.#memory.now.record;
    this.#orders = new RoleOrders(ports);
    this.#switch = new RoleSwitch(settings, ports, {
      record: () => this.#record,
      freshRecord: () => this.#freshRecord(),
      wasMaster: () => this.#memory.now.wasMaster,
      ownToken: () => this.#memory.now.ownToken,
      remember: (change) => void this.#memory.keep(change),
      failed: (token, why) => this.#standDown(token, why),
      done: (token, hooksMs, wrong) => this.#done(token, hooksMs, wrong),
    });
    this.#office = new OfficeKeeper({
      engine: ownSeat(ports.engine, (holder) => this.#isOwnOld(holder)),
      ...{ clock: ports.clock, random: ports.random, lookEveryMs },
      knownRevision: () => this.#revision,
      mayTake: () => this.#mayTake,
      seen: (look) => this.#seen(look),
      changed: (now) => this.#changed(now),
      failed: (error) => this.#engineFailed('seat', error),
    });
    this.#peers = new PeerWord({
      ...{ engine: ports.engine, clock: ports.clock },
      knownRevision: () => this.#revision,
      lost: (own, why) => this.#office.fenced(own, why),
    });
  }

  /** The role of master at this very instant, with no word of a peer against it? */
  holds(token: number): boolean {
    return this.#hasSeat(token) && !this.#peers.isAsking;
  }

  /** A master with an older one is refused. */
  get greatestToken(): number {
    return Math.max(this.#memory.now.greatestToken, this.#peers.token);
  }

  /** A peer showed this token. */
  saw(token: number): void {
    const now = this.#office.standing();
    this.#peers.heard(token, now.kind === 'leader' ? now.token : undefined);
  }

  #hasSeat(token: number): boolean {
    const now = this.#office.standing();
    return now.kind === 'leader' && now.token === token;
  }

  /** As `KeysLedger.noted`. */
  async keysNoted(): Promise<void> {
    if (this.#ledger !== undefined) return this.#ledger.noted();
    throw new PeerError('master_outdated', 'this node is not the master any more');
  }

  /** Until `signal` aborts; `run` runs the node in one role until its own signal does. */
  async run(signal: AbortSignal, run: RunRole): Promise<void> {
    const stop = new AbortController();
    const teller = new StatusTeller(this.#ports, () => this.status());
    const until = AbortSignal.any([signal, stop.signal]);
    // What this node remembers is better than nothing, when the engine does not answer.
    void this.#office.looked().then(() => {
      const isIdle = this.#switch.wanted === undefined && this.#claim === undefined;
      if (isIdle) this.#follow();
    });
    const parts = [
      this.#office.run(until),
      this.#switch.run(until, (...role) => this.#runRole(run, ...role)),
      teller.run(until),
      this.#orderOn(until),
    ].map((part) => part.finally(() => stop.abort(signal.reason)));
    await Promise.allSettled(parts);
    await this.#claim;
    teller.tell();
    await Promise.all(parts);
  }

  async #runRole(run: RunRole, ...[assignment, until, listening]: Parameters<RunRole>) {
    const ledger = assignment.kind === 'master' ? this.#ledger : undefined;
    const heard = (workers: () => readonly WorkerSeen[]): void => {
      this.#workers = workers;
      listening(workers);
    };
    await ledger?.begin();
    await Promise.all([run(assignment, until, heard), ledger?.run(until)]);
  }

  status(): PromotionStatus {
    const { mode, node, isCandidate } = this.#settings;
    const record = shownRecord(this.#record);
    const { lastOrder, watchdogMs } = { ...this.#ports, lastOrder: this.#orders.lastOrder };
    return {
      writtenAtMs: this.#ports.clock.nowMs(),
      ...{ node, mode, isCandidate },
      role: this.#roleName(),
      ownToken: this.#memory.now.ownToken,
      greatestToken: this.greatestToken,
      ...(this.#holder === undefined ? {} : { holder: this.#holder }),
      ...(record === undefined ? {} : { record }),
      keys: keysText(this.#roleName(), this.#freshness),
      why: this.#whyText(),
      ...(this.#engineTrouble === undefined ? {} : { engineTrouble: this.#engineTrouble }),
      hookTrouble: this.#switch.hookTrouble,
      ...(watchdogMs === undefined ? {} : { watchdogMs }),
      strays: this.#ports.book.strays(),
      ...(lastOrder === undefined ? {} : { lastOrder }),
    };
  }

  #roleName(): PromotionStatus['role'] {
    if (this.#switch.current?.kind === 'master') return 'master';
    return this.#claim === undefined ? 'worker' : 'claiming';
  }

  #whyText(): string {
    const now = this.#office.standing();
    if (now.kind === 'leader') return `it has the seat with token ${now.token}`;
    return this.#verdict.why;
  }

  /** Before the seat may be taken: all that the verdict depends on, as it is now. */
  async #seen(look: Look): Promise<void> {
    this.#learn(look);
    this.#peers.answered();
    this.#holder = look.holder?.name;
    if (this.#office.standing().kind === 'leader') return;
    await this.#judge();
    const isFree = this.#claim === undefined;
    this.#mayTake = this.#verdict.kind === 'take' && isFree;
    const isAtOnce = this.#verdict.kind === 'take' && this.#verdict.pauseMs === 0;
    if (isFree && !(isAtOnce && this.#switch.wanted === undefined)) this.#follow();
  }

  /** The seat of a process of this node that is gone: nobody else could have had its token. */
  #isOwnOld({ name, token }: Holder): boolean {
    const isOwn = name === this.#settings.node && token === this.#memory.now.ownToken;
    return isOwn && this.#claim === undefined && !this.#hasSeat(token);
  }

  #learn({ state, revision }: Look): void {
    if (revision === 0) {
      this.#record = undefined;
      this.#revision = 0;
      this.#isRecordUnknown = false;
    }
    if (state === undefined || state.revision < this.#revision) return;
    const record = parseRecord(state.bytes);
    this.#revision = state.revision;
    this.#isRecordUnknown = record === undefined;
    if (record === undefined) return;
    this.#record = record;
    const greatestToken = Math.max(record.token, this.#memory.now.greatestToken);
    const before = this.#memory.now.record;
    const isSame = before?.token === record.token && before.keys.digest === record.keys.digest;
    if (!isSame || greatestToken > this.#memory.now.greatestToken) {
      this.#memory.keep({ greatestToken, record });
    }
  }

  async #judge(): Promise<void> {
    const { clock, hooks } = this.#ports;
    const { mode, node, isCandidate, isConfiguredMaster, minIntervalMs, pauseMs } = this.#settings;
    const { order } = this.#orders;
    this.#freshness = await this.#readFreshness();
    const isOpen = this.#holder === undefined && (isCandidate || isConfiguredMaster);
    this.#verdict = judgePromotion({
      ...{ mode, node, isCandidate, isConfiguredMaster, minIntervalMs, pauseMs },
      holder: this.#holder,
      record: this.#record,
      isRecordUnknown: this.#isRecordUnknown,
      ownToken: this.#memory.now.ownToken,
      freshness: this.#freshness,
      order,
      pausedFor: clock.monotonicMs() < this.#pausedUntilMs ? this.#pausedFor : undefined,
      fault: isOpen ? await hooks.fault() : undefined,
      nowMs: clock.nowMs(),
    });
    if (this.#verdict.kind === 'wait') {
      this.#orders.heard(this.#verdict.why, this.#verdict.isFinal);
    }
  }

  async #readFreshness(): Promise<Freshness | undefined> {
    const { keys, seal } = this.#ports;
    if (this.#record === undefined) return undefined;
    const { bytes, facts } = await keys.read();
    return judgeFreshness(bytes, facts, this.#record, seal);
  }

  /** Of an office that has it from the engine: never waits. */
  #changed(now: Standing): void {
    const { log } = this.#ports;
    if (now.kind === 'leader') {
      log.info('promotion.seat_taken', { token: now.token, why: this.#verdict.why });
      this.#holder = this.#settings.node;
      this.#claim = this.#promote(now.token).finally(() => {
        this.#claim = undefined;
      });
      return;
    }
    log.warn('promotion.seat_left', { why: now.why, holder: now.holder?.name });
    this.#holder = now.holder?.name;
    this.#verdict = waiting(now.why);
    this.#ledger = undefined;
    this.#follow();
    this.#engineFailed('ledger', undefined);
  }

  /** A worker of whoever is on record. */
  #follow(): void {
    this.#switch.want({ kind: 'worker', record: this.#record });
  }

  /** Never rejects. */
  async #promote(token: number): Promise<void> {
    const { clock, log } = this.#ports;
    this.#claimedAtMs = clock.monotonicMs();
    try {
      refuseForgetful(token, this.#memory.now.greatestToken);
      const pauseMs =
        this.#verdict.kind === 'take' ? this.#verdict.pauseMs : this.#settings.pauseMs;
      this.#memory.keepSurely({ ownToken: token, greatestToken: token });
      this.#movedBeforeMs = this.#record?.movedAtMs ?? 0;
      const recorded = await claimRole(this.#ports, this.#settings, {
        ...{ token, pauseMs },
        isForced: this.#orders.order?.force === true,
        holds: () => this.#hasSeat(token),
        fenced: () => this.#office.fenced(token),
      });
      this.#record = recorded.record;
      this.#revision = recorded.revision;
      this.#memory.keepSurely({ wasMaster: true, record: recorded.record });
      this.#begin(token, recorded);
      const tookMs = Math.round(clock.monotonicMs() - this.#claimedAtMs);
      log.info('promotion.recorded', { token, tookMs, keys: recorded.record.keys.count });
    } catch (thrown) {
      if (!(thrown instanceof PilotfishError)) throw thrown;
      await this.#standDown(token, messageOf(thrown));
    }
  }

  #begin(token: number, recorded: Recorded): void {
    const { engine, clock, keys, seal } = this.#ports;
    if (!this.#hasSeat(token)) return;
    this.#ledger = new KeysLedger(
      {
        ...{ engine, clock, keys, seal, token },
        holds: () => this.#hasSeat(token),
        workers: () => this.#workers(),
        fenced: () => this.#office.fenced(token),
        failed: (error) => this.#engineFailed('ledger', error),
        written: (record, revision) => {
          this.#record = record;
          this.#revision = revision;
        },
      },
      recorded,
    );
    this.#switch.want({ kind: 'master', token });
  }

  #done(token: number, hooksMs: number, wrong: readonly string[]): void {
    const { log, clock } = this.#ports;
    const tookMs = Math.round(clock.monotonicMs() - this.#claimedAtMs);
    log.info('promotion.done', { token, tookMs, hooksMs, failed: wrong.length });
    const more = wrong.length === 0 ? '' : `; a hook failed: ${wrong.join('; ')}`;
    this.#orders.finish('done', `this node is the master with token ${token}${more}`);
  }

  /** Gives the seat back: this node cannot do it, or shall not. Never rejects. */
  async #standDown(token: number, why: string): Promise<void> {
    this.#pauseFor(backoffMs, `the last try failed: ${why}`);
    this.#ports.log.error('promotion.failed', { token, why });
    this.#orders.finish('refused', why);
    const record = this.#record;
    if (record?.token === token) {
      const known = { record, revision: this.#revision };
      await undoMove(this.#ports, known, this.#movedBeforeMs);
    }
    await this.#leave(token);
  }

  async #leave(token: number): Promise<void> {
    this.#office.fenced(token, 'this node gives it back'); // the gate first
    await this.#switch.settled();
    try {
      await this.#ports.engine.leave(token);
    } catch (thrown) {
      if (!(thrown instanceof PilotfishError)) throw thrown; // else the lease ends by itself
    }
  }

  #pauseFor(forMs: number, why: string): void {
    const untilMs = this.#ports.clock.monotonicMs() + forMs;
    if (untilMs < this.#pausedUntilMs) return; // an operator's word outlasts a try that failed
    this.#pausedUntilMs = untilMs;
    this.#pausedFor = why;
  }

  /** The record as the engine has it now, for what must not be judged by an old one. */
  #freshRecord(): RoleRecord | undefined {
    return this.#engineTrouble === undefined ? this.#record : undefined;
  }

  async #orderOn(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const order = this.#orders.look();
      if (order?.kind === 'demote') await this.#demote();
      else if (order !== undefined && this.#roleName() === 'master') {
        this.#orders.finish('done', 'this node is the master already');
      }
      await sleep(this.#ports.clock, 250, signal).catch(() => undefined);
    }
  }

  async #demote(): Promise<void> {
    const now = this.#office.standing();
    if (now.kind !== 'leader') {
      const who = this.#holder ?? 'nobody';
      this.#orders.finish('refused', `this node is not the master: ${who} has the role`);
      return;
    }
    this.#pauseFor(this.#settings.minIntervalMs, 'an operator demoted this node');
    await this.#leave(now.token);
    const trouble = this.#switch.hookTrouble.join('; ');
    const more = trouble === '' ? '' : `; a hook failed: ${trouble}`;
    this.#orders.finish('done', `this node gave the role back${more}`);
  }

  /** Each of both tells of its own: one that works ends no trouble of the other. */
  #engineFailed(part: 'seat' | 'ledger', error: PilotfishError | undefined): void {
    const { complaints } = this.#ports;
    if (error === undefined) this.#troubles.delete(part);
    else this.#troubles.set(part, `${error.code} ${error.reason}: ${error.message}`);
    this.#engineTrouble = [...this.#troubles.values()][0];
    if (this.#engineTrouble !== undefined) {
      this.#verdict = waiting(this.#engineTrouble);
      this.#orders.heard(this.#engineTrouble, false);
    }
    if (this.#engineTrouble === undefined) complaints.end(promotionTopics.engine);
    else complaints.begin(promotionTopics.engine, this.#engineTrouble);
  }
}
