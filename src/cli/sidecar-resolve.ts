/** `pilotfish resolve NAME`: what name servers say, what the agent would take, what a failover takes. */

import type { Command } from 'commander';
import { type Clock, deadline } from '../clock.ts';
import { type Addresses, resolveAddresses } from '../dns/addresses.ts';
import { type FaultCounts, refusedAnswers, refusedText } from '../dns/exchange.ts';
import { type AgentTimes, type LintFinding, lintName } from '../dns/failover-lint.ts';
import { candidateNames } from '../dns/name.ts';
import { isRecordType, type RecordType, type ResourceRecord, typeNumbers } from '../dns/record.ts';
import { type ServerStanding, serverText } from '../dns/servers.ts';
import { ConfigError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { addCommand, type Common, type SidecarParts } from './sidecar-command.ts';
import type { NameTools } from './sidecar-host.ts';
import { printable, renderTable, show } from './terminal.ts';

interface RecordSeen {
  readonly type: RecordType;
  readonly ttlLeftSec: number;
  readonly value: string;
}

interface Findings {
  readonly name: string;
  readonly records: readonly RecordSeen[];
  readonly servers: readonly {
    readonly server: string;
    readonly answered: number;
    readonly failed: number;
    readonly rttMs: number | undefined;
  }[];
  readonly addresses: readonly string[];
  readonly source: Addresses['source'] | 'none';
  readonly stale: boolean;
  /** getaddrinfo's answer; the agent takes its first address and no other. */
  readonly system: readonly string[];
  readonly systemProblem?: string;
  readonly agentUses: string | undefined;
  /** What came back and was no answer, by kind; absent when nothing did. */
  readonly refused?: Partial<FaultCounts>;
  readonly lint: readonly LintFinding[];
}

const systemLookupMs = 10_000;

export function addResolve(program: Command, { terminal, host, outcome }: SidecarParts): void {
  addCommand(
    program,
    'resolve <name>',
    'servers, answers, TTLs; what the agent would use; exit 3 if something is amiss',
  )
    .option('--type <type>', `${Object.keys(typeNumbers).join(', ')}; none: A, AAAA and SRV`)
    .addHelpText(
      'after',
      '\nAsks the servers of dns.servers, or the system’s, itself: no cache of the system is between.\nExamples:\n  pilotfish resolve wm.example.org\n  pilotfish resolve _wazuh._tcp.example.org --type SRV --json',
    )
    .action(async (name: string, flags: Common & { readonly type?: string }) => {
      const types = typesOf(flags.type);
      const tools = await host.names(flags.config);
      const times = await host.agentTimes(flags.config);
      const found = await look(tools, { name, types, times, clock: host.clock });
      outcome.exit = found.lint.some(({ level }) => level === 'warn') ? 3 : 0;
      show(terminal, flags.json, found, () => findingsText(found));
    });
}

function typesOf(text: string | undefined): readonly RecordType[] {
  if (text === undefined) return ['A', 'AAAA', 'SRV'];
  const type = text.toUpperCase();
  if (isRecordType(type)) return [type];
  throw new ConfigError(
    'usage',
    `--type ${text}: one of ${Object.keys(typeNumbers).join(', ')} expected`,
  );
}

interface Wish {
  readonly name: string;
  readonly types: readonly RecordType[];
  readonly times: AgentTimes;
  readonly clock: Clock;
}

/** Rejects with PeerError `dns_failed` when no server says anything about the name. */
async function look(tools: NameTools, { name, types, times, clock }: Wish): Promise<Findings> {
  const system = await askSystem(tools, name, clock);
  const hasAddresses = types.includes('A') || types.includes('AAAA');
  const found = hasAddresses ? await resolveAddresses(tools.world, name) : undefined;
  const owner = found?.name ?? (await firstCandidate(tools, name));
  const isAsked = found === undefined || found.source === 'dns';
  const records = isAsked ? await askRecords(tools, owner, types) : [];
  const standings = await tools.resolver.standings();
  const refused = refusedAnswers(tools.resolver.faults);
  return {
    name: owner,
    records,
    servers: standings.map(serverSeen),
    addresses: found?.addresses ?? [],
    source: found?.source ?? 'none',
    stale: found?.isStale ?? false,
    system: system.addresses,
    ...(system.problem === undefined ? {} : { systemProblem: system.problem }),
    agentUses: system.addresses[0],
    ...(refused === undefined ? {} : { refused }),
    lint: [...lintOf(found, records, times), ...differences(found, system)],
  };
}

async function firstCandidate({ world }: NameTools, name: string): Promise<string> {
  const { search, ndots } = await world.search();
  const [first] = candidateNames(name, search, ndots);
  if (first === undefined) throw new ConfigError('usage', `'${name}' is no name`);
  return first;
}

interface SystemAnswer {
  readonly addresses: readonly string[];
  readonly problem?: string;
}

async function askSystem(tools: NameTools, name: string, clock: Clock): Promise<SystemAnswer> {
  const limit = deadline(clock, systemLookupMs);
  try {
    return { addresses: await tools.system(name, limit.signal) };
  } catch (thrown) {
    return { addresses: [], problem: messageOf(thrown) };
  } finally {
    limit.cancel();
  }
}

async function askRecords(
  { resolver }: NameTools,
  name: string,
  types: readonly RecordType[],
): Promise<readonly RecordSeen[]> {
  const seen: RecordSeen[] = [];
  for (const type of types) {
    const { answer, ttlLeftMs } = await resolver.lookup({ name, type });
    if (answer.kind === 'nothing') continue;
    const ttlLeftSec = Math.ceil(ttlLeftMs / 1_000);
    seen.push(...answer.records.map((one) => ({ type, ttlLeftSec, value: valueText(one) })));
  }
  return seen;
}

function valueText(record: ResourceRecord): string {
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return record.address;
    case 'CNAME':
    case 'NS':
    case 'PTR':
      return record.target;
    case 'SRV':
      return `${record.srv.target}:${record.srv.port} priority ${record.srv.priority} weight ${record.srv.weight}`;
    case 'TXT':
      return record.texts.map((text) => JSON.stringify(text)).join(' ');
    case 'SOA':
      return `serial ${record.soa.serial} minimum ${record.soa.minimum} s`;
    case 'HTTPS':
    case 'SVCB': {
      const { priority, target, port, ipv4hint, ipv6hint } = record.binding;
      const where = `${target === '' ? '.' : target}${port === undefined ? '' : `:${port}`}`;
      return `priority ${priority} ${where} ${[...ipv4hint, ...ipv6hint].join(' ')}`.trim();
    }
  }
}

