/** One cycle's status as the short report that the publisher gets. Pure. */
import type { AgentReport } from '../list/agent-report.ts';
import type { Platform } from '../wazuh/agent-home.ts';
import type { CycleReport } from './cycle.ts';
import { heldNow } from './held.ts';
import type { StatusReport } from './report.ts';

/** Who reports; the same for the life of the process. */
export interface Reporter {
  /** Id in `client.keys`. */
  readonly agent: string;
  readonly place: string;
  readonly zone?: string;
  readonly sidecar: string;
  readonly os: Platform;
  readonly mode: string;
}

/** How the applier ended last, kept until it ends otherwise. */
export type LastResult = NonNullable<AgentReport['result']>;

export function resultOf(cycle: CycleReport): LastResult | undefined {
  const { result } = cycle;
  if (result === undefined) return undefined;
  const { outcome, reason, position, startedAtMs, tookMs } = result;
  return {
    outcome,
    ...(reason === undefined ? {} : { code: reason.code }),
    ...(position === undefined ? {} : { position }),
    at: startedAtMs + tookMs,
  };
}

export interface ReportGround {
  readonly cycle: CycleReport;
  readonly status: StatusReport;
  readonly result: LastResult | undefined;
}

/** Everything but what changes with every report: `seq`, `at`, `everySec`. */
export type ReportFacts = Omit<AgentReport, 'seq' | 'at' | 'everySec'>;

export function reportFacts(reporter: Reporter, ground: ReportGround): ReportFacts {
  const { cycle, status, result } = ground;
  const { trust, memory } = cycle;
  const { agent, place, zone, sidecar, os, mode } = reporter;
  const version = shortWord(status.agent?.version);
  const current = status.managers.find((manager) => manager.isCurrent);
  const last = status.lastAttempt;
  return {
    ...{ agent, place, sidecar, os, mode },
    ...(zone === undefined ? {} : { zone }),
    ...(version === undefined ? {} : { agentVersion: version }),
    group: status.group,
    site: status.site,
    root: status.rootVersion,
    ...(trust.list === undefined
      ? {}
      : { list: { position: trust.list.position, hash: trust.list.hash } }),
    ...(trust.pending === undefined ? {} : { pending: trust.pending.position }),
    stalePolls: memory.stalePolls,
    ...(current === undefined ? {} : { manager: current.id }),
    connected: isConnected(cycle),
    step: stepWord(status.step),
    why: printableLine(status.trace.at(-1) ?? ''),
    ...(last === undefined
      ? {}
      : { move: { kind: last.kind, to: last.to, at: last.atMs, outcome: last.outcome } }),
    ...(result === undefined ? {} : { result }),
    errors: errorCodes(status, cycle),
    health: status.managers.map(({ id, verdict }) => ({ id, verdict })),
  };
}

/** What is worth a report before its time. */
export function isNews(before: ReportFacts | undefined, now: ReportFacts): boolean {
  const told = ({ list, pending, manager, connected, step, result, errors }: ReportFacts): string =>
    JSON.stringify([list?.hash, pending, manager, connected, step, result, errors]);
  return before === undefined || told(before) !== told(now);
}

function isConnected({ seen }: CycleReport): boolean {
  if (seen === undefined || !seen.agent.running || seen.agent.waiting) return false;
  return seen.agent.peers.length > 0 || seen.agent.status === 'connected';
}

function stepWord(step: StatusReport['step']): string {
  return 'reason' in step ? `${step.kind}:${step.reason}` : step.kind;
}

const maxErrors = 8;

function errorCodes({ faults }: StatusReport, { memory, seen, atMs }: CycleReport) {
  const held = heldNow(memory, seen?.pause, atMs)?.why ?? '';
  const codes = [
    ...faults.map(({ error }) => error.code),
    /^E\d{3}/.exec(held)?.[0],
    seen?.file.kind === 'refused' ? seen.file.code : undefined,
    seen?.relay?.kind === 'refused' ? seen.relay.code : undefined,
  ];
  const known = codes.filter((code) => code !== undefined && /^E\d{3}$/.test(code));
  return [...new Set(known as string[])].slice(0, maxErrors);
}

function printableLine(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 200);
}

function shortWord(text: string | undefined): string | undefined {
  const word = text?.replace(/[^A-Za-z0-9_.:+-]/g, '').slice(0, 64);
  return word === '' ? undefined : word;
}
