/**
 * argv → command → exit code, the same for every program: usage errors are 2, a PilotfishError
 * prints its code, what was seen and what to do, anything else is a bug and says so.
 */
import { Command, CommanderError } from 'commander';
import { type ExitCode, PilotfishError } from '../errors.ts';
import { paint, printable, printableLines, renderJson, type Terminal } from './terminal.ts';

/** Commands set it through `Outcome`; it starts as 0. */
export interface Outcome {
  exit: ExitCode;
  /** Of a usage error or a bug, where the command has its own meaning of exit codes. */
  failed?: ExitCode;
}

export function buildProgram(name: string, summary: string, terminal: Terminal): Command {
  return new Command(name)
    .description(summary)
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
    })
    .configureHelp({ helpWidth: Math.min(100, Math.max(60, terminal.columns)) })
    .exitOverride()
    .showHelpAfterError('(--help shows what is possible)')
    .enablePositionalOptions();
}

/** Run `program` over `argv` (without node and script); never throws, never calls exit. */
export async function runCommand(
  program: Command,
  argv: readonly string[],
  terminal: Terminal,
  outcome: Outcome,
): Promise<ExitCode> {
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return outcome.exit;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : (outcome.failed ?? 2);
    const exit = reportFailure(thrown, argv.includes('--json'), terminal);
    return outcome.failed ?? exit;
  }
}

export function reportFailure(thrown: unknown, json: boolean, terminal: Terminal): ExitCode {
  if (!(thrown instanceof PilotfishError)) {
    const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    terminal.err(`bug: ${printableLines(text)}\nplease report this with the lines above\n`);
    return 1;
  }
  if (json) terminal.out(`${renderJson({ error: thrown })}\n`);
  else terminal.err(renderFailure(thrown, terminal));
  return thrown.exit;
}

/** Several lines stay several lines; each is made safe for the terminal. */
function renderFailure(error: PilotfishError, terminal: Terminal): string {
  const told = error.message.split('\n').map(printable).join('\n  ');
  const head = paint(terminal, 'red', `${error.code} ${error.reason}`);
  return `${head}: ${told}\n  what to do: ${error.fix}\n`;
}
