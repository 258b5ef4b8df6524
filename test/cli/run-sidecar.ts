/** The whole `pilotfish` in this process: argv in, output and exit code out. `run` ends after one look. */
import { buildSidecarHost } from '../../src/cli/build-sidecar.ts';
import { type Outcome, runCommand } from '../../src/cli/run-command.ts';
import { buildSidecarProgram } from '../../src/cli/sidecar-commands.ts';
import type { Ran } from './publisher-fixture.ts';

export async function runSidecar(argv: readonly string[]): Promise<Ran> {
  let out = '';
  let err = '';
  const outcome: Outcome = { exit: 0 };
  const terminal = {
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
    isTty: false,
    noColor: true,
    columns: 80,
  };
  const host = buildSidecarHost('1.2.3');
  const program = buildSidecarProgram({ terminal, host, outcome, stop: () => AbortSignal.abort() });
  return { exit: await runCommand(program, argv, terminal, outcome), out, err };
}
