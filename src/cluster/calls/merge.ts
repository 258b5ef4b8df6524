/**
 * Answers of several nodes as one (cluster-protocol.md 4.9.5). Pure. Stock's rules: an error on
 * the right wins unless it names ids, which become failed items; lists are merged in order;
 * numbers add up. Where stock fails (items that cannot be cast for ordering) order of nodes stays.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../../guards.ts';
import { pythonJson } from '../wire/python-json.ts';
import type { CallResult, FailedItems } from '../wire/result-json.ts';

type Items = Extract<CallResult, { kind: 'items' }>;

export function mergeResults(left: CallResult, right: CallResult): CallResult {
  if (right.kind === 'fault') return mergeFault(left, right);
  if (left.kind === 'fault') return mergeFault(right, left);
  if (left.kind === 'items' && right.kind === 'items') return mergeItems(left, right);
  if (left.kind === 'document' && right.kind === 'document') {
    return { kind: 'document', document: mergeObjects(left.document, right.document) };
  }
  return right;
}

function mergeFault(left: CallResult, right: Extract<CallResult, { kind: 'fault' }>): CallResult {
  const { ids = [] } = right.fault;
  const isAboutItems = right.fault.class !== 'WazuhInternalError' && ids.length > 0;
  if (left.kind !== 'items' || !isAboutItems) return right;
  return { ...left, failed: addFailed(left.failed, [{ fault: right.fault, ids }]) };
}

function mergeItems(left: Items, right: Items): Items {
  return {
    ...left,
    items: mergeOrdered(left.items, right.items, left),
    totalItems: left.totalItems + right.totalItems,
    failed: addFailed(left.failed, right.failed),
  };
}

/** Items that failed for the same reason stand together, each once. */
export function addFailed(
  left: readonly FailedItems[],
  right: readonly FailedItems[],
): readonly FailedItems[] {
  const merged = new Map<string, FailedItems>();
  for (const one of [...left, ...right]) {
    const { class: name, code, extra } = one.fault;
    const key = JSON.stringify([name, code, extra ?? null]);
    const ids = new Set([...(merged.get(key)?.ids ?? []), ...one.ids]);
    merged.set(key, { fault: merged.get(key)?.fault ?? one.fault, ids: [...ids] });
  }
  return [...merged.values()];
}

/** Both lists are in order already. */
function mergeOrdered(
  left: readonly JsonValue[],
  right: readonly JsonValue[],
  order: Pick<Items, 'sortFields' | 'sortCasting' | 'sortAscending'>,
): readonly JsonValue[] {
  const keyOf = keyReader(order);
  if ([...left, ...right].some((item) => keyOf(item) === undefined)) return [...left, ...right];
  const merged: JsonValue[] = [];
  let at = 0;
  for (const item of left) {
    for (let next = right[at]; next !== undefined; next = right[++at]) {
      if (!goesBefore(keyOf(next) ?? [], keyOf(item) ?? [], order.sortAscending)) break;
      merged.push(next);
    }
    merged.push(item);
  }
  return [...merged, ...right.slice(at)];
}

type Key = readonly (number | string | boolean | null)[];

/** The key of an item; undefined: it cannot be cast. */
function keyReader({
  sortFields,
  sortCasting,
}: Pick<Items, 'sortFields' | 'sortCasting'>): (item: JsonValue) => Key | undefined {
  return (item) => {
    const values = sortFields === null ? [item] : sortFields.map((field) => memberAt(item, field));
    const key = values.map((value, index) => cast(value, sortCasting[index] ?? 'str'));
    return key.includes(undefined) ? undefined : (key as Key);
  };
}

function memberAt(item: JsonValue, path: string): JsonValue {
  let value = item;
  for (const field of path.split('.')) {
    if (!isJsonObject(value)) return value;
    value = value[field] ?? null;
  }
  return value;
}

function cast(value: JsonValue, type: string): number | string | boolean | null | undefined {
  if (value === null) return null;
  if (typeof value === 'object') return undefined;
  if (type === 'str') return String(value);
  if (type === 'bool') return Boolean(value);
  const number = Number(value);
  return Number.isNaN(number) ? undefined : number;
}

/** Absent values come first. */
function goesBefore(a: Key, b: Key, ascending: readonly boolean[]): boolean {
  for (const [index, left] of a.entries()) {
    const right = b[index] ?? null;
    if (left === null) return right !== null;
    if (right === null) return false;
    if (left < right) return ascending[index] ?? true;
    if (left > right) return !(ascending[index] ?? true);
  }
  return false;
}

function mergeObjects(left: JsonObject, right: JsonObject): JsonObject {
  const merged: Record<string, JsonValue> = { ...left };
  for (const [key, value] of Object.entries(right)) {
    const was = left[key];
    merged[key] = was === undefined ? value : mergeValues(was, value, key);
  }
  return merged;
}

function mergeValues(left: JsonValue, right: JsonValue, key: string): JsonValue {
  if (isJsonObject(left) && isJsonObject(right)) return mergeObjects(left, right);
  if (Array.isArray(left) && Array.isArray(right)) {
    const known = new Set(left.map(pythonJson));
    return [...left, ...right.filter((one: JsonValue) => !known.has(pythonJson(one)))];
  }
  if (typeof left === 'number' && typeof right === 'number') return left + right;
  if (typeof left === 'string' && typeof right === 'string') {
    return left === right || key === 'older_than' ? left : `${left}|${right}`;
  }
  return left;
}
