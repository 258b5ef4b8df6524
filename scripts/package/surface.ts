/** The command line of a program as data: from the very objects that parse it. */
import type { Command } from 'commander';
import { buildClusterHost } from '../../src/cli/build-cluster-host.ts';
import { buildPublisherHost } from '../../src/cli/build-publisher.ts';
import { buildSidecarHost } from '../../src/cli/build-sidecar.ts';
import { addCluster } from '../../src/cli/cluster-commands.ts';
import { defaultDirectory } from '../../src/cli/publisher-command.ts';
import { buildPublisherProgram } from '../../src/cli/publisher-commands.ts';
import { buildSidecarProgram } from '../../src/cli/sidecar-commands.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { addVersion } from '../../src/cli/version.ts';
import type { ProgramName } from './targets.ts';

export interface Flag {
  /** `--json`, or `-a, --all` as commander writes it. */
  readonly words: string;
  /** The long form alone, for completion. */
  readonly long: string;
  readonly text: string;
}

export interface CommandSurface {
  /** With its parents: `root renew`. */
  readonly name: string;
  /** `join [options] <token>` */
  readonly usage: string;
  readonly text: string;
  readonly flags: readonly Flag[];
  /** Examples and notes behind the help. */
  readonly after: string;
}

export interface Surface {
  readonly program: ProgramName;
  readonly text: string;
  readonly after: string;
  readonly commands: readonly CommandSurface[];
}

/** Nothing of it runs: the hosts behind it are only asked when a command does. */
export function readSurface(program: ProgramName): Surface {
  const written: string[] = [];
  const command = buildProgramNamed(program, silentTerminal(written));
  return {
    program,
    text: command.description(),
    after: afterOf(command, written),
    commands: command.commands.flatMap((child) => commandsOf(child, '', written)),
  };
}

function silentTerminal(written: string[]): Terminal {
  return {
    out: (text) => void written.push(text),
    err: (text) => void written.push(text),
    isTty: false,
    noColor: true,
    columns: 80,
  };
}

function buildProgramNamed(name: ProgramName, terminal: Terminal): Command {
  const outcome = { exit: 0 } as const;
  const stop = new AbortController().signal;
  if (name === 'pilotfish') {
    return buildSidecarProgram({ terminal, outcome, host: buildSidecarHost(''), stop: () => stop });
  }
  const signals = () => ({ stop, onReload: () => () => undefined });
  const program = buildPublisherProgram({ terminal, outcome, signals, host: buildPublisherHost() });
  addCluster(program, { terminal, outcome, signals, host: buildClusterHost(), defaultDirectory });
  addVersion(program, { terminal, outcome });
  return program;
}

function commandsOf(command: Command, parent: string, written: string[]): CommandSurface[] {
  const name = `${parent}${command.name()}`;
  const own: CommandSurface = {
    name,
    usage: `${name} ${command.usage()}`,
    text: command.description(),
    flags: flagsOf(command),
    after: afterOf(command, written),
  };
  const children = command.commands.flatMap((child) => commandsOf(child, `${name} `, written));
  return children.length > 0 && command.options.length === 0 ? children : [own, ...children];
}

function flagsOf(command: Command): readonly Flag[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .map((option) => ({
      words: option.flags,
      long: option.long ?? option.short ?? option.flags,
      text: command.createHelp().optionDescription(option),
    }));
}

/** `addHelpText` is kept by commander as listeners: what is printed behind the plain help. */
function afterOf(command: Command, written: string[]): string {
  written.length = 0;
  command.outputHelp();
  return written.join('').slice(command.helpInformation().length).trim();
}
