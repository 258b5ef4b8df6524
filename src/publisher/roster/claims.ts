/**
 * How many agents a node says it has, next to how many report under their own keys that they are on
 * it. A claim decides nothing: readiness, weights and placement live by probes and reports. A node
 * that goes on contradicting its agents is told of. Bounded by the managers; time is an argument.
 */
import type { AgentRow } from '../reports/agent-book.ts';
import { isSilent } from '../reports/standing.ts';
import type { ManagerViews } from './view.ts';

/** The master hears of connections late, and reports are spread over a minute. */
const patienceMs = 300_000;
const lookEveryMs = 10_000;
/** Agents without a sidecar report nothing, so only fewer than report is a contradiction. */
const slack = 20;
/** More than any cluster has. */
const mostAgents = 10_000_000;

export class ClaimBook {
  readonly #sinceAtMs = new Map<string, number>();
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  /** Counting a hundred thousand reports is not for every round. */
  isDue(nowMs: number): boolean {
    return Math.abs(nowMs - this.#lookedAtMs) >= lookEveryMs;
  }

  /** By manager id, what its node has been saying wrongly for long. */
  note(
    views: readonly Pick<ManagerViews, 'id' | 'claimedAgents'>[],
    reported: ReadonlyMap<string, number>,
    nowMs: number,
  ): ReadonlyMap<string, string> {
    this.#lookedAtMs = nowMs;
    const wrong = views.flatMap(({ id, claimedAgents }) => {
      const why = contradiction(claimedAgents, reported.get(id) ?? 0);
      return why === undefined ? [] : [[id, why] as const];
    });
    const ids = new Set(wrong.map(([id]) => id));
    for (const id of [...this.#sinceAtMs.keys()]) if (!ids.has(id)) this.#sinceAtMs.delete(id);
    for (const id of ids) if (!this.#sinceAtMs.has(id)) this.#sinceAtMs.set(id, nowMs);
    return new Map(
      wrong.filter(([id]) => nowMs - (this.#sinceAtMs.get(id) ?? nowMs) >= patienceMs),
    );
  }
}

function contradiction(claimed: number | undefined, reported: number): string | undefined {
  if (claimed === undefined) return undefined;
  const isNumber = Number.isSafeInteger(claimed) && claimed >= 0 && claimed <= mostAgents;
  if (!isNumber) return `its node says it has ${claimed} agents`;
  if (reported - claimed <= Math.max(slack, reported / 2)) return undefined;
  return `its node says it has ${claimed} agents, ${reported} report that they are on it`;
}

/** Agents by the manager that they say they are on. */
export function reportedAgents(
  rows: Iterable<AgentRow>,
  nowMs: number,
): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const row of rows) {
    const { connected, manager } = row.report;
    if (!connected || manager === undefined || isSilent(row, nowMs)) continue;
    counts.set(manager, (counts.get(manager) ?? 0) + 1);
  }
  return counts;
}
