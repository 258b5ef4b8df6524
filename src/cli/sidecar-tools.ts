/** Commands that need no joined host: `probe`, `render`, `version`. */
import { type Command, Option } from 'commander';
import { type Dialect, defaultPorts } from '../agent-config/dialect.ts';
import { diffLines } from '../agent-config/diff.ts';
import { planEdit, type WantedServer } from '../agent-config/edit.ts';
import { decodeUtf8 } from '../bytes.ts';
import { ConfigError, PeerError } from '../errors.ts';
import { failureTexts, type ProbeKind, type ProbeOutcome, probeTable } from '../health/probe.ts';
import { parseAddress } from '../list/address.ts';
import { jsonSchemaOf } from './config-file.ts';
import { addCommand, type Common, type SidecarParts } from './sidecar-command.ts';
import { sidecarSchema } from './sidecar-config.ts';
import { printableLines, show } from './terminal.ts';
import { addVersion } from './version.ts';

export function addTools(program: Command, parts: SidecarParts): void {
  addProbe(program, parts);
  addRender(program, parts);
  addSchema(program, parts);
  addVersion(program, parts);
}

function addProbe(program: Command, { terminal, host }: SidecarParts): void {
  addCommand(
    program,
    'probe <host[:port]>',
    'ask one manager whether it works; exit 3 if it does not',
  )
    .addOption(
      new Option('--kind <kind>', 'what to ask')
        .choices(Object.keys(probeTable))
        .default('ping-tcp'),
    )
    .option('--deadline <ms>', 'milliseconds to wait for the answer', '800')
    .action(
      async (
        where: string,
        flags: Common & { readonly kind: ProbeKind; readonly deadline: string },
      ) => {
        const endpoint = parseEndpoint(where, probeTable[flags.kind].port);
        const deadlineMs = parseDeadline(flags.deadline);
        const outcome = await host.prober.probe({ ...endpoint, kind: flags.kind }, deadlineMs);
        const value = { ...endpoint, probe: flags.kind, ...outcome };
        if (outcome.kind === 'dead') throw probeProblem(where, outcome);
        show(terminal, flags.json, value, () => aliveText(where, flags.kind, outcome));
      },
    );
}

function parseDeadline(text: string): number {
  const ms = Number(text);
  if (Number.isInteger(ms) && ms >= 10 && ms <= 60_000) return ms;
  throw new ConfigError('usage', `--deadline ${text}: 10 to 60000 milliseconds expected`);
}

function aliveText(where: string, kind: ProbeKind, outcome: ProbeOutcome): string {
  const took = `${outcome.tookMs.toFixed(1)} ms`;
  return `${where} is alive (${outcome.ips.join(', ')}): answered in ${took}; proves: ${probeTable[kind].proves}`;
}

function probeProblem(where: string, outcome: ProbeOutcome & { readonly kind: 'dead' }): PeerError {
  return new PeerError(
    'probe_failed',
    `${where}: ${failureTexts[outcome.failure]} (${outcome.detail})`,
  );
}

interface RenderOptions {
  readonly servers: string;
  readonly check: boolean;
  readonly diff: boolean;
  readonly dialect: Dialect;
  readonly output?: string;
}

function addRender(program: Command, { terminal, host, outcome }: SidecarParts): void {
  addCommand(program, 'render <file>', 'ossec.conf with other servers, every other byte kept')
    .requiredOption(
      '--servers <list>',
      'host[:port][/tcp|/udp], comma separated, first is preferred',
    )
    .addOption(new Option('--dialect <n>', 'grammar of the agent').choices(['4', '5']).default('4'))
    .option('--check', 'print nothing; exit 3 if it would change', false)
    .option('--diff', 'print the change instead of the file', false)
    .option('-o, --output <file>', 'write it there (needed for files that are not UTF-8)')
    .action(async (file: string, flags: Common & RenderOptions) => {
      const before = await host.readFile(file);
      const servers = parseServers(flags.servers, flags.dialect);
      const plan = planEdit(before, flags.dialect, { servers });
      const after = plan.kind === 'changed' ? plan.bytes : before;
      if (flags.check) outcome.exit = plan.kind === 'changed' ? 3 : 0;
      if (flags.output !== undefined && !flags.check) await host.writeFile(flags.output, after);
      if (flags.json) {
        const diff = diffLines(before, after);
        return show(terminal, true, { changed: plan.kind === 'changed', diff }, () => '');
      }
      if (flags.check || flags.output !== undefined) return;
      terminal.out(
        flags.diff ? printableLines(diffLines(before, after)) : printableFile(file, after),
      );
    });
}

function printableFile(file: string, bytes: Uint8Array): string {
  const text = decodeUtf8(bytes);
  if (text !== undefined) return text;
  throw new ConfigError('usage', `${file} is not UTF-8: name an --output file to keep its bytes`);
}

function parseServers(text: string, dialect: Dialect): readonly WantedServer[] {
  return text.split(',').map((part) => {
    const [, where = '', protocol = 'tcp'] = /^(.*?)(?:\/(tcp|udp))?$/.exec(part.trim()) ?? [];
    const endpoint = parseEndpoint(where, defaultPorts[dialect]);
    return { ...endpoint, protocol: protocol === 'udp' ? 'udp' : 'tcp' };
  });
}

/** `host`, `host:port`, `1.2.3.4:port`, `::1`, `[::1]:port`. */
export function parseEndpoint(
  text: string,
  fallbackPort: number,
): { readonly address: string; readonly port: number } {
  const bracketed = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text);
  const plain = /^([^:]+)(?::(\d{1,5}))?$/.exec(text);
  const [, host = text, digits] = bracketed ?? plain ?? [];
  const port = digits === undefined ? fallbackPort : Number(digits);
  if (parseAddress(host) !== undefined && port >= 1 && port <= 65_535)
    return { address: host, port };
  throw new ConfigError(
    'usage',
    `'${text}' is no host or host:port (IPv6 with a port in brackets)`,
  );
}

function addSchema(program: Command, { terminal }: SidecarParts): void {
  program
    .command('config-schema')
    .description('JSON Schema of pilotfish.yml')
    .action(() => show(terminal, true, jsonSchemaOf(sidecarSchema), () => ''));
}
