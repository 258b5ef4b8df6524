/** `pilotfish check`: one line and an exit code for Nagios and its kin. */
import type { Command } from 'commander';
import { ConfigError, PilotfishError } from '../errors.ts';
import type { StatusReport } from '../sidecar/report.ts';
import { parseDurationMs } from './config-file.ts';
import {
  addCommand,
  type Common,
  plannedStatus,
  type SidecarParts,
  withSilence,
} from './sidecar-command.ts';
import type { SidecarOffice } from './sidecar-host.ts';
import { printable, show } from './terminal.ts';

const levels = ['OK', 'WARNING', 'CRITICAL', 'UNKNOWN'] as const;
/** Never 1 or 2 for what was not judged: they would be taken for a verdict. */
const unknown = 3;

export function addCheck(program: Command, { terminal, host, outcome }: SidecarParts): void {
  addCommand(program, 'check', 'for monitoring: 0 ok, 1 warning, 2 critical, 3 unknown')
    .option(
      '--max-age <duration>',
      'critical when no cycle ended for so long; more where `once` runs from a timer',
      '60s',
    )
    .exitOverride((thrown) => {
      outcome.failed = unknown;
      throw thrown;
    })
    .action(async (flags: Common & { readonly maxAge: string }) => {
      outcome.failed = unknown;
      try {
        const status = await judgedStatus(await host.open(flags.config), flags.maxAge);
        const level = levelOf(status);
        outcome.exit = level;
        show(terminal, flags.json, { level: levels[level], alarms: status.alarms }, () =>
          lineOf(level, status),
        );
      } catch (thrown) {
        if (!(thrown instanceof PilotfishError)) throw thrown;
        outcome.exit = unknown;
        show(
          terminal,
          flags.json,
          { level: 'UNKNOWN', error: thrown },
          () => `PILOTFISH UNKNOWN - ${thrown.code} ${plain(thrown.message)}`,
        );
      }
    });
}

/** The last status, however old: its silence is what matters then. */
async function judgedStatus(office: SidecarOffice, maxAge: string): Promise<StatusReport> {
  const maxAgeMs = parseDurationMs(maxAge);
  if (maxAgeMs === undefined) {
    throw new ConfigError('usage', `--max-age ${maxAge}: expected a duration such as 60s or 10m`);
  }
  const written = await office.status();
  if (written !== undefined && written.ageMs <= maxAgeMs) return written.report;
  return withSilence(written?.report ?? (await plannedStatus(office)), written);
}

function levelOf({ alarms }: StatusReport): 0 | 1 | 2 {
  if (alarms.some(({ level }) => level === 'critical')) return 2;
  return alarms.length > 0 ? 1 : 0;
}

/** Text, then performance data after the bar. */
function lineOf(level: 0 | 1 | 2, status: StatusReport): string {
  const where = status.agent?.connectedTo ?? 'nowhere';
  const told = status.alarms.map(({ text }) => plain(text)).join('; ') || `agent on ${where}`;
  const up = status.managers.filter(({ verdict }) => verdict === 'up').length;
  const data = `managers_up=${up};;;0;${status.managers.length} stale_polls=${status.stalePolls}`;
  return `PILOTFISH ${levels[level]} - ${told} | ${data}`;
}

/** A bar would begin performance data. */
function plain(text: string): string {
  return printable(text).replaceAll('|', '/');
}
