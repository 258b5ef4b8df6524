/** What every command of `pilotfish-publisher` shares: parts, flags, the opened directory. */
import type { Command } from 'commander';
import { ConfigError, PilotfishError } from '../errors.ts';
import type { PublisherHost, PublisherOffice, Signals } from './publisher-host.ts';
import type { Outcome } from './run-command.ts';
import type { Terminal } from './terminal.ts';

export interface CommandParts {
  readonly terminal: Terminal;
  readonly host: PublisherHost;
  readonly outcome: Outcome;
  /** Called by `run` only. */
  signals(): Signals;
}

/** Flags of every command but `run`. */
export interface Common {
  readonly dir: string;
  readonly json: boolean;
}

export const defaultDirectory = '/var/lib/pilotfish-publisher';

export const firstForm = `What probes do here: they are shown by \`nodes\` and logged by \`run\`. Without \`roster.enabled\` a
manager that does not answer stays in the list until it is drained: sidecars probe for themselves.
With it, managers come and go by what the probes, the cluster and the sidecars of each site see.
One audience is published: list.group and list.site, by default every group and site.
`;

export function addCommand(program: Command, usage: string, summary: string): Command {
  return program
    .command(usage)
    .description(summary)
    .option('--dir <dir>', 'directory of the publisher', defaultDirectory)
    .option('--json', 'print JSON', false);
}

/** Throws ConfigError `usage`. */
export function readNumber(name: string, text: string, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= 1 && value <= max) return value;
  throw new ConfigError('usage', `${name} ${text}: expected a whole number from 1 to ${max}`);
}

/** Closed again whatever `work` does. */
export async function withOffice(
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

/** `work`, with what it was and how it ended in the audit log; what cannot be written there is not done. */
export async function audited<Value>(
  { host }: Pick<CommandParts, 'host'>,
  directory: string,
  action: string,
  work: () => Promise<Value>,
): Promise<Value> {
  await noteAudit(host, directory, action, 'asked');
  try {
    const value = await work();
    await noteAudit(host, directory, action, 'done');
    return value;
  } catch (thrown) {
    if (thrown instanceof PilotfishError) await noteAudit(host, directory, action, thrown.code);
    throw thrown;
  }
}

/** For what must be done first and with every right of the caller: noted when it has ended. */
export async function auditedAtEnd<Value>(
  { host }: Pick<CommandParts, 'host'>,
  directory: string,
  action: string,
  work: () => Promise<Value>,
): Promise<Value> {
  try {
    const value = await work();
    await noteAudit(host, directory, action, 'done');
    return value;
  } catch (thrown) {
    if (thrown instanceof PilotfishError) await noteAudit(host, directory, action, thrown.code);
    throw thrown;
  }
}

/** For what makes the directory, its log too: nothing can be noted before. */
export async function auditedAfterwards<Value>(
  { host }: Pick<CommandParts, 'host'>,
  directory: string,
  action: string,
  work: () => Promise<Value>,
  hasChanged: (value: Value) => boolean = () => true,
): Promise<Value> {
  const value = await work();
  if (!hasChanged(value)) return value;
  await noteAudit(host, directory, action, 'done');
  return value;
}

async function noteAudit(
  host: PublisherHost,
  directory: string,
  action: string,
  outcome: string,
): Promise<void> {
  const atMs = host.clock.nowMs();
  const who = host.userName();
  await host.withAudit(directory, (log) =>
    log.append({ atMs, who, role: 'admin', from: 'command line', action, outcome }),
  );
}
