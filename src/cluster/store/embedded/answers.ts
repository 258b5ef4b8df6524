/** Answers of the text protocol and how its arguments are judged, in wazuh-db's words. */
import { isJsonObject, type JsonObject, type JsonValue } from '../../../guards.ts';
import type { WdbAnswer } from '../wazuh-db.ts';

export function ok(payload = ''): WdbAnswer {
  return { status: 'ok', payload };
}

export function err(payload: string): WdbAnswer {
  return { status: 'err', payload };
}

export function okJson(value: unknown): WdbAnswer {
  return ok(JSON.stringify(value));
}

export function badQuery(text: string): WdbAnswer {
  return err(`Invalid DB query syntax, near '${text.slice(0, 32)}'`);
}

export function badJson(text: string): WdbAnswer {
  return err(`Invalid JSON syntax, near '${text.slice(0, 32)}'`);
}

/** An object argument, or undefined. */
export function parseObject(text: string): JsonObject | undefined {
  try {
    const value = JSON.parse(text) as JsonValue;
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A non-negative whole number as text, such as an agent id; undefined for anything else. */
export function parseId(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
