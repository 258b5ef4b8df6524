/** `pilotfish`: argv to exit code; the only sidecar file that touches `process`. */
import { buildSidecarHost } from './cli/build-sidecar.ts';
import { processTerminal } from './cli/process-terminal.ts';
import { type Outcome, runCommand } from './cli/run-command.ts';
import { buildSidecarProgram } from './cli/sidecar-commands.ts';
import { versionText } from './cli/version.ts';

function stopSignal(): AbortSignal {
  const stop = new AbortController();
  const end = (): void => stop.abort(new DOMException('asked to stop', 'AbortError'));
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
  // Windows has no SIGTERM: the service host closes our standard input instead.
  if (process.env.PILOTFISH_STOP_CHANNEL === 'stdin') {
    for (const event of ['end', 'error', 'close']) process.stdin.once(event, end);
    process.stdin.resume();
    // It only listens: a program that is done ends, whether or not the host still holds the pipe.
    if ('unref' in process.stdin) process.stdin.unref();
  }
  return stop.signal;
}

const terminal = processTerminal(process);
const outcome: Outcome = { exit: 0 };
const program = buildSidecarProgram({
  terminal,
  host: buildSidecarHost(versionText()),
  outcome,
  stop: stopSignal,
});
// No top-level await: the bundled program is CommonJS. `runCommand` never rejects.
void runCommand(program, process.argv.slice(2), terminal, outcome).then((exit) => {
  process.exitCode = exit;
});
