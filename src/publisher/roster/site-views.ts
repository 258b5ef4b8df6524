/**
 * What the sidecars of each site see of a manager, as one opinion per site. One agent has one
 * voice, a site needs several voters, and a site that sees nothing at all is blind: it says nothing.
 */
import type { AgentRow } from '../reports/agent-book.ts';
import { isSilent } from '../reports/standing.ts';
import type { Opinion } from './view.ts';

export type SiteViews = ReadonlyMap<
  string,
  readonly { readonly site: string; readonly opinion: Opinion }[]
>;

const minVoters = 3;
/** Reports older than this say nothing about now. */
const freshMs = 60_000;

export function siteViews(rows: Iterable<AgentRow>, nowMs: number): SiteViews {
  const tallies = new Map<string, Map<string, { up: number; down: number }>>();
  for (const row of rows) {
    const { report, receivedAtMs } = row;
    if (nowMs - receivedAtMs > freshMs || isSilent(row, nowMs)) continue;
    // Whoever sees nobody, or has no connection, sees itself.
    if (!report.health.some(({ verdict }) => verdict === 'up')) continue;
    const site = tallies.get(report.site) ?? new Map();
    tallies.set(report.site, site);
    for (const { id, verdict } of report.health) {
      const tally = site.get(id) ?? { up: 0, down: 0 };
      if (verdict === 'up' || verdict === 'draining') tally.up += 1;
      if (verdict === 'down') tally.down += 1;
      site.set(id, tally);
    }
  }
  return opinionsOf(tallies);
}

function opinionsOf(
  tallies: ReadonlyMap<string, ReadonlyMap<string, { readonly up: number; readonly down: number }>>,
): SiteViews {
  const views = new Map<string, { readonly site: string; readonly opinion: Opinion }[]>();
  for (const [site, managers] of tallies) {
    for (const [id, { up, down }] of managers) {
      if (up + down < minVoters) continue;
      const opinion: Opinion = down > up ? 'down' : 'up';
      views.set(id, [...(views.get(id) ?? []), { site, opinion }]);
    }
  }
  return views;
}
