/**
 * Search, order, cut and pick over rows, as stock's API does for lists (limit, offset, sort,
 * search, q, select, distinct). Pure.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../../guards.ts';
import { fault } from '../wire/fault.ts';
import { pythonJson } from '../wire/python-json.ts';
import { CallFault } from './call-fault.ts';
import { queryRows } from './query-rows.ts';

export interface RowQuery {
  readonly fields: readonly string[];
  /** Always part of a row, whatever is selected. */
  readonly required: readonly string[];
  readonly offset?: JsonValue | undefined;
  /** null: no limit. */
  readonly limit?: JsonValue | undefined;
  readonly sort?: JsonValue | undefined;
  readonly search?: JsonValue | undefined;
  readonly select?: JsonValue | undefined;
  readonly distinct?: JsonValue | undefined;
  readonly q?: JsonValue | undefined;
}

export interface SelectedRows {
  readonly items: readonly JsonObject[];
  readonly totalItems: number;
}

const maxLimit = 100_000;
const defaultLimit = 500;

/** Rows are flat: a nested member has a dotted name. Throws `CallFault`. */
export function selectRows(rows: readonly JsonObject[], query: RowQuery): SelectedRows {
  const found = queryRows(searched(sorted(rows, query), query.search), query.q);
  const picked = distinct(pick(found, query), query.distinct === true);
  return { items: cut(picked, query), totalItems: picked.length };
}

function sorted(rows: readonly JsonObject[], query: RowQuery): readonly JsonObject[] {
  if (!isJsonObject(query.sort)) return rows;
  const { fields, order } = query.sort;
  const given = Array.isArray(fields) ? fields.filter((one) => one !== '').map(String) : [];
  const names = [...new Set(given)]; // named again it changes nothing but the work
  const wrong = names.filter((name) => !query.fields.includes(name));
  if (wrong.length > 0) throw new CallFault(fault(1403, wrong.join(', ').slice(0, 256)));
  const sign = order === 'desc' ? -1 : 1;
  return [...rows].sort((a, b) => {
    for (const name of names) {
      const difference = compare(a[name], b[name]);
      if (difference !== 0) return sign * difference;
    }
    return 0;
  });
}

/** What is absent comes last. */
function compare(a: JsonValue | undefined, b: JsonValue | undefined): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  const [left, right] = [textOf(a).toLowerCase(), textOf(b).toLowerCase()];
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function searched(rows: readonly JsonObject[], search: JsonValue | undefined) {
  if (!isJsonObject(search) || typeof search.value !== 'string') return rows;
  const text = search.value.toLowerCase();
  const isNegated = search.negation === true;
  return rows.filter(
    (row) => Object.values(row).some((value) => textOf(value).includes(text)) !== isNegated,
  );
}

function pick(rows: readonly JsonObject[], query: RowQuery): readonly JsonObject[] {
  const { select } = query;
  if (select === undefined || select === null) return rows;
  const given = Array.isArray(select) ? select.map(String) : String(select).split(',');
  const names = [...new Set(given)];
  const wrong = names.filter((name) => !query.fields.some((one) => isWithin(one, name)));
  if (wrong.length > 0) {
    const remediation = query.fields.join(', ');
    throw new CallFault({ ...fault(1724, wrong.join(', ').slice(0, 256)), remediation });
  }
  const wanted = [...names, ...(query.distinct === true ? [] : query.required)];
  return rows.map((row) => {
    const kept = Object.entries(row).filter(([key]) => wanted.some((name) => isWithin(key, name)));
    return Object.fromEntries(kept);
  });
}

/** `os` means every `os.…`. */
function isWithin(field: string, name: string): boolean {
  return field === name || field.startsWith(`${name}.`);
}

function distinct(rows: readonly JsonObject[], isWanted: boolean): readonly JsonObject[] {
  if (!isWanted) return rows;
  return [...new Map(rows.map((row) => [pythonJson(row), row])).values()];
}

function cut(rows: readonly JsonObject[], query: RowQuery): readonly JsonObject[] {
  const offset = wholeOr(query.offset, 0, 1400);
  if (query.limit === null) return rows.slice(offset);
  const limit = wholeOr(query.limit, defaultLimit, 1401);
  if (limit === 0) throw new CallFault(fault(1406));
  if (limit > maxLimit) throw new CallFault(fault(1405, String(limit)));
  return rows.slice(offset, offset + limit);
}

function wholeOr(value: JsonValue | undefined, fallback: number, code: number): number {
  if (value === undefined || value === null) return fallback;
  const number = Number(value);
  if (typeof value === 'boolean' || !Number.isSafeInteger(number) || number < 0) {
    throw new CallFault(fault(code));
  }
  return number;
}

function textOf(value: JsonValue): string {
  return typeof value === 'string' ? value.toLowerCase() : pythonJson(value).toLowerCase();
}

/** `{"os.name": …}` becomes `{"os": {"name": …}}`. */
export function nested(row: JsonObject): JsonObject {
  const inner = new Map<string, Record<string, JsonValue>>();
  const entries: [string, JsonValue][] = [];
  for (const [key, value] of Object.entries(row)) {
    const [head = '', tail] = key.split('.', 2);
    if (tail === undefined) entries.push([key, value]);
    else {
      const group = inner.get(head) ?? {};
      if (group && !inner.has(head)) entries.push([head, group]);
      group[tail] = value;
      inner.set(head, group);
    }
  }
  return Object.fromEntries(entries);
}
