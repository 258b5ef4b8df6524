/**
 * Events as lines of JSON, one file for the Wazuh agent to tail and for `timeline` to read back:
 * `{"timestamp":…,"integration":"pilotfish","pilotfish":{"program":…,"event":"manager.down",…}}`.
 * What is logged is named field by field by its caller, so nothing secret is in it. Pure.
 */
import { isJsonObject } from '../guards.ts';
import type { LogFields } from '../log.ts';

export type EventLevel = 'info' | 'warn' | 'error';

export interface LoggedEvent {
  readonly atMs: number;
  readonly program: string;
  readonly level: EventLevel;
  /** Dotted name, such as `list.proven`. */
  readonly event: string;
  readonly fields: LogFields;
}

/** The agent's own limit for a line is 64 KiB; ours are a few hundred bytes. */
const maxFieldChars = 512;

export function renderEventLine({ atMs, program, level, event, fields }: LoggedEvent): string {
  const bounded = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined || value === null
      ? []
      : [[name, typeof value === 'string' ? value.slice(0, maxFieldChars) : value]],
  );
  const told = { program, level, event, ...Object.fromEntries(bounded) };
  const timestamp = new Date(atMs).toISOString();
  return `${JSON.stringify({ timestamp, integration: 'pilotfish', pilotfish: told })}\n`;
}

/** What of `text` is of ours, oldest first; a torn or foreign line is left out. */
export function parseEventLines(text: string): readonly LoggedEvent[] {
  return text.split('\n').flatMap(parseEventLine);
}

function parseEventLine(line: string): readonly LoggedEvent[] {
  if (!line.startsWith('{')) return [];
  try {
    const value: unknown = JSON.parse(line);
    if (!isJsonObject(value) || !isJsonObject(value.pilotfish)) return [];
    const { program, level, event, ...rest } = value.pilotfish;
    const atMs = Date.parse(String(value.timestamp));
    if (typeof program !== 'string' || typeof event !== 'string' || Number.isNaN(atMs)) return [];
    if (level !== 'info' && level !== 'warn' && level !== 'error') return [];
    const fields = Object.fromEntries(Object.entries(rest).filter(([, one]) => !isNested(one)));
    return [{ atMs, program, level, event, fields: fields as LogFields }];
  } catch {
    return [];
  }
}

function isNested(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}
