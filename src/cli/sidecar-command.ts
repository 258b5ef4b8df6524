/** What every command of `pilotfish` shares: its flags, its world, the status it speaks of. */
import type { Command } from 'commander';
import { type Alarm, reportOf, type StatusReport } from '../sidecar/report.ts';
import type { Outcome } from './run-command.ts';
import type { SidecarHost, SidecarOffice } from './sidecar-host.ts';
import { renderDuration, type Terminal } from './terminal.ts';

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

/** An older status is of a sidecar that is gone; `once` from a timer writes one every 75 s. */
export const statusAgeMs = 3 * 60_000;

type Written = Awaited<ReturnType<SidecarOffice['status']>>;

/** Of the running sidecar; without one it is looked up now, and that is an alarm too. */
export async function currentStatus(office: SidecarOffice): Promise<StatusReport> {
  const written = await office.status();
  if (written !== undefined && written.ageMs <= statusAgeMs) return written.report;
  return withSilence(await plannedStatus(office), written);
}

/** Nobody has written a status lately: dead, hung, or its disk is full. */
export function withSilence(status: StatusReport, written: Written): StatusReport {
  const since = written === undefined ? 'ever' : `for ${renderDuration(written.ageMs)}`;
  const text = `no cycle of a sidecar ended ${since}: is it running, is its disk full?`;
  const silence: Alarm = { level: 'critical', text };
  return { ...status, alarms: [silence, ...status.alarms] };
}

export async function plannedStatus(office: SidecarOffice): Promise<StatusReport> {
  const { report } = await office.plan();
  return reportOf(report, office.agentId);
}
