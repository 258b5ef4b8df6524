/**
 * Errors and results in the exact shapes that stock nodes decode (cluster-protocol.md 2.3, 2.4):
 * one member more or less wedges a stock parser. Decoding gives plain values and never fails:
 * what cannot be read is an error of code 3000 with the peer's text, as stock maps it.
 */
import { decodeUtf8 } from '../../bytes.ts';
import type { JsonObject, JsonValue } from '../../guards.ts';
import { isJsonObject } from '../../guards.ts';
import { type DaemonsNotReady, type Fault, fault, faultClasses, isFaultClass } from './fault.ts';
import { PayloadError } from './payload.ts';
import { faultMembers, parsePlainJson, parsePlainObject } from './plain-json.ts';
import { pythonJson } from './python-json.ts';

/** Longest foreign text we keep of an error. */
const textCharacters = 4096;

/** `{"__wazuh_exception__": …}` as a JSON value, to be placed in a larger document. */
export function faultJson(value: Fault): JsonObject {
  const spec = faultClasses[value.class];
  const object = {
    type: 'about:blank',
    title: spec.title,
    code: value.code,
    extra_message: extraJson(value.extra),
    extra_remediation: value.remediation ?? null,
    cmd_error: value.isCommandError ?? false,
    dapi_errors: nodesJson(value.nodes),
    ...(spec.hasIds ? { ids: value.ids ?? [] } : {}),
  };
  return { __wazuh_exception__: { __class__: value.class, __object__: object } };
}

function extraJson(extra: string | DaemonsNotReady | undefined): JsonValue {
  if (extra === undefined || typeof extra === 'string') return extra ?? null;
  return { node_name: extra.node_name, not_ready_daemons: extra.not_ready_daemons };
}

function nodesJson(nodes: Fault['nodes']): JsonObject {
  const entries = Object.entries(nodes ?? {}).map(([name, { error, logfile }]) => [
    name,
    logfile === undefined ? { error } : { error, logfile },
  ]);
  return Object.fromEntries(entries) as JsonObject;
}

export function encodeFault(value: Fault): Buffer {
  return Buffer.from(pythonJson(faultJson(value)), 'latin1');
}

/** The payload of an `err` answer or of an error report. Never throws. */
export function decodeFault(bytes: Uint8Array): Fault {
  const text = (decodeUtf8(bytes) ?? '<not UTF-8>').slice(0, textCharacters);
  try {
    return readFault(parsePlainJson(bytes, faultMembers)) ?? fault(3000, text);
  } catch (error) {
    if (error instanceof PayloadError) return fault(3000, text);
    throw error;
  }
}

/** The plain error inside a wrapped one, or undefined when `value` is not of that shape. */
export function readFault(value: JsonValue): Fault | undefined {
  const wrapped = isJsonObject(value) ? value.__wazuh_exception__ : undefined;
  if (!isJsonObject(wrapped)) return undefined;
  const name = wrapped.__class__;
  const object = wrapped.__object__;
  if (typeof name !== 'string' || !isFaultClass(name) || !isJsonObject(object)) return undefined;
  if (!Number.isInteger(object.code)) return undefined;
  const extra = readExtra(object.extra_message ?? null);
  const nodes = readNodes(object.dapi_errors ?? null);
  return {
    class: name,
    code: Number(object.code),
    ...(extra === undefined ? {} : { extra }),
    ...textMember('remediation', object.extra_remediation ?? null),
    ...(object.cmd_error === true ? { isCommandError: true } : {}),
    ...(nodes === undefined ? {} : { nodes }),
    ...idsMember(object.ids ?? null),
  };
}

function readExtra(value: JsonValue): string | DaemonsNotReady | undefined {
  if (value === null) return undefined;
  if (typeof value === 'string') return value.slice(0, textCharacters);
  if (!isJsonObject(value)) return pythonJson(value).slice(0, textCharacters);
  const { node_name, not_ready_daemons } = value;
  const isKnown = typeof node_name === 'string' && typeof not_ready_daemons === 'string';
  return isKnown ? { node_name, not_ready_daemons } : pythonJson(value).slice(0, textCharacters);
}

function textMember(name: 'remediation', value: JsonValue): { readonly remediation?: string } {
  return typeof value === 'string' ? { [name]: value.slice(0, textCharacters) } : {};
}

function idsMember(value: JsonValue): { readonly ids?: readonly string[] } {
  if (!Array.isArray(value)) return {};
  const ids = value.filter((id): id is string => typeof id === 'string');
  return ids.length === 0 ? {} : { ids };
}

function readNodes(value: JsonValue): Fault['nodes'] {
  if (!isJsonObject(value) || Object.keys(value).length === 0) return undefined;
  const entries = Object.entries(value).map(([node, member]) => {
    const error = isJsonObject(member) ? member.error : undefined;
    const logfile = isJsonObject(member) ? member.logfile : undefined;
    const told = { error: typeof error === 'string' ? error : '' };
    return [node, typeof logfile === 'string' ? { ...told, logfile } : told] as const;
  });
  return Object.fromEntries(entries);
}

/** What a node answers after it stored what it was sent (agent-info, agent-groups). */
export interface SyncResult {
  readonly updatedChunks: number;
  readonly errorMessages: readonly string[];
  readonly timeSpentS: number;
}

export function encodeSyncResult(result: SyncResult): Buffer {
  const json = {
    updated_chunks: result.updatedChunks,
    error_messages: result.errorMessages,
    time_spent: result.timeSpentS,
  };
  return Buffer.from(pythonJson(json), 'latin1');
}

/** Throws `PayloadError`. */
export function decodeSyncResult(bytes: Uint8Array): SyncResult {
  const { updated_chunks, error_messages, time_spent } = parsePlainObject(bytes);
  if (typeof updated_chunks !== 'number' || typeof time_spent !== 'number') {
    throw new PayloadError('updated_chunks and time_spent must be numbers');
  }
  if (!Array.isArray(error_messages)) throw new PayloadError('error_messages must be a list');
  return {
    updatedChunks: updated_chunks,
    errorMessages: error_messages.map((text) => String(text).slice(0, textCharacters)),
    timeSpentS: time_spent,
  };
}
