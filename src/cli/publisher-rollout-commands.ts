/** `rollout status | pause | resume | abort`. */
import type { Command } from 'commander';
import { ConfigError } from '../errors.ts';
import type { RolloutMark } from '../publisher/history.ts';
import { markNewest, markRollout as shareMark } from '../publisher/rollout/mark.ts';
import { type Overview, overviewOf } from '../publisher/rollout/overview.ts';
import {
  addCommand,
  audited,
  type CommandParts,
  type Common,
  withOffice,
} from './publisher-command.ts';
import type { PublisherHost, PublisherOffice } from './publisher-host.ts';
import { gateSettingsOf } from './rollout-config.ts';
import { printable, renderDuration, renderTable, show } from './terminal.ts';

export function addRollout(program: Command, parts: CommandParts): void {
  const rollout = program
    .command('rollout')
    .description('changes of the list in waves: where they stand, hold them, take them back');
  const { terminal, host } = parts;
  addCommand(rollout, 'status', 'the waves, what is heard of them, who holds what').action(
    (flags: Common) =>
      withOffice(host, flags.dir, async (office) => {
        const nowMs = host.clock.nowMs();
        const overview = readOverview(host, office, nowMs);
        show(terminal, flags.json, overview, () => overviewText(overview, nowMs));
      }),
  );
  const marks = [
    ['pause', 'paused', 'hold the next wave; a wave that fails still goes back'],
    ['resume', 'resumed', 'go on after a pause'],
    ['abort', 'aborted', 'go back to the version before, for everybody, at once'],
  ] as const;
  for (const [name, kind, summary] of marks) {
    addCommand(rollout, name, summary)
      .option('--reason <text>', 'for the others', '')
      .option('--rollout <id>', 'only this one, see rollout status; refused when another runs')
      .action((flags: Common & MarkWords) =>
        withOffice(host, flags.dir, (office) => markRollout(parts, flags, office, kind)),
      );
  }
}

/** Throws ConfigError `unknown_version` while nothing was published. */
export function readOverview(
  host: Pick<PublisherHost, 'frozen'>,
  office: PublisherOffice,
  nowMs: number,
): Overview {
  const { history, config } = office;
  const newest = history.newest();
  if (newest === undefined) throw new ConfigError('unknown_version', 'nothing was published yet');
  const rows = office.withReports((store) => store.rows());
  const { rollout } = newest;
  return overviewOf({
    newest,
    stable: rollout === undefined ? undefined : history.find(rollout.stableVersion),
    rows,
    mark: rollout === undefined ? undefined : history.markOf(rollout.id),
    frozen: host.frozen(config, nowMs),
    settings: gateSettingsOf(config.rollout, rows.length),
    nowMs,
  });
}

interface MarkWords {
  readonly reason: string;
  readonly rollout?: string;
}

async function markRollout(
  parts: CommandParts,
  flags: Common & MarkWords,
  { history, desk }: PublisherOffice,
  kind: RolloutMark['kind'],
): Promise<void> {
  const { terminal, host } = parts;
  const action = `rollout ${kind} ${flags.reason}`.trim();
  const mark = await audited(parts, flags.dir, action, async () => {
    const marked = markNewest(history, {
      ...(flags.rollout === undefined ? {} : { id: flags.rollout }),
      ...{ kind, who: host.userName(), why: flags.reason },
      atMs: host.clock.nowMs(),
    });
    await shareMark(desk, marked);
    return marked;
  });
  const isRunning = (await host.announce(flags.dir)) !== undefined;
  const note = isRunning
    ? ''
    : 'no publisher answered: one that runs here follows within a second\n';
  show(terminal, flags.json, { ...mark, isRunning }, () => `rollout ${mark.id} ${kind}\n${note}`);
}

const barWidth = 30;

function bar(part: number, whole: number): string {
  const full = whole === 0 ? 0 : Math.round((part / whole) * barWidth);
  return `[${'#'.repeat(full)}${'.'.repeat(barWidth - full)}]`;
}

function overviewText(overview: Overview, nowMs: number): string {
  const { record, state, version, next, mark } = overview;
  const shares = renderTable(
    ['agents', 'new list', '', 'failed'],
    overview.shares.map(({ name, agents, onNew, failed }) => [
      name,
      bar(onNew, agents),
      `${onNew} / ${agents}`,
      failed,
    ]),
  );
  if (record === undefined) return `version ${version}: ${next}\n\n${shares}`;
  const who =
    mark === undefined
      ? ''
      : ` (${mark.kind} by ${printable(mark.who)}${mark.why === '' ? '' : `: ${printable(mark.why)}`})`;
  const head = `rollout ${record.id}, ${record.lane} lane, ${state}${who}: version ${version} in place of ${record.stableVersion}\n${printable(next)}\n`;
  return `${head}\n${wavesTable(overview, nowMs)}\n${shares}`;
}

function wavesTable({ record, stats }: Overview, nowMs: number): string {
  if (record === undefined || stats === undefined) return '';
  const rows = record.stages.map(({ percent, bakeMs }, index) => {
    if (index !== record.stage) {
      return [`${percent} %`, renderDuration(bakeMs), index < record.stage ? 'passed' : 'to come'];
    }
    const age = renderDuration(Math.max(0, nowMs - record.stageStartedAtMs));
    const heard = `${stats.reported} / ${stats.known}`;
    return [
      `${record.pct} %`,
      renderDuration(bakeMs),
      `for ${age}`,
      heard,
      stats.failed,
      stats.restored,
    ];
  });
  return renderTable(['wave', 'bake', 'state', 'heard', 'failed', 'restored'], rows);
}