function serverSeen({ server, answered, failed, rttMs }: ServerStanding) {
  return { server: serverText(server), answered, failed, rttMs };
}

function lintOf(
  found: Addresses | undefined,
  records: readonly RecordSeen[],
  times: AgentTimes,
): readonly LintFinding[] {
  if (found === undefined || found.source !== 'dns') return [];
  const ttls = records.filter(({ type }) => type === 'A' || type === 'AAAA');
  const ttlSec = Math.min(...ttls.map(({ ttlLeftSec }) => ttlLeftSec));
  const stale: readonly LintFinding[] = found.isStale
    ? [{ level: 'warn', text: 'no name server answers: this is the last good answer' }]
    : [];
  if (!Number.isFinite(ttlSec)) return stale;
  return [...stale, ...lintName(ttlSec, found.addresses.length, times)];
}

function differences(found: Addresses | undefined, system: SystemAnswer): readonly LintFinding[] {
  if (found === undefined) return [];
  if (system.problem !== undefined) {
    return [
      {
        level: 'warn',
        text: `the system's resolver, which the agent uses, fails: ${system.problem}`,
      },
    ];
  }
  const other = system.addresses.filter((address) => !found.addresses.includes(address));
  if (other.length === 0) return [];
  const text = `the system's resolver says ${other.join(', ')}, the name servers do not: a cache, or another source`;
  return [{ level: 'warn', text }];
}

function findingsText(found: Findings): string {
  const { name, records, servers, addresses, source, system, systemProblem, agentUses } = found;
  const rows = records.map(({ type, ttlLeftSec, value }) => [type, `${ttlLeftSec} s`, value]);
  const asked = servers.map(({ server, answered, failed, rttMs }) => [
    ...[server, String(answered), String(failed)],
    rttMs === undefined ? '-' : `${rttMs.toFixed(1)} ms`,
  ]);
  const from = source === 'dns' || source === 'none' ? '' : ` (${source})`;
  return [
    `${name}${from}: ${addresses.join(', ') || 'no address asked for'}`,
    '',
    ...(rows.length === 0 ? [] : [renderTable(['type', 'ttl', 'value'], rows)]),
    ...(asked.length === 0 ? [] : [renderTable(['server', 'answered', 'failed', 'rtt'], asked)]),
    `system   ${printable(system.join(', ') || (systemProblem ?? 'nothing'))}`,
    `agent    ${agentUses === undefined ? 'would not connect' : `would dial ${agentUses}, the first of them, and no other`}`,
    ...(found.refused === undefined ? [] : [`refused  ${refusedText(found.refused)}`]),
    ...found.lint.map(({ level, text }) => `${level.padEnd(8)} ${printable(text)}`),
  ].join('\n');
}
