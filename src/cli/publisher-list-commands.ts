/** Commands around the list: `nodes`, `publish`, `drain`, `undrain`, `history`, `rollback`. */
import type { Command } from 'commander';
import { listLimits } from '../list/model.ts';
import { contentOf } from '../publisher/content.ts';
import { maxHistory } from '../publisher/history.ts';
import {
  drainOrder,
  publishConfigured,
  rollbackOrder,
  undrainOrder,
  weightOrder,
} from '../publisher/orders.ts';
import { type PublishOrder, preparePublication, publish } from '../publisher/publish.ts';
import { probeManagers } from '../publisher/watch-managers.ts';
import {
  addCommand,
  audited,
  type CommandParts,
  type Common,
  firstForm,
  readNumber,
  withOffice,
} from './publisher-command.ts';
import type { PublisherOffice } from './publisher-host.ts';
import { historyTable, nodesTable, outcomeJson, outcomeText } from './publisher-output.ts';
import { show } from './terminal.ts';

export function addNodes(program: Command, { terminal, host }: CommandParts): void {
  addCommand(program, 'nodes', 'every manager of the list, asked now')
    .addHelpText('after', `\n${firstForm}`)
    .action((flags: Common) =>
      withOffice(host, flags.dir, async ({ config, history }) => {
        const content = history.newest()?.content ?? contentOf(config.configured, []);
        const outcomes = await probeManagers(host.prober, content.managers, config.probe.deadline);
        const { value, text } = nodesTable(content, outcomes);
        show(terminal, flags.json, value, () => text);
      }),
    );
}

/** Every command that publishes: an order given by what `history` or `nodes` showed. */
interface Looked {
  readonly ifVersion?: string;
}

const ifVersion = [
  '--if-version <n>',
  'refuse (E047) when somebody decided something after this version, see history',
] as const;

interface PublishWords extends Looked {
  readonly dryRun: boolean;
  readonly rescueKey?: readonly string[];
}

export function addPublish(program: Command, parts: CommandParts): void {
  addCommand(program, 'publish', 'sign a new version if the configuration differs from the last')
    .option(...ifVersion)
    .option('--dry-run', 'say what would change, write nothing; exit code 3 if it would', false)
    .option(
      '--rescue-key <file...>',
      'root keys that sign too: needed to take more managers away at once than the root allows',
    )
    .action((flags: Common & PublishWords) =>
      withOffice(parts.host, flags.dir, async (plain) => {
        const files = flags.rescueKey ?? [];
        const rescueKeys = await Promise.all(files.map((path) => parts.host.readKeyFile(path)));
        const office = { ...plain, desk: { ...plain.desk, rescueKeys } };
        const order = publishConfigured(office.config.configured);
        if (!flags.dryRun) return publishAndTell(parts, flags, office, order);
        const planned = await preparePublication(office.desk, order);
        if (planned.kind === 'published') parts.outcome.exit = 3;
        const value = outcomeJson(planned, { isDryRun: true, servedBy: undefined });
        show(parts.terminal, flags.json, value, () =>
          outcomeText(planned, { isDryRun: true, servedBy: undefined }),
        );
      }),
    );
}

export function addDrains(program: Command, parts: CommandParts): void {
  const actions = [
    ['drain', 'tell agents to leave a manager', drainOrder],
    ['undrain', 'take a drained manager back', undrainOrder],
  ] as const;
  for (const [name, summary, orderOf] of actions) {
    addCommand(program, name, summary)
      .argument('<id>', 'id of the manager, see nodes')
      .option(...ifVersion)
      .action((id: string, flags: Common & Looked) =>
        withOffice(parts.host, flags.dir, (office) =>
          publishAndTell(parts, flags, office, orderOf(office.config.configured, id)),
        ),
      );
  }
}

export function addWeight(program: Command, parts: CommandParts): void {
  addCommand(program, 'weight', 'set the share of agents of a manager')
    .argument('<id>', 'id of the manager, see nodes')
    .argument('<n>', '0 (a last resort) to 1000, or `configured`: as publisher.yml says')
    .option(...ifVersion)
    .addHelpText('after', weightHelp)
    .action((id: string, text: string, flags: Common & Looked) =>
      withOffice(parts.host, flags.dir, (office) => {
        const weight = text === 'configured' ? undefined : readWeight(text);
        const order = weightOrder(office.config.configured, id, weight);
        return publishAndTell(parts, flags, office, order);
      }),
    );
}

const weightHelp = `
It holds over changes of publisher.yml, until \`weight ID configured\`. Agents that are well placed stay;
with \`balance.enabled\` surplus agents of a manager that holds too many are asked to go home.
\`simulate\` counts with it.
`;

function readWeight(text: string): number {
  if (/^0{1,4}$/.test(text)) return 0;
  return readNumber('weight', text, listLimits.maxWeight);
}

export function addHistory(program: Command, { terminal, host }: CommandParts): void {
  addCommand(program, 'history', 'the published versions, newest first')
    .option('--limit <n>', `how many, at most ${maxHistory}`, '20')
    .action((flags: Common & { readonly limit: string }) =>
      withOffice(host, flags.dir, async ({ history }) => {
        const entries = history.list(readNumber('--limit', flags.limit, maxHistory));
        const { value, text } = historyTable(entries);
        show(terminal, flags.json, value, () => text);
      }),
    );
}

export function addRollback(program: Command, parts: CommandParts): void {
  addCommand(program, 'rollback', 'publish a new version with the content of an old one')
    .argument('<version>', 'version, see history')
    .option(...ifVersion)
    .addHelpText(
      'after',
      '\nIt holds until publisher.yml changes, or `publish` goes back to what it says.\n',
    )
    .action((text: string, flags: Common & Looked) =>
      withOffice(parts.host, flags.dir, (office) => {
        const version = readVersion('version', text);
        const order = rollbackOrder(office.history, office.config.configured, version);
        return publishAndTell(parts, flags, office, order);
      }),
    );
}

function readVersion(name: string, text: string): number {
  return readNumber(name, text, Number.MAX_SAFE_INTEGER);
}

async function publishAndTell(
  parts: CommandParts,
  flags: Common & Looked,
  office: PublisherOffice,
  plain: PublishOrder,
): Promise<void> {
  const { terminal, host } = parts;
  const looked = flags.ifVersion;
  const seen = looked === undefined ? {} : { ifVersion: readVersion('--if-version', looked) };
  const order = { ...plain, ...seen };
  const action = `${order.reason} ${order.detail}`.trim();
  const outcome = await audited(parts, flags.dir, action, () => publish(office.desk, order));
  const servedBy = outcome.kind === 'published' ? await host.announce(flags.dir) : undefined;
  const facts = { isDryRun: false, servedBy };
  show(terminal, flags.json, outcomeJson(outcome, facts), () => outcomeText(outcome, facts));
}
