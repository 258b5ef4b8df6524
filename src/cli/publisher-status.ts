/** `pilotfish-publisher status`: what is wrong, then how everything is. */
import type { Command } from 'commander';
import type { ExitCode } from '../errors.ts';
import type { Manager } from '../list/model.ts';
import { type Content, listedManagers } from '../publisher/content.ts';
import { listExpiresAtMs, type PublishedList } from '../publisher/history.ts';
import type { Overview } from '../publisher/rollout/overview.ts';
import { parseRunning, type RunningStatus, type SeenManager } from '../publisher/status/running.ts';
import { type Finding, judgeStatus } from './judge-publisher.ts';
import { addCommand, type CommandParts, type Common, withOffice } from './publisher-command.ts';
import { followText } from './publisher-follow.ts';
import type { FollowedView } from './publisher-host.ts';
import { readOverview } from './publisher-rollout-commands.ts';
import {
  type Cell,
  paint,
  printable,
  renderDuration,
  renderTable,
  show,
  type Terminal,
} from './terminal.ts';

interface Status {
  readonly findings: readonly Finding[];
  readonly newest: PublishedList | undefined;
  readonly running: RunningStatus | undefined;
  readonly overview: Overview | undefined;
  readonly nowMs: number;
}

export function addStatus(program: Command, parts: CommandParts): void {
  const { terminal, host, outcome } = parts;
  addCommand(
    program,
    'status',
    'what is wrong here, then list, managers, rollout, reports, refusals',
  )
    .addHelpText('after', statusHelp)
    .action(async (flags: Common) => {
      const followed = await host.readFollowed(flags.dir);
      if (followed !== undefined) return showFollower(parts, flags, followed);
      return withOffice(host, flags.dir, async (office) => {
        const told = await host.askStatus(flags.dir);
        const newest = office.history.newest();
        const nowMs = host.clock.nowMs();
        const running = told === undefined ? undefined : parseRunning(told);
        const overview = newest && readOverview(host, office, nowMs);
        const root = office.roots.newest.root;
        const isRosterEnabled = office.config.roster.enabled;
        const isMute = told !== undefined && running === undefined;
        const known = { newest, root, running, isMute, overview, isRosterEnabled };
        const findings = judgeStatus({ ...known, nowMs });
        outcome.exit = exitOf(findings);
        const status = { findings, newest, running, overview, nowMs };
        show(terminal, flags.json, jsonOf(status), () => textOf(status, terminal));
      });
    });
}

/** The same screen, of what somebody else signed. */
async function showFollower(
  { terminal, host, outcome }: CommandParts,
  flags: Common,
  followed: FollowedView,
): Promise<void> {
  const told = await host.askStatus(flags.dir);
  const nowMs = host.clock.nowMs();
  const running = told === undefined ? undefined : parseRunning(told);
  const newest = followed.held?.entry;
  const root = followed.held?.root ?? { version: 0, expiresAtMs: Number.POSITIVE_INFINITY };
  const rules = { overview: undefined, isRosterEnabled: false, isFollower: true };
  const isMute = told !== undefined && running === undefined;
  const findings = judgeStatus({ newest, root, running, isMute, ...rules, nowMs });
  outcome.exit = exitOf(findings);
  const status = { findings, newest, running, overview: undefined, nowMs };
  const { source, takenAtMs } = followed.held ?? {};
  const follows = { from: followed.from, source, takenAtMs, ...running?.follows };
  show(
    terminal,
    flags.json,
    { ...jsonOf(status), follows },
    () => `${followText(followed, running, nowMs)}${textOf(status, terminal)}`,
  );
}

const statusHelp = `
Exit codes: 0 nothing is wrong, 3 something wants a look, 1 agents get no good list from here.
Asks the running publisher over its local socket; what no publisher tells is read from its files.
Counters are since its start.
`;

function exitOf(findings: readonly Finding[]): ExitCode {
  if (findings.some(({ severity }) => severity === 'failed')) return 1;
  return findings.length > 0 ? 3 : 0;
}

function jsonOf({ findings, newest, running, overview, nowMs }: Status): object {
  return {
    verdict: ['ok', 'failed', '', 'degraded'][exitOf(findings)],
    findings,
    list: newest && {
      version: newest.version,
      reason: newest.reason,
      detail: newest.detail,
      hash: newest.hash,
      issued: new Date(newest.issuedAtMs).toISOString(),
      expires: new Date(listExpiresAtMs(newest)).toISOString(),
      expiresInSec: Math.round((listExpiresAtMs(newest) - nowMs) / 1_000),
      managers: listedManagers(newest.content),
    },
    rollout: overview,
    running,
  };
}

