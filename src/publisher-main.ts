/** `pilotfish-publisher`: argv to exit code; the only publisher file that touches `process`. */
import { basename } from 'node:path';
import { buildClusterHost } from './cli/build-cluster-host.ts';
import { buildControlHost } from './cli/build-control.ts';
import { buildPublisherHost } from './cli/build-publisher.ts';
import { addCluster } from './cli/cluster-commands.ts';
import { addControl } from './cli/control-command.ts';
import { processTerminal } from './cli/process-terminal.ts';
import { defaultDirectory } from './cli/publisher-command.ts';
import { buildPublisherProgram } from './cli/publisher-commands.ts';
import type { Signals } from './cli/publisher-host.ts';
import { type Outcome, runCommand } from './cli/run-command.ts';
import { addVersion } from './cli/version.ts';

function processSignals(): Signals {
  const stop = new AbortController();
  const end = (signal: string): void =>
    stop.abort(new DOMException(`asked to stop by ${signal}`, 'AbortError'));
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
  return {
    stop: stop.signal,
    onReload(handler) {
      process.on('SIGHUP', handler);
      return () => void process.off('SIGHUP', handler);
    },
  };
}

const terminal = processTerminal(process);
const outcome: Outcome = { exit: 0 };
const program = buildPublisherProgram({
  terminal,
  host: buildPublisherHost(),
  outcome,
  signals: processSignals,
});
addCluster(program, {
  terminal,
  outcome,
  host: buildClusterHost(),
  defaultDirectory,
  signals: processSignals,
});
const control = { terminal, outcome, host: buildControlHost(), signals: processSignals };
addControl(program, control);
addVersion(program, { terminal, outcome });

/** Called by the name of the stock tool, by a link or a copy, it is that tool. */
const isControl = [process.argv0, process.argv[1] ?? ''].some(
  (name) => basename(name).replace(/\.(?:exe|ts|cjs)$/, '') === 'cluster_control',
);
const argv = process.argv.slice(2);
const words = isControl ? ['cluster-control', ...argv] : argv;
void runCommand(program, words, terminal, outcome).then((exit) => {
  process.exitCode = exit;
});
