/** `timeline` of both programs: incidents with their steps, a sparkline, and every moment. */
import type { Command } from 'commander';
import {
  type Incident,
  incidentsOf,
  inOrder,
  type Moment,
  type Phase,
  sparkline,
} from '../diagnosis/timeline.ts';
import { ConfigError } from '../errors.ts';
import { parseDurationMs } from './config-file.ts';
import { paint, printable, renderDuration, show, type Terminal } from './terminal.ts';

export interface TimelineFlags {
  readonly since: string;
  readonly limit: string;
  readonly json: boolean;
}

export const maxMoments = 10_000;

export function withTimelineFlags(command: Command): Command {
  return command
    .option('--since <duration>', 'how far back, such as 2h or 7d', '24h')
    .option('--limit <n>', `how many moments to show, newest ones, at most ${maxMoments}`, '60')
    .addHelpText('after', timelineHelp);
}

const timelineHelp = `
An incident: detect (a manager is seen dead) → publish (a list says so) → apply (the agent's
configuration, or the relay, follows) → first event (the agent is heard on its new manager).
Incidents are a quarter of an hour of quiet apart. The bars show when how much happened.
`;

/** Throws ConfigError `usage`. */
export function sinceOf({ since }: TimelineFlags, nowMs: number): number {
  const ms = parseDurationMs(since);
  if (ms !== undefined && ms > 0 && ms <= 366 * 86_400_000) return nowMs - ms;
  throw new ConfigError('usage', `--since ${since}: a duration up to 366d expected, such as 2h`);
}

export function showTimeline(
  terminal: Terminal,
  flags: TimelineFlags,
  moments: readonly Moment[],
  nowMs: number,
): void {
  const limit = Number(flags.limit);
  if (!(Number.isInteger(limit) && limit >= 1 && limit <= maxMoments)) {
    throw new ConfigError('usage', `--limit ${flags.limit}: 1 to ${maxMoments} expected`);
  }
  const fromMs = sinceOf(flags, nowMs);
  const seen = inOrder(moments.filter(({ atMs }) => atMs >= fromMs && atMs <= nowMs));
  const incidents = incidentsOf(seen);
  const shown = seen.slice(-limit);
  const value = { fromMs, toMs: nowMs, incidents, total: seen.length, moments: shown };
  show(terminal, flags.json, value, () => {
    const width = Math.max(20, Math.min(72, terminal.columns - 12));
    const bars = sparkline(seen, { fromMs, toMs: nowMs }, width);
    const more = seen.length - shown.length;
    return [
      `${flags.since} ago ${bars} now`,
      ...incidents.map((one) => incidentText(terminal, one)),
      ...(more > 0 ? [`(${more} earlier ones; --limit shows more)`] : []),
      ...shown.map((one) => momentText(terminal, one)),
      ...(seen.length === 0 ? ['nothing happened'] : []),
    ].join('\n');
  });
}

const order: readonly Phase[] = ['detect', 'publish', 'apply', 'first event'];

function incidentText(terminal: Terminal, incident: Incident): string {
  const { startedAtMs, after, allAppliedMs } = incident;
  const steps = order.flatMap((phase) => {
    const ms = after[phase];
    if (ms === undefined) return [];
    const isSpread = phase === 'apply' && allAppliedMs !== undefined && allAppliedMs > ms;
    const until = isSpread ? `, all by ${renderDuration(allAppliedMs)}` : '';
    return [`${phase} ${ms === 0 ? '' : '+'}${renderDuration(ms)}${until}`];
  });
  return paint(terminal, 'bold', `incident ${instant(startedAtMs)}: ${steps.join(' → ')}`);
}

function momentText(terminal: Terminal, { atMs, phase, what }: Moment): string {
  const step = (phase ?? '').padEnd(11);
  return `  ${instant(atMs)}  ${phase === undefined ? step : paint(terminal, 'yellow', step)}  ${printable(what)}`;
}

function instant(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 23).replace('T', ' ');
}
