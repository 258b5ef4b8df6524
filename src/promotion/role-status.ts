/** Of what a node knows of the role, what `promotion status` shows. */
import { sleep } from '../clock.ts';
import type { Freshness } from './judge.ts';
import type { PromotionStatus, RoleName, RolePorts } from './ports.ts';
import type { RoleRecord } from './record.ts';

const tellEveryMs = 1_000;
const retellMs = 5_000;

/** Without the sealed changes: nobody reads them there. */
export function shownRecord(record: RoleRecord | undefined): PromotionStatus['record'] {
  if (record === undefined) return undefined;
  const { keys, ...rest } = record;
  const { steps: _steps, ...facts } = keys;
  return { ...rest, keys: facts };
}

export function keysText(role: RoleName, freshness: Freshness | undefined): string {
  if (role === 'master') return 'the newest';
  if (freshness === undefined) return 'nothing is on record';
  return freshness.kind === 'behind' ? freshness.why : 'in step';
}

export class StatusTeller {
  readonly #ports: Pick<RolePorts, 'book' | 'clock'>;
  readonly #status: () => PromotionStatus;
  #told = { text: '', atMs: 0 };

  constructor(ports: Pick<RolePorts, 'book' | 'clock'>, status: () => PromotionStatus) {
    this.#ports = ports;
    this.#status = status;
  }

  /** Until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.tell();
      await sleep(this.#ports.clock, tellEveryMs, signal).catch(() => undefined);
    }
  }

  /** What is new at once, else now and then: it is written for as long as this host lives. */
  tell(): void {
    const { writtenAtMs, ...news } = this.#status();
    const text = JSON.stringify(news);
    if (text === this.#told.text && Math.abs(writtenAtMs - this.#told.atMs) < retellMs) return;
    this.#told = { text, atMs: writtenAtMs };
    this.#ports.book.tell({ writtenAtMs, ...news });
  }
}
