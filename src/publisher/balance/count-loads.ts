/**
 * How many agents each manager holds, and how many rank it first, from the reports. Ranking a
 * hundred thousand agents takes a second of hashing: what was worked out is kept for as long as the
 * managers are the same, and no look works out more than some thousands.
 */
import type { Manager } from '../../list/model.ts';
import { rankManagers } from '../../list/select.ts';
import type { AgentRow } from '../reports/agent-book.ts';
import { isSilent } from '../reports/standing.ts';
import type { Load } from './judge-balance.ts';

const rankedPerLook = 5_000;

export class LoadCounter {
  #signature = '';
  #homes = new Map<string, string>();

  /** Undefined while homes are still being worked out. */
  count(
    managers: readonly Manager[],
    rows: Iterable<AgentRow>,
    nowMs: number,
  ): readonly Load[] | undefined {
    const up = managers.filter(({ state }) => state === 'up');
    this.#follow(up);
    const loads = new Map(
      up.map(({ id }) => [id, { id, agents: 0, share: 0, strangers: new Map<string, number>() }]),
    );
    const homes = new Map<string, string>();
    let ranked = 0;
    for (const row of rows) {
      const { report } = row;
      if (!report.connected || report.manager === undefined || isSilent(row, nowMs)) continue;
      const key = `${report.zone ?? ''}\n${report.place}`;
      let home = this.#homes.get(key);
      if (home === undefined) {
        if (ranked >= rankedPerLook) continue;
        ranked += 1;
        home = homeOf(up, report) ?? '';
      }
      homes.set(key, home);
      add(loads, report.manager, home);
    }
    this.#homes = new Map([...(ranked >= rankedPerLook ? this.#homes : []), ...homes]);
    return ranked >= rankedPerLook ? undefined : [...loads.values()];
  }

  #follow(up: readonly Manager[]): void {
    const signature = JSON.stringify(
      up.map(({ id, weight, prio, zone }) => [id, weight, prio, zone]),
    );
    if (signature !== this.#signature) this.#homes = new Map();
    this.#signature = signature;
  }
}

function homeOf(up: readonly Manager[], { place, zone }: AgentRow['report']): string | undefined {
  const seat = { agentId: place, ...(zone === undefined ? {} : { zone }) };
  return rankManagers(up, seat)[0]?.id;
}

function add(
  loads: ReadonlyMap<
    string,
    { agents: number; share: number; readonly strangers: Map<string, number> }
  >,
  manager: string,
  home: string,
): void {
  const [here, there] = [loads.get(manager), loads.get(home)];
  if (there !== undefined) there.share += 1;
  if (here === undefined) return;
  here.agents += 1;
  if (home !== manager) here.strangers.set(home, (here.strangers.get(home) ?? 0) + 1);
}
