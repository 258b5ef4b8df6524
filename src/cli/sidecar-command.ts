/** What every command of `pilotfish` shares: its flags, its world, the status it speaks of. */
import type { Command } from 'commander';
import { reportOf, type StatusReport } from '../sidecar/report.ts';
import type { Outcome } from './run-command.ts';
import type { SidecarHost, SidecarOffice } from './sidecar-host.ts';
import type { Terminal } from './terminal.ts';

export interface SidecarParts {
  readonly terminal: Terminal;
  readonly host: SidecarHost;
  readonly outcome: Outcome;
  /** Aborts on SIGTERM or SIGINT; asked for by `run` only. */
  stop(): AbortSignal;
}

export interface Common {
  readonly config?: string;
  readonly json: boolean;
}

export function addCommand(program: Command, usage: string, summary: string): Command {
  return program
    .command(usage)
    .description(summary)
    .option('--config <file>', 'configuration file (default: the usual place)')
    .option('--json', 'print JSON', false);
}

const statusAgeMs = 3 * 60_000;

/** Of the running sidecar; without one it is looked up now. */
export async function currentStatus(office: SidecarOffice): Promise<StatusReport> {
  const written = await office.status();
  if (written !== undefined && written.ageMs <= statusAgeMs) return written.report;
  return plannedStatus(office);
}

export async function plannedStatus(office: SidecarOffice): Promise<StatusReport> {
  const { report } = await office.plan();
  return reportOf(report, office.agentId);
}
