/** Every command of `pilotfish-publisher`: flags in, one action, a table or JSON out. */
import type { Command } from 'commander';
import { Option } from 'commander';
import { encodeBase64Url } from '../bytes.ts';
import { ConfigError } from '../errors.ts';
import { publisherUrl } from '../list/members.ts';
import { renderToken } from '../list/token.ts';
import { contentOf } from '../publisher/content.ts';
import { maxHistory } from '../publisher/history.ts';
import type { InitRequest } from '../publisher/init.ts';
import { drainOrder, publishConfigured, rollbackOrder, undrainOrder } from '../publisher/orders.ts';
import { type PublishOrder, preparePublication, publish } from '../publisher/publish.ts';
import { probeManagers } from '../publisher/watch-managers.ts';
import { renderReference } from './config-file.ts';
import { parsePublisherConfig, publisherSchema } from './publisher-config.ts';
import { parseManagers } from './publisher-endpoint.ts';
import type { PublisherHost, PublisherOffice, Signals } from './publisher-host.ts';
import {
  historyTable,
  initText,
  nodesTable,
  outcomeJson,
  outcomeText,
  rootText,
} from './publisher-output.ts';
import { renderPublisherConfig } from './publisher-template.ts';
import { buildProgram, type Outcome } from './run-command.ts';
import { show, type Terminal } from './terminal.ts';

export interface CommandParts {
  readonly terminal: Terminal;
  readonly host: PublisherHost;
  readonly outcome: Outcome;
  /** Called by `run` only. */
  signals(): Signals;
}

const defaultDirectory = '/var/lib/pilotfish-publisher';

interface Common {
  readonly dir: string;
  readonly json: boolean;
}

export function buildPublisherProgram(parts: CommandParts): Command {
  const program = buildProgram(
    'pilotfish-publisher',
    'Signs and serves the list of managers that Wazuh agents may report to.',
    parts.terminal,
  ).addHelpText(
    'after',
    `${examples}\n${firstForm}\nConfiguration (publisher.yml):\n${reference()}`,
  );
  addInit(program, parts);
  addToken(program, parts);
  addRun(program, parts);
  addRoot(program, parts);
  addNodes(program, parts);
  addPublish(program, parts);
  addDrains(program, parts);
  addHistory(program, parts);
  addRollback(program, parts);
  return program;
}

const examples = `
Examples:
  pilotfish-publisher init --dir /var/lib/pilotfish-publisher --org acme \\
      --manager wm1.acme.example --manager wm2.acme.example:1515 \\
      --url https://p1.acme.example:8443
  pilotfish-publisher run                      serve until SIGTERM; SIGHUP reads the configuration
  pilotfish-publisher token --group default    what \`pilotfish join\` takes on an agent host
  pilotfish-publisher nodes                    every manager, asked now
  pilotfish-publisher publish --dry-run        what a changed configuration would change
  pilotfish-publisher drain wm1                agents leave wm1; undrain takes them back
  pilotfish-publisher root renew --manager wm3.acme.example      allow one more manager
  pilotfish-publisher rollback 7               a new version with the content of version 7

Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 would change (--dry-run), 4 trust failure.
`;

const firstForm = `What probes do here: they are shown by \`nodes\` and logged by \`run\`. A manager that does not
answer stays in the list until it is drained or its state is set: sidecars probe for themselves.
One audience is published: list.group and list.site, by default every group and site.
`;

function reference(): string {
  return renderReference(publisherSchema);
}

function addCommand(program: Command, usage: string, summary: string): Command {
  return program
    .command(usage)
    .description(summary)
    .option('--dir <dir>', 'directory of the publisher', defaultDirectory)
    .option('--json', 'print JSON', false);
}

