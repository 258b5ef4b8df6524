/** `pilotfish-publisher doctor` and `diagnostics`: what is wrong here, for its people and for helpers. */
import type { Command } from 'commander';
import {
  bundleName,
  type DiagnosticsFlags,
  showBundle,
  withDiagnosticsFlags,
} from './diagnostics-output.ts';
import { type DoctorFlags, doctorHelp, showFindings } from './doctor-output.ts';
import { addCommand, type CommandParts, type Common } from './publisher-command.ts';

export function addDoctor(program: Command, parts: CommandParts): void {
  addCommand(
    program,
    'doctor',
    'ports, clock, DNS, permissions, keys, versions of this publisher, with a fix for each finding',
  )
    .option('--quiet', 'only what is not well', false)
    .addHelpText('after', doctorHelp)
    .action(async (flags: Common & DoctorFlags) =>
      showFindings(parts, flags, await parts.host.examine(flags.dir)),
    );
}

export function addDiagnostics(program: Command, { terminal, host }: CommandParts): void {
  const summary = 'an archive for whoever helps: findings, history, events, logs; without secrets';
  withDiagnosticsFlags(addCommand(program, 'diagnostics', summary)).action(
    async (flags: Common & DiagnosticsFlags) => {
      const name = bundleName('pilotfish-publisher', host.clock.nowMs());
      const path = flags.output ?? `${name}.tar.gz`;
      const bytes = await host.diagnose(flags.dir, name, path);
      showBundle(terminal, flags.json, { path, bytes });
    },
  );
}
