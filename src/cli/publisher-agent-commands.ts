/** Commands around the agents: `agents`, `explain`. */
import type { Command } from 'commander';
import { ConfigError } from '../errors.ts';
import { listOf } from '../publisher/publish.ts';
import type { AgentRow } from '../publisher/reports/agent-book.ts';
import { type AgentPage, pageOf } from '../publisher/reports/agent-table.ts';
import { type Explanation, explainAgent } from '../publisher/reports/explain.ts';
import type { Target } from '../publisher/reports/standing.ts';
import { targetOf } from '../publisher/rollout/overview.ts';
import {
  addCommand,
  type CommandParts,
  type Common,
  readNumber,
  withOffice,
} from './publisher-command.ts';
import type { PublisherOffice } from './publisher-host.ts';
import { printable, renderTable, show } from './terminal.ts';

interface AgentWords {
  readonly filter: readonly string[];
  readonly sort: string;
  readonly reverse: boolean;
  readonly page: string;
  readonly limit: string;
}

const maxLimit = 10_000;
const maxPage = 1_000_000;

export function addAgents(program: Command, { terminal, host }: CommandParts): void {
  addCommand(program, 'agents', 'every agent that reports: version held, target, manager, why')
    .option('--filter <test...>', 'COLUMN=TEXT or COLUMN!=TEXT; all must hold', [])
    .option('--sort <column>', 'column to sort by', 'agent')
    .option('--reverse', 'the other way round', false)
    .option('--page <n>', 'page', '1')
    .option('--limit <n>', 'lines on a page', '50')
    .addHelpText('after', agentsHelp)
    .action((flags: Common & AgentWords) =>
      withOffice(host, flags.dir, async (office) => {
        const query = {
          filters: flags.filter,
          sort: flags.sort,
          isReverse: flags.reverse,
          page: readNumber('--page', flags.page, maxPage),
          limit: readNumber('--limit', flags.limit, maxLimit),
        };
        const page = office.withReports((store) =>
          pageOf(store.rows(), wantedOf(office), query, host.clock.nowMs()),
        );
        show(terminal, flags.json, page, () => agentsText(page, query.page));
      }),
    );
}

const agentsHelp = `
Columns: agent site group zone os version sidecar manager holds target state reason errors ageSec
States: on_target, waiting (its wave has not come), behind, failed, away (not connected), silent.
Examples:
  agents --filter state=failed --filter site=eu-1     agents --filter errors=E610 --sort ageSec
`;

export function addExplain(program: Command, { terminal, host }: CommandParts): void {
  addCommand(program, 'explain', 'why an agent is where it is')
    .argument('<agent>', 'id of the agent, as in client.keys')
    .action((agent: string, flags: Common) =>
      withOffice(host, flags.dir, async (office) => {
        const told = office.withReports((store) => {
          const row = requireRow(store.rows(), agent);
          const held = office.history.find(row.report.list?.position.version ?? 0);
          return explainAgent({
            row,
            target: wantedOf(office),
            shares: office.history.newest()?.content.shares,
            held:
              held === undefined || held.hash !== row.report.list?.hash ? undefined : listOf(held),
            events: store.events(row.report.agent, 20),
            nowMs: host.clock.nowMs(),
          });
        });
        show(terminal, flags.json, told, () => explanationText(told));
      }),
    );
}

/** Throws ConfigError `unknown_version` while nothing was published. */
function wantedOf({ history }: PublisherOffice): Target {
  const newest = history.newest();
  if (newest === undefined) throw new ConfigError('unknown_version', 'nothing was published yet');
  const { rollout } = newest;
  return targetOf(newest, rollout === undefined ? undefined : history.find(rollout.stableVersion));
}

/** `7` means `007`. */
function requireRow(rows: readonly AgentRow[], agent: string): AgentRow {
  const found = rows.find(
    ({ report }) => report.agent === agent || report.agent === agent.padStart(3, '0'),
  );
  if (found !== undefined) return found;
  throw new ConfigError('unknown_agent', `no agent ${JSON.stringify(agent)} has reported here`);
}

function agentsText({ lines, total, pages, states }: AgentPage, page: number): string {
  const header = [
    'agent',
    'site',
    'os',
    'version',
    'manager',
    'holds',
    'target',
    'state',
    'age',
    'reason',
  ];
  const rows = lines.map((line) => [
    ...[line.agent, line.site, line.os, line.version, line.manager, line.holds, line.target],
    ...[line.state, `${line.ageSec} s`, line.reason],
  ]);
  const counts = Object.entries(states).map(([state, count]) => `${count} ${state}`);
  return `${renderTable(header, rows)}${total} agents (${counts.join(', ') || 'none'}), page ${page} of ${pages}\n`;
}

function explanationText({ agent, lines, ranking, events }: Explanation): string {
  const order = renderTable(
    ['order', 'manager', 'list says', 'it sees'],
    ranking.map(({ id, state, verdict }, index) => [index + 1, id, state, verdict]),
  );
  const past = renderTable(
    ['when', 'what', ''],
    events.map(({ atMs, kind, text }) => [
      new Date(atMs).toISOString().slice(0, 19).replace('T', ' '),
      kind,
      text,
    ]),
  );
  const told = lines.map((line) => `  ${printable(line)}\n`).join('');
  return `agent ${agent}\n${told}\n${order}\n${past}`;
}
