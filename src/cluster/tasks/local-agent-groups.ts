/**
 * Local agent-groups of a master (cluster-protocol.md 4.5): every few seconds the changes of
 * groups, and the checksum even when there are none, go to every worker. That they are owed is on
 * disk before the database marks them as sent.
 */
import { type Clock, sleep } from '../../clock.ts';
import { messageOf } from '../../guards.ts';
import { type AgentStore, isEmptyPage, type Pages } from '../store/agent-store.ts';
import type { GroupDebts } from '../store/group-debts.ts';
import { WdbError } from '../store/wazuh-db.ts';
import type { GroupsSender } from './agent-groups-sender.ts';
import { type NodeLog, seconds } from './node-log.ts';

export interface LocalAgentGroupsParts {
  readonly store: AgentStore;
  readonly debts: GroupDebts;
  readonly clock: Clock;
  /** `[Master] [Local agent-groups]`. */
  readonly log: NodeLog;
  readonly startDelayMs: number;
  readonly everyMs: number;
  /** Connected workers. */
  workers(): readonly GroupsSender[];
}

export class LocalAgentGroups {
  readonly #parts: LocalAgentGroupsParts;

  constructor(parts: LocalAgentGroupsParts) {
    this.#parts = parts;
  }

  /** Until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, startDelayMs, everyMs } = this.#parts;
    const delayS = startDelayMs / 1000;
    log.info(
      `Sleeping ${delayS}s before starting the agent-groups task, ` +
        'waiting for the workers connection.',
    );
    await sleep(clock, startDelayMs, signal).catch(() => undefined);
    while (!signal.aborted) {
      await this.#round(signal);
      await sleep(clock, everyMs, signal).catch(() => undefined);
    }
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { clock, log, workers } = this.#parts;
    const startedMs = clock.monotonicMs();
    log.info('Starting.');
    if (workers().length === 0) return log.info('No clients connected. Skipping.');
    try {
      const pages = await this.#changes(signal);
      const tookS = seconds(clock.monotonicMs() - startedMs);
      log.debug(`Obtained ${pages.length} chunks of data in ${tookS}s.`);
      for (const worker of workers()) {
        const what = 'Added broadcast request to execute "send_agent_groups_information"';
        log.debug2(`${what} in ${worker.name}.`);
        worker.queue(pages);
      }
    } catch (error) {
      if (signal.aborted) return;
      const what =
        error instanceof WdbError
          ? 'Could not obtain data from wazuh-db'
          : 'Error getting agent-groups from WDB';
      log.error(`${what}: ${messageOf(error)}`);
    }
    log.info(`Finished in ${seconds(clock.monotonicMs() - startedMs)}s.`);
  }

  async #changes(signal: AbortSignal): Promise<Pages> {
    const { store, debts, clock, workers } = this.#parts;
    const seen = await store.peekChangedGroups(signal);
    if (isEmptyPage(seen)) return [seen];
    debts.oweAll(clock.nowMs());
    try {
      return await store.takeChangedGroups(signal);
    } catch (error) {
      // The pages that came before it failed are marked as sent, and are nowhere.
      if (!signal.aborted) for (const worker of workers()) worker.wantAll();
      throw error;
    }
  }
}
