/**
 * What every agent said last, in memory, and what of it is not on disk yet. Bounded by the agents
 * that `client.keys` names: a later report takes the place of an earlier one, also when the disk
 * does not take either.
 */
import type { AgentReport } from '../../list/agent-report.ts';
import { renderPosition } from '../../list/position.ts';

export interface AgentRow {
  readonly report: AgentReport;
  /** By the publisher's own clock; what a host says of its time is only a hint. */
  readonly receivedAtMs: number;
}

/** Something that changed for one agent, for its history. */
export interface AgentEvent {
  readonly agent: string;
  readonly atMs: number;
  readonly kind: 'list' | 'manager' | 'result' | 'errors';
  readonly text: string;
}

export interface AgentBook {
  seqOf(agent: string): number;
  take(row: AgentRow): void;
  /** May be walked any number of times. */
  rows(): Iterable<AgentRow>;
  row(agent: string): AgentRow | undefined;
  size(): number;
  /** How many report from each manager, by what they call it. */
  loads(): ReadonlyMap<string, number>;
  /** What is to be written; it counts as written until `putBack`. */
  takeUnsaved(limit: number): Unsaved;
  putBack(unsaved: Unsaved): void;
  unsavedCount(): number;
  /** Agents that were not heard of since then, or that no longer exist, are forgotten. */
  forget(isGone: (row: AgentRow) => boolean): readonly string[];
}

export interface Unsaved {
  readonly rows: readonly AgentRow[];
  readonly events: readonly AgentEvent[];
}

const maxEvents = 20_000;

/** `onEvent` is told of everything that changes for an agent. */
export function buildAgentBook(
  known: Iterable<AgentRow>,
  onEvent?: (event: AgentEvent) => void,
): AgentBook {
  const rows = new Map<string, AgentRow>();
  const loads = new Map<string, number>();
  const count = (row: AgentRow | undefined, step: 1 | -1): void => {
    const manager = row?.report.manager;
    if (manager === undefined) return;
    const next = (loads.get(manager) ?? 0) + step;
    if (next === 0) loads.delete(manager);
    else loads.set(manager, next);
  };
  const keep = (row: AgentRow): void => {
    const { agent } = row.report;
    count(rows.get(agent), -1);
    count(row, 1);
    rows.set(agent, intern(row));
  };
  for (const row of known) keep(row);
  const unsaved = new Set<string>();
  let events: AgentEvent[] = [];
  return {
    seqOf: (agent) => rows.get(agent)?.report.seq ?? 0,
    take(row) {
      const { agent } = row.report;
      const fresh = eventsOf(rows.get(agent), row);
      for (const event of fresh) onEvent?.(event);
      events.push(...fresh);
      if (events.length > 2 * maxEvents) events = events.slice(-maxEvents);
      keep(row);
      unsaved.add(agent);
    },
    rows: () => ({ [Symbol.iterator]: () => rows.values() }),
    row: (agent) => rows.get(agent),
    loads: () => loads,
    size: () => rows.size,
    takeUnsaved(limit) {
      const agents = [...unsaved.values().take(limit)];
      for (const agent of agents) unsaved.delete(agent);
      const taken = events.slice(0, limit);
      events = events.slice(limit);
      return { rows: agents.flatMap((agent) => rows.get(agent) ?? []), events: taken };
    },
    putBack({ rows: back, events: earlier }) {
      for (const { report } of back) if (rows.has(report.agent)) unsaved.add(report.agent);
      events = [...earlier, ...events].slice(-maxEvents);
    },
    unsavedCount: () => unsaved.size + events.length,
    forget(isGone) {
      const gone = [...rows.values()].filter(isGone).map(({ report }) => report.agent);
      for (const agent of gone) {
        count(rows.get(agent), -1);
        rows.delete(agent);
        unsaved.delete(agent);
      }
      return gone;
    },
  };
}

/** Pure: what a reader of the agent's history wants to see. */
export function eventsOf(before: AgentRow | undefined, now: AgentRow): readonly AgentEvent[] {
  const old = before?.report;
  const { report, receivedAtMs } = now;
  const base = { agent: report.agent, atMs: receivedAtMs };
  const events: AgentEvent[] = [];
  if (report.list !== undefined && report.list.hash !== old?.list?.hash) {
    events.push({ ...base, kind: 'list', text: `holds ${renderPosition(report.list.position)}` });
  }
  if (report.manager !== old?.manager) {
    const from = old?.manager === undefined ? '' : `${old.manager} -> `;
    events.push({ ...base, kind: 'manager', text: `${from}${report.manager ?? 'none'}` });
  }
  const { result } = report;
  if (result !== undefined && result.at !== old?.result?.at) {
    events.push({ ...base, kind: 'result', text: [result.outcome, result.code].join(' ').trim() });
  }
  const errors = report.errors.join(' ');
  if (errors !== '' && errors !== old?.errors.join(' ')) {
    events.push({ ...base, kind: 'errors', text: errors });
  }
  return events;
}

/** Words that most agents share are kept once: ten thousand reports stay a few megabytes. */
const words = new Map<string, string>();
const maxWords = 4_096;

function intern(row: AgentRow): AgentRow {
  const { report } = row;
  const shared = { ...report, group: one(report.group), site: one(report.site) };
  return {
    receivedAtMs: row.receivedAtMs,
    report: {
      ...shared,
      sidecar: one(report.sidecar),
      step: one(report.step),
      mode: one(report.mode),
      health: report.health.map(({ id, verdict }) => ({ id: one(id), verdict: one(verdict) })),
      ...(report.zone === undefined ? {} : { zone: one(report.zone) }),
      ...(report.manager === undefined ? {} : { manager: one(report.manager) }),
      ...(report.agentVersion === undefined ? {} : { agentVersion: one(report.agentVersion) }),
      ...(report.list === undefined
        ? {}
        : { list: { ...report.list, hash: one(report.list.hash) } }),
    },
  };
}

function one(text: string): string {
  const kept = words.get(text);
  if (kept !== undefined) return kept;
  if (words.size < maxWords) words.set(text, text);
  return text;
}