function addInit(program: Command, { terminal, host }: CommandParts): void {
  addCommand(program, 'init', 'make keys, root, certificate and configuration')
    .requiredOption('--org <name>', 'organisation: 1 to 64 of A-Z a-z 0-9 _ -')
    .addOption(
      new Option(
        '--manager <endpoint...>',
        'a manager as HOST[:PORT], port 1514 by default; the root will allow exactly these',
      ).makeOptionMandatory(),
    )
    .option('--url <url...>', 'where sidecars reach publishers (default: this host, port 8443)')
    .option(
      '--listen <host:port>',
      'where to listen (default: all addresses, port of the first URL)',
    )
    .option('--root-keys <n>', 'how many root keys (a ceremony takes 3)', '1')
    .option('--threshold <m>', 'how many of them must sign', '1')
    .addHelpText('after', initHelp)
    .action(async (flags: Common & InitFlags) => {
      const request = readInitFlags(flags, host);
      const outcome = await host.init(flags.dir, request);
      const value = { ...outcome, directory: flags.dir };
      show(terminal, flags.json, value, () => initText(outcome, request, flags.dir));
    });
}

const initHelp = `
A second run with the same flags changes nothing; with other flags it refuses (E040).
An interrupted run is started over by running it again.
`;

interface InitFlags {
  readonly org: string;
  readonly manager: readonly string[];
  readonly url?: readonly string[];
  readonly listen?: string;
  readonly rootKeys: string;
  readonly threshold: string;
}

const maxRootKeys = 8;

function readInitFlags(flags: InitFlags, host: PublisherHost): InitRequest {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(flags.org)) {
    throw new ConfigError('usage', `--org ${flags.org}: expected 1 to 64 of A-Z a-z 0-9 _ -`);
  }
  const urls = flags.url ?? [`https://${host.hostName()}:8443`];
  const wrong = urls.find((url) => !publisherUrl.safeParse(url).success);
  if (wrong !== undefined) {
    throw new ConfigError('usage', `--url ${wrong}: expected https://HOST:PORT, nothing after it`);
  }
  const rootKeys = readNumber('--root-keys', flags.rootKeys, maxRootKeys);
  const port = new URL(urls[0] ?? '').port || '443';
  const request: InitRequest = {
    org: flags.org,
    managers: parseManagers(flags.manager),
    urls,
    listen: flags.listen ?? `0.0.0.0:${port}`,
    rootKeys,
    threshold: readNumber('--threshold', flags.threshold, rootKeys),
  };
  parsePublisherConfig(renderPublisherConfig(request), 'the publisher.yml to be made');
  return request;
}

function readNumber(name: string, text: string, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= 1 && value <= max) return value;
  throw new ConfigError('usage', `${name} ${text}: expected a whole number from 1 to ${max}`);
}

function addToken(program: Command, parts: CommandParts): void {
  const { terminal, host } = parts;
  addCommand(program, 'token', 'print the join token for a group and a site')
    .option('--group <name>', 'group of the agents', 'default')
    .option('--site <name>', 'site of the agents', 'default')
    .action(async (flags: Common & { readonly group: string; readonly site: string }) => {
      for (const name of ['group', 'site'] as const) {
        if (/^[A-Za-z0-9_-]{1,64}$/.test(flags[name])) continue;
        const seen = `--${name} ${flags[name]}`;
        throw new ConfigError('usage', `${seen}: expected 1 to 64 of A-Z a-z 0-9 _ -`);
      }
      await withOffice(host, flags.dir, async ({ roots }) => {
        const { root, hash } = roots.newest;
        const pin = root.publishers[0]?.spki[0];
        const token = renderToken({
          org: root.org,
          publishers: root.publishers.map((publisher) => publisher.url),
          ...(pin === undefined ? {} : { ca: pin }),
          rootHash: hash,
          rootVersion: root.version,
          kids: root.roles.root.kids,
          threshold: root.roles.root.threshold,
          group: flags.group,
          site: flags.site,
          notBefore: new Date(root.issuedAtMs).toISOString().slice(0, 10),
          id: `tok-${encodeBase64Url(host.random.bytes(6))}`,
        });
        const { group, site } = flags;
        show(terminal, flags.json, { token, org: root.org, group, site }, () => token);
      });
    });
}

