/**
 * `wazuh-agentd.state`: `key='value'` lines, rewritten every 5 s, removed at a clean exit, left
 * behind by a kill. Stamps are local time without a zone. Source: agent-side.md 3.1 and
 * real-agent-lab.md 2 (whose example is in the tests).
 */
import type { AgentStatus } from './agent-facts.ts';

export interface AgentState {
  readonly status: AgentStatus;
  readonly lastAckAtMs?: number;
  readonly lastKeepaliveAtMs?: number;
  readonly msgCount?: number;
  readonly msgSent?: number;
  /** Absent when the anti-flooding buffer is off, and in 5.0. */
  readonly msgBuffer?: number;
}

const statuses: readonly AgentStatus[] = ['pending', 'connected', 'disconnected'];

/**
 * Never throws: Windows rewrites the file in place, so a reader may meet half of it; what is not
 * there is absent. `nearMs` (the file's modification time) settles a local time that a clock
 * change made ambiguous.
 */
export function parseAgentState(text: string, nearMs: number): AgentState {
  const values = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*([a-z_]+)='([^']*)'\s*$/.exec(line);
    if (match?.[1] !== undefined) values.set(match[1], match[2] ?? '');
  }
  const optional = <Name extends string>(name: Name, value: number | undefined) =>
    value === undefined ? {} : ({ [name]: value } as Readonly<Record<Name, number>>);
  const status = statuses.find((known) => known === values.get('status'));
  return {
    status: status ?? 'unknown',
    ...optional('lastAckAtMs', parseLocalStamp(values.get('last_ack') ?? '', nearMs)),
    ...optional('lastKeepaliveAtMs', parseLocalStamp(values.get('last_keepalive') ?? '', nearMs)),
    ...optional('msgCount', parseCount(values.get('msg_count'))),
    ...optional('msgSent', parseCount(values.get('msg_sent'))),
    ...optional('msgBuffer', parseCount(values.get('msg_buffer'))),
  };
}

/** `YYYY-MM-DD HH:MM:SS` in this process's zone, as the agent on the same host wrote it. */
export function parseLocalStamp(text: string, nearMs: number): number | undefined {
  const match = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)$/.exec(text);
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1)
    .map(Number);
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) {
    return undefined;
  }
  const firstMs = new Date(year, month - 1, day, hour, minute, second).getTime();
  // When clocks go back an hour happens twice: both instants print the same local time.
  const hourMs = 3_600_000;
  const readings = [firstMs, firstMs - hourMs, firstMs + hourMs].filter(
    (atMs) => new Date(atMs).getHours() === new Date(firstMs).getHours(),
  );
  const nearest = (left: number, right: number): number =>
    Math.abs(left - nearMs) - Math.abs(right - nearMs);
  return readings.toSorted(nearest)[0];
}

function parseCount(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
