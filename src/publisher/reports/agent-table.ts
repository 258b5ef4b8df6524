/** `agents`: filter, sort and page what was reported. Pure. */
import { ConfigError } from '../../errors.ts';
import { renderPosition } from '../../list/position.ts';
import type { AgentRow } from './agent-book.ts';
import { type Standing, standingOf, type Target } from './standing.ts';

export interface AgentLine {
  readonly agent: string;
  readonly site: string;
  readonly group: string;
  readonly zone: string;
  readonly os: string;
  readonly version: string;
  readonly sidecar: string;
  readonly manager: string;
  readonly holds: string;
  readonly target: string;
  readonly state: Standing['state'];
  readonly reason: string;
  readonly errors: string;
  /** Seconds since its last report. */
  readonly ageSec: number;
}

export type Column = keyof AgentLine;

const columns: readonly Column[] = [
  ...(['agent', 'site', 'group', 'zone', 'os', 'version', 'sidecar', 'manager'] as const),
  ...(['holds', 'target', 'state', 'reason', 'errors', 'ageSec'] as const),
];

export interface AgentQuery {
  /** `state=failed`, `errors=E610` (a part of a word is enough), `manager!=wm1`. */
  readonly filters: readonly string[];
  readonly sort: string;
  readonly isReverse: boolean;
  readonly page: number;
  readonly limit: number;
}

export interface AgentPage {
  readonly lines: readonly AgentLine[];
  /** How many fit the filters. */
  readonly total: number;
  readonly pages: number;
  /** Of those that fit, by state. */
  readonly states: Readonly<Record<string, number>>;
}

/** Throws ConfigError `usage` for an unknown column. */
export function pageOf(
  rows: Iterable<AgentRow>,
  target: Target,
  query: AgentQuery,
  nowMs: number,
): AgentPage {
  const { matches, compare } = compileQuery(query);
  const found: AgentLine[] = [];
  const states: Record<string, number> = {};
  for (const row of rows) {
    const line = lineOf(row, target, nowMs);
    if (!matches(line)) continue;
    found.push(line);
    states[line.state] = (states[line.state] ?? 0) + 1;
  }
  const start = (query.page - 1) * query.limit;
  return {
    lines: found.sort(compare).slice(start, start + query.limit),
    total: found.length,
    pages: Math.max(1, Math.ceil(found.length / query.limit)),
    states,
  };
}

export interface CompiledQuery {
  matches(line: AgentLine): boolean;
  /** Never 0 for two agents. */
  compare(left: AgentLine, right: AgentLine): number;
}

/** Throws ConfigError `usage` for an unknown column. */
export function compileQuery(
  query: Pick<AgentQuery, 'filters' | 'sort' | 'isReverse'>,
): CompiledQuery {
  const tests = query.filters.map(parseFilter);
  const sort = requireColumn(query.sort);
  const sign = query.isReverse ? -1 : 1;
  return {
    matches: (line) => tests.every((test) => test(line)),
    compare(left, right) {
      const order = compareCells(left[sort], right[sort]);
      return sign * (order || (left.agent < right.agent ? -1 : 1));
    },
  };
}

export function lineOf(row: AgentRow, target: Target, nowMs: number): AgentLine {
  const { report, receivedAtMs } = row;
  const standing = standingOf(row, target, nowMs);
  return {
    agent: report.agent,
    site: report.site,
    group: report.group,
    zone: report.zone ?? '',
    os: report.os,
    version: report.agentVersion ?? '',
    sidecar: report.sidecar,
    manager: report.manager ?? '',
    holds: report.list === undefined ? '' : renderPosition(report.list.position),
    target: renderPosition(standing.target),
    state: standing.state,
    reason: standing.reason,
    errors: report.errors.join(' '),
    ageSec: Math.max(0, Math.round((nowMs - receivedAtMs) / 1_000)),
  };
}

/** Numbers in words compare as numbers: 1/1/9 comes before 1/1/10. */
const collator = new Intl.Collator('en', { numeric: true });

function compareCells(left: string | number, right: string | number): number {
  if (left === right) return 0;
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  return collator.compare(`${left}`, `${right}`);
}

function parseFilter(text: string): (line: AgentLine) => boolean {
  const [, name, negated, wanted = ''] = /^([a-zA-Z]+)(!?)=(.*)$/.exec(text) ?? [];
  if (name === undefined) {
    throw new ConfigError('usage', `--filter ${text}: expected COLUMN=TEXT or COLUMN!=TEXT`);
  }
  const column = requireColumn(name);
  const isWhole = column !== 'errors' && column !== 'reason';
  return (line) => {
    const seen = `${line[column]}`;
    const isMatch = isWhole ? seen === wanted : seen.includes(wanted);
    return isMatch !== (negated === '!');
  };
}

function requireColumn(name: string): Column {
  const found = columns.find((one) => one === name);
  if (found !== undefined) return found;
  throw new ConfigError('usage', `no column ${name}; known: ${columns.join(', ')}`);
}
