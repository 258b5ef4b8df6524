/**
 * Runs the node in the role that is wanted, one at a time. Leaving the master's role begins with
 * the hooks, at the same instant as the node is told to stop; before this host is a worker of
 * another master, its own copy of client.keys is put aside, so that no key is lost unseen.
 */
import { sleep } from '../clock.ts';
import { PilotfishError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { digestOf, strayKeys } from './client-keys.ts';
import type { Assignment, PromotionSettings, RoleMemory, RolePorts } from './ports.ts';
import type { RoleRecord, WorkerSeen } from './record.ts';
import { promotionTopics } from './topics.ts';

/** Runs one role until `signal` aborts; `listening` is called when a master's port is open. */
export type RunRole = (
  assignment: Assignment,
  signal: AbortSignal,
  listening: (workers: () => readonly WorkerSeen[]) => void,
) => Promise<void>;

export interface SwitchGround {
  record(): RoleRecord | undefined;
  /** Undefined while the engine does not answer. */
  freshRecord(): RoleRecord | undefined;
  wasMaster(): boolean;
  ownToken(): number;
  remember(change: Partial<RoleMemory>): void;
  /** This node cannot be the master. */
  failed(token: number, why: string): Promise<void>;
  /** It is the master, its hooks were run. */
  done(token: number, hooksMs: number, wrong: readonly string[]): void;
}

const againMs = 5_000;
const settleEveryMs = 1_000;

export class RoleSwitch {
  readonly #settings: PromotionSettings;
  readonly #ports: RolePorts;
  readonly #ground: SwitchGround;
  #wanted: Assignment | undefined;
  #current: Assignment | undefined;
  #end = new AbortController();
  #changed = Promise.withResolvers<void>();
  #starting: Promise<void> = Promise.resolve();
  #stopping: Promise<void> = Promise.resolve();
  #hooks: 'unknown' | 'started' | 'stopped' = 'unknown';
  #hookTrouble: readonly string[] = [];
  /** The daemons that a worker runs too were stopped. */
  #mustFollow = true;
  /** A worker runs, all that comes before it is done. */
  #isWorker = false;

  constructor(settings: PromotionSettings, ports: RolePorts, ground: SwitchGround) {
    this.#settings = settings;
    this.#ports = ports;
    this.#ground = ground;
  }

  /** The role that runs now. */
  get current(): Assignment | undefined {
    return this.#current;
  }

  get wanted(): Assignment | undefined {
    return this.#wanted;
  }

  get hookTrouble(): readonly string[] {
    return this.#hookTrouble;
  }

  /** Never waits: the node is told, and the hooks begin to stop, before it returns. */
  want(assignment: Assignment): void {
    const before = this.#wanted;
    this.#wanted = assignment;
    if (before !== undefined && isSame(before, assignment)) return;
    this.#end.abort(new Error('the role of this node changes'));
    if (before?.kind === 'master') this.#stopHooks();
    this.#changed.resolve();
  }

  /** Resolves when no role runs that is not wanted, and what had to be stopped is. */
  async settled(): Promise<void> {
    while (this.#current !== undefined && !this.#isWanted(this.#current)) {
      await sleep(this.#ports.clock, 20);
    }
    await this.#stopped();
  }

  /** A hook that was starting something when the role ended is waited for: it is stopped after it. */
  async #stopped(): Promise<void> {
    await this.#starting;
    await this.#stopping;
  }

  /** Until `signal` aborts; then this host is left as one that is not the master. */
  async run(signal: AbortSignal, runRole: RunRole): Promise<void> {
    const wake = (): void => this.#changed.resolve();
    signal.addEventListener('abort', wake, { once: true });
    const settling = this.#settleOn(signal);
    try {
      while (!signal.aborted) {
        const wanted = this.#wanted;
        if (wanted === undefined) await this.#changed.promise;
        else await this.#runOne(wanted, signal, runRole);
      }
    } finally {
      signal.removeEventListener('abort', wake);
      await settling;
      await this.#stopped();
      if (this.#hooks !== 'stopped') this.#stopHooks();
      await this.#stopping;
    }
  }

  async #runOne(assignment: Assignment, signal: AbortSignal, runRole: RunRole): Promise<void> {
    const { clock, log } = this.#ports;
    this.#end = new AbortController();
    const until = AbortSignal.any([signal, this.#end.signal]);
    this.#current = assignment;
    log.info('promotion.role', { role: assignment.kind, ...tokenOf(assignment) });
    try {
      if (assignment.kind === 'worker') await this.#beforeWorker(until);
      this.#isWorker = assignment.kind === 'worker';
      const listening = (): void => {
        this.#starting = this.#startHooks(assignment, until);
      };
      if (!until.aborted) await runRole(assignment, until, listening);
    } catch (thrown) {
      if (!until.aborted) await this.#failed(assignment, messageOf(thrown));
    } finally {
      this.#current = undefined;
      this.#isWorker = false;
    }
    if (!until.aborted) await sleep(clock, againMs, until).catch(() => undefined);
  }

  async #failed(assignment: Assignment, why: string): Promise<void> {
    this.#ports.log.error('promotion.role_failed', { role: assignment.kind, why });
    this.#current = undefined;
    if (assignment.kind === 'master') await this.#ground.failed(assignment.token, why);
  }

  async #startHooks(assignment: Assignment, until: AbortSignal): Promise<void> {
    const { hooks, clock } = this.#ports;
    if (assignment.kind !== 'master') return;
    await this.#stopped();
    if (until.aborted) return;
    this.#hooks = 'started';
    const startedMs = clock.monotonicMs();
    const wrong = [...(await hooks.writeRole('master')), ...(await hooks.start())];
    this.#tellHooks(wrong);
    const tookMs = Math.round(clock.monotonicMs() - startedMs);
    // Demoted while they were being started.
    if (until.aborted) this.#stopHooks();
    else this.#ground.done(assignment.token, tookMs, wrong);
  }

  #stopHooks(): void {
    this.#hooks = 'unknown';
    this.#mustFollow = true;
    this.#stopping = this.#stopping.then(async () => {
      const wrong = await this.#ports.hooks.stop();
      if (wrong.length === 0) this.#hooks = 'stopped';
      this.#tellHooks(wrong);
    });
  }

  #tellHooks(wrong: readonly string[]): void {
    const { complaints } = this.#ports;
    this.#hookTrouble = wrong;
    if (wrong.length === 0) complaints.end(promotionTopics.hooks);
    else complaints.begin(promotionTopics.hooks, wrong.join('; '));
  }

  #isWanted(assignment: Assignment): boolean {
    return this.#wanted !== undefined && isSame(this.#wanted, assignment);
  }

  /** Whatever this host was before, and also after a kill in the middle of anything. */
  async #beforeWorker(until: AbortSignal): Promise<void> {
    await this.#stopped();
    if (this.#hooks !== 'stopped') this.#stopHooks();
    await this.#stopping;
    await this.#putAside(until);
    if (!until.aborted) this.#follow();
  }

  /** Beside the node: what a worker runs too asks through it. Not before a master's has stopped. */
  #follow(): void {
    const { hooks } = this.#ports;
    const record = this.#ground.record();
    const hasMaster = record !== undefined && record.node !== this.#settings.node;
    if (!hasMaster || !this.#mustFollow) return;
    this.#stopping = this.#stopping.then(async () => {
      if (this.#hooks !== 'stopped') return;
      const wrong = [...(await hooks.writeRole('worker')), ...(await hooks.follow())];
      this.#mustFollow = wrong.length > 0;
      this.#tellHooks(wrong);
    });
  }

  /** What failed, one try at a time. */
  async #hooksAgain(): Promise<void> {
    if (this.#hooks !== 'stopped') this.#stopHooks();
    this.#follow();
    await this.#stopping;
  }

  /** Only for another master's sake: while nobody else was recorded, its own file is the newest. */
  async #putAside(until: AbortSignal): Promise<void> {
    const { book, keys } = this.#ports;
    const record = this.#ground.record();
    const { isConfiguredMaster, node } = this.#settings;
    const mayHave =
      this.#ground.wasMaster() || (isConfiguredMaster && this.#ground.ownToken() === 0);
    if (!mayHave || record === undefined || record.node === node || until.aborted) return;
    const { bytes } = await keys.read();
    if (bytes.length > 0) await book.putAside(this.#ground.ownToken(), bytes);
    this.#ground.remember({ wasMaster: false });
  }

  /** Once this host has the file of the new master: what only the old copy holds is named. */
  async #settleOn(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#ports;
    for (let turn = 1; !signal.aborted; turn += 1) {
      await sleep(clock, settleEveryMs, signal).catch(() => undefined);
      if (turn % 5 === 0 && this.#isWorker && this.#wanted?.kind === 'worker') {
        await this.#hooksAgain();
      }
      try {
        await this.#settleAsides();
      } catch (thrown) {
        if (!(thrown instanceof PilotfishError)) throw thrown;
        log.error('promotion.asides_failed', { why: thrown.message });
      }
      this.#complainOfStrays();
    }
  }

  async #settleAsides(): Promise<void> {
    const { book, keys, log } = this.#ports;
    const record = this.#ground.freshRecord();
    if (record === undefined) return;
    const asides = await book.aside();
    if (asides.length === 0) return;
    const { bytes } = await keys.read();
    const isMaster = this.#current?.kind === 'master';
    if (!isMaster && digestOf(bytes) !== record.keys.digest) return; // not in step yet
    for (const { token, bytes: copy } of asides) {
      const strays = strayKeys(copy, bytes);
      const path = await book.settleAside(token, strays);
      if (strays.length === 0) continue;
      const names = strays
        .map(({ id, name }) => `${id} ${name}`)
        .join(', ')
        .slice(0, 1_000);
      log.error('promotion.stray_keys', { count: strays.length, names, path });
    }
  }

  #complainOfStrays(): void {
    const { book, complaints } = this.#ports;
    const files = book.strays();
    const count = files.reduce((sum, { keys }) => sum + keys.length, 0);
    if (count === 0) {
      complaints.end(promotionTopics.strays);
      return;
    }
    const where = files.map(({ path }) => path).join(', ');
    const what = `${count} keys that only this node gave out when it was the master are in ${where}`;
    complaints.begin(promotionTopics.strays, what);
  }
}

function isSame(left: Assignment, right: Assignment): boolean {
  if (left.kind === 'master') return right.kind === 'master' && left.token === right.token;
  if (right.kind === 'master') return false;
  const [one, two] = [left.record, right.record];
  return one?.token === two?.token && one?.address === two?.address && one?.port === two?.port;
}

function tokenOf(assignment: Assignment): { readonly token?: number } {
  if (assignment.kind === 'master') return { token: assignment.token };
  return assignment.record === undefined ? {} : { token: assignment.record.token };
}
