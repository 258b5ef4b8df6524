/** Which program this is: the build's own stamp, or the sources it runs from. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { show, type Terminal } from './terminal.ts';

declare global {
  // Set by scripts/build.ts in the bundled programs.
  var pilotfishBuild: { readonly version: string; readonly commit: string } | undefined;
}

/** `0.1.0 (02617d53b5a8)`, or `0.1.0 (source)`. */
export function versionText(): string {
  const built = globalThis.pilotfishBuild;
  if (built !== undefined) return `${built.version} (${built.commit})`;
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return `${(JSON.parse(manifest) as { version: string }).version} (source)`;
}

export function addVersion(program: Command, terminal: Terminal, version = versionText()): void {
  program
    .command('version')
    .description('the version of this program')
    .option('--json', 'print JSON', false)
    .action((flags: { readonly json: boolean }) =>
      show(terminal, flags.json, { version }, () => `${program.name()} ${version}`),
    );
}
