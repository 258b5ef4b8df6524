/** `diagnostics` of both programs: one small archive for whoever helps. */
import type { Command } from 'commander';
import { show, type Terminal } from './terminal.ts';

export interface DiagnosticsFlags {
  readonly output?: string;
  readonly json: boolean;
}

export function withDiagnosticsFlags(command: Command): Command {
  return command
    .option('-o, --output <file>', 'where to write it (default: in this folder, named by the time)')
    .addHelpText('after', diagnosticsHelp);
}

const diagnosticsHelp = `
A .tar.gz of what \`doctor\`, status, history, events and logs say; a few hundred kilobytes at most.
Private keys, the cluster key, agents' keys, tokens and passwords are taken out, and the archive is
not written if one of them would still be in it. Look through it before you send it.
`;

export function bundleName(program: string, nowMs: number): string {
  return `${program}-diagnostics-${new Date(nowMs).toISOString().slice(0, 19).replace(/[-:]/g, '')}`;
}

export function showBundle(
  terminal: Terminal,
  json: boolean,
  written: { readonly path: string; readonly bytes: number },
): void {
  const text = `wrote ${written.path} (${Math.ceil(written.bytes / 1024)} KiB); look through it before you send it`;
  show(terminal, json, written, () => text);
}
