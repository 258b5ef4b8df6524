/**
 * Results of distributed calls (cluster-protocol.md 2.3): the two result classes a stock node
 * decodes. Decoding gives plain values; a peer's answer is as untrusted as its question.
 */
import type { JsonObject, JsonValue } from '../../guards.ts';
import { isJsonObject } from '../../guards.ts';
import type { Fault } from './fault.ts';
import { PayloadError } from './payload.ts';
import { parsePlainJson, resultMembers } from './plain-json.ts';
import { pythonJson } from './python-json.ts';
import { faultJson, readFault } from './wazuh-json.ts';

/** One error and the items it hit. */
export interface FailedItems {
  readonly fault: Fault;
  readonly ids: readonly string[];
}

export type CallResult =
  | { readonly kind: 'document'; readonly document: JsonObject }
  | {
      readonly kind: 'items';
      readonly items: readonly JsonValue[];
      readonly totalItems: number;
      readonly sortFields: readonly string[] | null;
      readonly sortCasting: readonly string[];
      readonly sortAscending: readonly boolean[];
      readonly failed: readonly FailedItems[];
      readonly messages: { readonly all: string; readonly some: string; readonly none: string };
    }
  | { readonly kind: 'fault'; readonly fault: Fault };

export function encodeCallResult(result: CallResult): Buffer {
  return Buffer.from(pythonJson(resultJson(result)), 'latin1');
}

function resultJson(result: CallResult): JsonObject {
  if (result.kind === 'fault') return faultJson(result.fault);
  const wrapped =
    result.kind === 'document'
      ? { name: 'WazuhResult', object: { str_priority: null, result: result.document } }
      : { name: 'AffectedItemsWazuhResult', object: itemsJson(result) };
  return { __wazuh_result__: { __class__: wrapped.name, __object__: wrapped.object } };
}

function itemsJson(result: Extract<CallResult, { kind: 'items' }>): JsonObject {
  const failedCount = result.failed.reduce((sum, { ids }) => sum + ids.length, 0);
  return {
    affected_items: result.items,
    sort_fields: result.sortFields,
    sort_casting: result.sortCasting,
    sort_ascending: result.sortAscending,
    total_affected_items: result.totalItems,
    total_failed_items: failedCount,
    dikt: {},
    all_msg: result.messages.all,
    some_msg: result.messages.some,
    none_msg: result.messages.none,
    failed_items_keys: result.failed.map(({ fault }) => failedKeyJson(fault)),
    failed_items_values: result.failed.map(({ ids }) => ids),
  };
}

/** Inside a result an error stands without its outer wrap, object first. */
function failedKeyJson(fault: Fault): JsonObject {
  const { __wazuh_exception__: wrapped } = faultJson(fault);
  if (!isJsonObject(wrapped)) throw new TypeError('a fault is always wrapped');
  return { __object__: wrapped.__object__ ?? null, __class__: wrapped.__class__ ?? null };
}

/** Throws `PayloadError` for what is none of the known shapes. */
export function decodeCallResult(bytes: Uint8Array): CallResult {
  const value = parsePlainJson(bytes, resultMembers);
  const failure = readFault(value);
  if (failure !== undefined) return { kind: 'fault', fault: failure };
  const wrapped = isJsonObject(value) ? value.__wazuh_result__ : undefined;
  if (!isJsonObject(wrapped) || !isJsonObject(wrapped.__object__)) {
    throw new PayloadError('not a result');
  }
  const object = wrapped.__object__;
  if (wrapped.__class__ === 'AffectedItemsWazuhResult') return readItems(object);
  const { result } = object;
  if (wrapped.__class__ !== 'WazuhResult' || !isJsonObject(result)) {
    throw new PayloadError('not a known kind of result');
  }
  return { kind: 'document', document: result };
}

function readItems(object: JsonObject): CallResult {
  const { affected_items: items, total_affected_items: total, sort_fields: fields } = object;
  if (!isList(items) || typeof total !== 'number') throw new PayloadError('not a list of items');
  return {
    kind: 'items',
    items,
    totalItems: total,
    sortFields: isList(fields) ? fields.map(String) : null,
    sortCasting: isList(object.sort_casting) ? object.sort_casting.map(String) : [],
    sortAscending: isList(object.sort_ascending)
      ? object.sort_ascending.map((value) => value === true)
      : [],
    failed: readFailed(object.failed_items_keys, object.failed_items_values),
    messages: {
      all: textOf(object.all_msg),
      some: textOf(object.some_msg),
      none: textOf(object.none_msg),
    },
  };
}

function readFailed(
  keys: JsonValue | undefined,
  values: JsonValue | undefined,
): readonly FailedItems[] {
  if (!isList(keys) || !isList(values)) return [];
  return keys.map((key, index) => {
    const fault = readFault({ __wazuh_exception__: key });
    if (fault === undefined) throw new PayloadError('a failed item without a known error');
    const ids = values[index];
    return { fault, ids: isList(ids) ? ids.map(String) : [] };
  });
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}
