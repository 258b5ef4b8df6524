/** Which program this is: the build's own stamp, or the sources it runs from. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type SelfCheck, selfTest } from './build-self-test.ts';
import type { Outcome } from './run-command.ts';
import { show, type Terminal } from './terminal.ts';

declare global {
  // Set by scripts/package/bundles.ts in the bundled programs.
  var pilotfishBuild:
    | { readonly version: string; readonly commit: string; readonly builtAt: string }
    | undefined;
}

/** `0.1.0 (02617d53b5a8 2026-11-28 14:40)`: commit and its time in UTC; or `0.1.0 (source)`. */
export function versionText(): string {
  const built = globalThis.pilotfishBuild;
  if (built !== undefined) return `${built.version} (${built.commit} ${built.builtAt})`;
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return `${(JSON.parse(manifest) as { version: string }).version} (source)`;
}

interface VersionParts {
  readonly terminal: Terminal;
  readonly outcome: Outcome;
}

interface VersionFlags {
  readonly json: boolean;
  readonly selftest: boolean;
}

export function addVersion(program: Command, { terminal, outcome }: VersionParts): void {
  program
    .command('version')
    .description('the version of this program')
    .option('--selftest', 'try crypto, compression, files, sockets, child process', false)
    .option('--json', 'print JSON', false)
    .action(async (flags: VersionFlags) => {
      const version = versionText();
      const test = flags.selftest ? await selfTest() : undefined;
      const { checks = [], runtime } = test ?? {};
      if (checks.some(({ why }) => why !== undefined)) outcome.exit = 1;
      const value = { version, ...test };
      const lines = [`${program.name()} ${version}`, ...(runtime === undefined ? [] : [runtime])];
      show(terminal, flags.json, value, () => [...lines, ...checks.map(told)].join('\n'));
    });
}

function told({ name, why }: SelfCheck): string {
  return why === undefined ? `ok      ${name}` : `FAILED  ${name}: ${why}`;
}