function addRun(program: Command, { host, signals }: CommandParts): void {
  program
    .command('run')
    .description('serve the list until SIGTERM; SIGHUP reads the configuration again')
    .option('--dir <dir>', 'directory of the publisher', defaultDirectory)
    .addHelpText(
      'after',
      `\n${reloadHelp}\nConfiguration (publisher.yml):\n${reference()}\n\n${firstForm}`,
    )
    .action((flags: { readonly dir: string }) => host.run(flags.dir, signals()));
}

const reloadHelp = `SIGHUP takes managers, list and probe from the file; listen, files, limits and log are read at
the start. A file with a mistake changes nothing and is logged (reload.failed).
`;

function addRoot(program: Command, { terminal, host }: CommandParts): void {
  const root = program.command('root').description('the root document that every list obeys');
  addCommand(root, 'renew', 'sign the next root: new dates, and more managers if named')
    .option('--manager <endpoint...>', 'HOST[:PORT] that lists may name from now on')
    .option('--root-key <file...>', 'root key that does not lie in root-keys of the directory')
    .addHelpText('after', renewHelp)
    .action(async (flags: Common & RenewWords) => {
      const managers = parseManagers(flags.manager ?? []);
      const { root: next } = await host.renewRoot(flags.dir, {
        managers,
        keyFiles: flags.rootKey ?? [],
      });
      const isRunning = (await host.announce(flags.dir)) !== undefined;
      const { value, text } = rootText(next, isRunning);
      show(terminal, flags.json, value, () => text);
    });
}

interface RenewWords {
  readonly manager?: readonly string[];
  readonly rootKey?: readonly string[];
}

const renewHelp = `
Every sidecar follows the new root by itself; no token has to be given out again. The list is
signed anew under it: at once by a running publisher, else by the next run or publish.
`;

function addNodes(program: Command, { terminal, host }: CommandParts): void {
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

function addPublish(program: Command, parts: CommandParts): void {
  addCommand(program, 'publish', 'sign a new version if the configuration differs from the last')
    .option('--dry-run', 'say what would change, write nothing; exit code 3 if it would', false)
    .action((flags: Common & { readonly dryRun: boolean }) =>
      withOffice(parts.host, flags.dir, async (office) => {
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

function addDrains(program: Command, parts: CommandParts): void {
  const actions = [
    ['drain', 'tell agents to leave a manager', drainOrder],
    ['undrain', 'take a drained manager back', undrainOrder],
  ] as const;
  for (const [name, summary, orderOf] of actions) {
    addCommand(program, name, summary)
      .argument('<id>', 'id of the manager, see nodes')
      .action((id: string, flags: Common) =>
        withOffice(parts.host, flags.dir, (office) =>
          publishAndTell(parts, flags, office, orderOf(office.config.configured, id)),
        ),
      );
  }
}

function addHistory(program: Command, { terminal, host }: CommandParts): void {
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

function addRollback(program: Command, parts: CommandParts): void {
  addCommand(program, 'rollback', 'publish a new version with the content of an old one')
    .argument('<version>', 'version, see history')
    .addHelpText(
      'after',
      '\nIt holds until publisher.yml changes, or `publish` goes back to what it says.\n',
    )
    .action((text: string, flags: Common) =>
      withOffice(parts.host, flags.dir, (office) => {
        const version = readNumber('version', text, Number.MAX_SAFE_INTEGER);
        const order = rollbackOrder(office.history, office.config.configured, version);
        return publishAndTell(parts, flags, office, order);
      }),
    );
}

async function publishAndTell(
  { terminal, host }: CommandParts,
  flags: Common,
  office: PublisherOffice,
  order: PublishOrder,
): Promise<void> {
  const outcome = await publish(office.desk, order);
  const servedBy = outcome.kind === 'published' ? await host.announce(flags.dir) : undefined;
  const facts = { isDryRun: false, servedBy };
  show(terminal, flags.json, outcomeJson(outcome, facts), () => outcomeText(outcome, facts));
}

async function withOffice(
  host: PublisherHost,
  directory: string,
  work: (office: PublisherOffice) => Promise<void>,
): Promise<void> {
  const office = await host.open(directory);
  try {
    await work(office);
  } finally {
    office.close();
  }
}
