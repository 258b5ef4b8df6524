/** One that wants to write: the real keeper and the real engine, and a writer that goes on too long. */

import type { Clock } from '../../src/clock.ts';
import { PilotfishError } from '../../src/errors.ts';
import { systemRandom } from '../../src/host/system-clock.ts';
import type { LeaseEngine, Look } from '../../src/leader/engine.ts';
import { OfficeKeeper } from '../../src/leader/keep-office.ts';
import type { Told, WrittenValue } from './judge.ts';

export class Contender {
  readonly name: string;
  readonly told: Told[] = [];
  /** Monotonic instants at which it sat down. */
  readonly satDownAtMs: number[] = [];
  readonly keeper: OfficeKeeper;
  readonly #engine: LeaseEngine;
  readonly #running: Promise<void>;
  readonly #stop = new AbortController();
  #known = { revision: 0, op: '' };
  #token = 0;
  #count = 0;
  #isWriting = false;

  constructor(name: string, engine: LeaseEngine, clock: Clock) {
    this.name = name;
    this.#engine = engine;
    this.keeper = new OfficeKeeper({
      ...{ engine, clock, random: systemRandom, lookEveryMs: 300 },
      knownRevision: () => this.#known.revision,
      seen: (look) => this.#learn(look),
      changed: ({ kind }) => {
        if (kind === 'leader') this.satDownAtMs.push(performance.now());
      },
    });
    this.#running = this.keeper.run(this.#stop.signal);
    this.#running.catch(() => undefined); // `end` waits for it
  }

  isLeading(): boolean {
    return this.keeper.standing().kind === 'leader';
  }

  /** One write when it leads; `tooLate`: with its last token also when it does not. */
  async write(tooLate: boolean): Promise<void> {
    const standing = this.keeper.standing();
    if (standing.kind === 'leader') this.#token = standing.token;
    if (this.#isWriting || this.#token === 0) return;
    if (standing.kind !== 'leader' && !tooLate) return;
    this.#isWriting = true;
    const op = `${this.name}.${++this.#count}`;
    const value: WrittenValue = { op, token: this.#token, after: this.#known.op };
    try {
      const bytes = Buffer.from(JSON.stringify(value));
      const written = await this.#engine.write(this.#token, this.#known.revision, bytes);
      if (written.kind === 'written') this.#known = { revision: written.revision, op };
      const revision = written.kind === 'written' ? { revision: written.revision } : {};
      this.told.push({ op, outcome: written.kind, ...revision });
    } catch (thrown) {
      if (!(thrown instanceof PilotfishError)) throw thrown;
      this.told.push({ op, outcome: 'error' });
    } finally {
      this.#isWriting = false;
    }
  }

  async end(): Promise<void> {
    this.#stop.abort(new DOMException('it ends', 'AbortError'));
    await this.#running;
  }

  /** Never back: an answer that was under way while it wrote is older than what it knows. */
  #learn({ state }: Look): void {
    if (state === undefined || state.revision < this.#known.revision) return;
    const { op } = JSON.parse(Buffer.from(state.bytes).toString()) as WrittenValue;
    this.#known = { revision: state.revision, op };
  }
}
