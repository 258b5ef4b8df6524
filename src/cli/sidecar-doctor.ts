/** `pilotfish doctor` and `diagnostics`: what is wrong with this host, for its people and for helpers. */
import type { Command } from 'commander';
import {
  bundleName,
  type DiagnosticsFlags,
  showBundle,
  withDiagnosticsFlags,
} from './diagnostics-output.ts';
import { type DoctorFlags, doctorHelp, showFindings } from './doctor-output.ts';
import { addCommand, type Common, type SidecarParts } from './sidecar-command.ts';

export function addDoctor(program: Command, parts: SidecarParts): void {
  addCommand(
    program,
    'doctor',
    'ports, clock, DNS, permissions, keys, versions of this host, with a fix for each finding',
  )
    .option('--quiet', 'only what is not well', false)
    .addHelpText('after', doctorHelp)
    .action(async (flags: Common & DoctorFlags) =>
      showFindings(parts, flags, await parts.host.examine(flags.config)),
    );
}

export function addDiagnostics(program: Command, { terminal, host }: SidecarParts): void {
  const summary = 'an archive for whoever helps: findings, status, events, logs; without secrets';
  withDiagnosticsFlags(addCommand(program, 'diagnostics', summary)).action(
    async (flags: Common & DiagnosticsFlags) => {
      const name = bundleName('pilotfish', host.clock.nowMs());
      const bundle = await host.diagnose(flags.config, name);
      const path = flags.output ?? `${name}.tar.gz`;
      await host.writeFile(path, bundle);
      showBundle(terminal, flags.json, { path, bytes: bundle.length });
    },
  );
}
