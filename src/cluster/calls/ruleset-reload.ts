/**
 * A worker's ruleset, read again by analysisd once its files are like the master's
 * (cluster-protocol.md 4.3): asked for over the local socket, done after the next finished check,
 * tried again after every check until analysisd has answered.
 */
import { isJsonObject, messageOf } from '../../guards.ts';
import type { NodeLog } from '../tasks/node-log.ts';
import type { DaemonPort } from './daemon-desk.ts';

const socket = 'queue/sockets/analysis';
const request = JSON.stringify({
  version: 1,
  origin: { module: 'cluster' },
  command: 'reload-ruleset',
});
const limits = { timeoutMs: 30_000, maxAnswerBytes: 65_536 } as const;

export interface RulesetReloadParts {
  readonly port: DaemonPort;
  readonly log: NodeLog;
}

export class RulesetReload {
  readonly #parts: RulesetReloadParts;
  #isWanted = false;
  #running: Promise<void> | undefined;

  constructor(parts: RulesetReloadParts) {
    this.#parts = parts;
  }

  get isWanted(): boolean {
    return this.#isWanted;
  }

  want(): void {
    this.#isWanted = true;
  }

  /** A check finished and the files are like the master's. Never rejects. */
  async checked(): Promise<void> {
    if (!this.#isWanted) return;
    this.#running ??= this.#reload().finally(() => {
      this.#running = undefined;
    });
    await this.#running;
  }

  async #reload(): Promise<void> {
    const { port, log } = this.#parts;
    const done = 'Ruleset reload triggered by cluster integrity check: ';
    try {
      const answer = await port.exchange({ socket, message: request, ...limits });
      const { error, data } = parseAnswer(answer);
      const told = data.join(', ');
      this.#isWanted = false;
      if (error !== 0) log.error(`Ruleset reload failed after cluster integrity check: ${told}`);
      else if (data.length === 0) log.info(`${done}reload message sent successfully.`);
      else log.warning(`Ruleset reloaded with warnings after cluster integrity check: ${told}`);
    } catch (error) {
      log.error(`Ruleset reload failed after cluster integrity check: ${messageOf(error)}`);
    }
  }
}

function parseAnswer(text: string): { readonly error: number; readonly data: readonly string[] } {
  const value: unknown = JSON.parse(text);
  if (!isJsonObject(value) || typeof value.error !== 'number') {
    throw new Error('analysisd answered something else');
  }
  const data = Array.isArray(value.data) ? value.data.map((one) => String(one).slice(0, 512)) : [];
  return { error: value.error, data };
}