function textOf(status: Status, terminal: Terminal): string {
  const parts = [
    findingsText(status.findings, terminal),
    listText(status),
    leaderText(status),
    managersText(status),
    publishersText(status),
    rolloutText(status),
    runningText(status),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function findingsText(findings: readonly Finding[], terminal: Terminal): string {
  if (findings.length === 0) return `${paint(terminal, 'green', 'ok')}: nothing is wrong\n`;
  return findings
    .map(({ severity, what, todo }) => {
      const head = paint(terminal, severity === 'failed' ? 'red' : 'yellow', severity);
      return `${head}: ${printable(what)}\n  what to do: ${todo}\n`;
    })
    .join('');
}

function listText({ newest, nowMs }: Status): string {
  if (newest === undefined) return '';
  const { version, reason, detail, issuedAtMs } = newest;
  const leftMs = listExpiresAtMs(newest) - nowMs;
  const why = detail === '' ? reason : `${reason} ${detail}`;
  const age = renderDuration(Math.max(0, nowMs - issuedAtMs));
  const ends = leftMs > 0 ? `expires in ${renderDuration(leftMs)}` : 'expired';
  return `list ${version} (${printable(why)}), signed ${age} ago, ${ends}\n`;
}

function leaderText({ running, nowMs }: Status): string {
  const leader = running?.leader;
  if (leader === undefined) return '';
  const { engine, name, leads, holder, term, why, sinceAtMs } = leader;
  const since = `for ${renderDuration(Math.max(0, nowMs - sinceAtMs))}`;
  const url = holder === undefined || holder.url === '' ? '' : ` (${printable(holder.url)})`;
  const who = leads ? `this publisher, ${name}` : `${printable(holder?.name ?? 'nobody')}${url}`;
  return `leader: ${who}, ${since} (${engine}, term ${term}): ${printable(why)}\n`;
}

function managersText({ newest, running }: Status): string {
  if (newest === undefined) return '';
  const seen = new Map(running?.roster?.managers.map((one) => [one.id, one]));
  const rows = listedManagers(newest.content).map((manager) => {
    const one = seen.get(manager.id);
    return [
      ...[manager.id, manager.state, weightText(manager, newest.content.shares)],
      ...[readyText(one), one?.probe ?? running?.probes[manager.id], one?.cluster],
      ...[lagText(one), one?.why],
    ];
  });
  const header = ['manager', 'list says', 'weight', 'ready', 'probe', 'cluster', 'lag', 'why'];
  return renderTable(header, rows);
}

function weightText({ id, weight }: Manager, shares: Content['shares']): Cell {
  const share = shares?.[id];
  return share === undefined ? weight : `${weight} (${share} % for its load)`;
}

/** Those that stand by, and whether what they see counts. */
function publishersText({ running }: Status): string {
  const known = running?.roster?.publishers ?? [];
  const told = known.map(({ publisher, site, ageMs, load, ignored }) => {
    const where = site === undefined ? '' : ` (${site})`;
    const busy = load === undefined ? '' : `, ${printable(load)}`;
    const counts = ignored === undefined ? 'its views count' : `not counted: ${printable(ignored)}`;
    return `publisher ${publisher}${where}, heard ${renderDuration(ageMs)} ago${busy}: ${counts}\n`;
  });
  return told.join('');
}

function readyText(one: SeenManager | undefined): string | undefined {
  if (one === undefined) return undefined;
  if (one.isDamped) return 'damped';
  return one.isReady ? 'yes' : 'no';
}

function lagText(one: SeenManager | undefined): Cell {
  const lags = one?.lags;
  if (lags === undefined) return one?.step;
  const known = [
    ['keys', lags.keysMs],
    ['groups', lags.groupsMs],
    ['files', lags.filesMs],
  ] as const;
  const late = known.filter(([, ms]) => ms > 0);
  if (late.length === 0) return `none, keys ${lags.keysGeneration}`;
  return late.map(([name, ms]) => `${name} ${renderDuration(ms)}`).join(', ');
}

function rolloutText({ overview }: Status): string {
  const record = overview?.record;
  if (overview === undefined || record === undefined) return '';
  const { state, stats, next } = overview;
  const heard = stats === undefined ? '' : `, heard ${stats.reported} of ${stats.known}`;
  return `rollout ${record.id} ${state}, wave ${record.pct} %${heard}: ${printable(next)}\n`;
}

function forwardText(forward: NonNullable<RunningStatus['reports']>['forward']): string {
  if (forward === undefined || forward.passed + forward.waiting === 0) return '';
  return `, ${forward.passed} handed on to the leader, ${forward.waiting} wait for it`;
}

function runningText({ running, nowMs }: Status): string {
  if (running === undefined) return '';
  const { reports, refused } = running;
  const up = renderDuration(Math.max(0, nowMs - running.startedAtMs));
  const told =
    reports === undefined
      ? ''
      : `${reports.taken} reports of ${reports.agents} agents taken, ${reports.unsaved} not on disk${forwardText(reports.forward)}\n`;
  const counts = Object.entries(refused);
  const bad = counts.map(([name, count]) => `${count} ${name}`).join(', ');
  return (
    `up ${up}, event loop ${Math.round(running.lagMs)} ms late, ` +
    `${running.connections} connections, ${running.waiting} polls wait\n${told}` +
    `refused since then: ${printable(bad) || 'nothing'}\n`
  );
}
