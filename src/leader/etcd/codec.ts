/**
 * The JSON of etcd's gRPC gateway (v3.4 to v3.6): bytes are base64, int64 are strings, zero and empty
 * members are left out. Requests as values, answers checked; nothing here knows a socket.
 * Source: etcd.io/docs/v3.4/dev-guide/api_grpc_gateway and api_reference_v3.
 */
import { isJsonObject, type JsonValue } from '../../guards.ts';

export interface KeyValue {
  /** When the key came into being; changes when it is deleted and made again. */
  readonly createRevision: number;
  readonly modRevision: number;
  readonly lease: string;
  readonly value: Uint8Array;
}

export interface TxnAnswer {
  readonly succeeded: boolean;
  /** One for each request; undefined for a key that is not there, and for puts. */
  readonly found: readonly (KeyValue | undefined)[];
  /** Of the store after the transaction. */
  readonly revision: number;
}

type Compare = JsonValue;
type Request = JsonValue;

const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64');

/** 0: the key is not there. */
export function createdAt(key: string, revision: number): Compare {
  const target = { target: 'CREATE', result: 'EQUAL', create_revision: `${revision}` };
  return { ...target, key: base64(key) };
}

/** 0: the key is not there. */
export function changedAt(key: string, revision: number): Compare {
  return { target: 'MOD', result: 'EQUAL', key: base64(key), mod_revision: `${revision}` };
}

export function put(key: string, value: Uint8Array | string, lease?: string): Request {
  const bound = lease === undefined ? {} : { lease };
  return { requestPut: { key: base64(key), value: base64(value), ...bound } };
}

export function get(key: string): Request {
  return { requestRange: { key: base64(key) } };
}

/** Everything but the value. */
export function getRevisions(key: string): Request {
  return { requestRange: { key: base64(key), keys_only: true } };
}

export function remove(key: string): Request {
  return { requestDeleteRange: { key: base64(key) } };
}

/** Undefined: not an answer that etcd gives. */
export function parseTxn(value: JsonValue): TxnAnswer | undefined {
  if (!isJsonObject(value)) return undefined;
  const { succeeded, responses = [], header } = value;
  const revision = isJsonObject(header) ? toRevision(header.revision) : undefined;
  if (!Array.isArray(responses) || revision === undefined) return undefined;
  const found = responses.map(parseResponse);
  if (found.includes('broken')) return undefined;
  const known = found.map((one) => (one === 'broken' ? undefined : one));
  return { succeeded: succeeded === true, found: known, revision };
}

function parseResponse(value: JsonValue): KeyValue | undefined | 'broken' {
  if (!isJsonObject(value)) return 'broken';
  const range = value.response_range ?? value.responseRange;
  if (range === undefined) return undefined;
  if (!isJsonObject(range)) return 'broken';
  const { kvs = [] } = range;
  if (!Array.isArray(kvs) || kvs.length > 1) return 'broken';
  const [first] = kvs as readonly JsonValue[];
  return first === undefined ? undefined : (parseKeyValue(first) ?? 'broken');
}

function parseKeyValue(value: JsonValue): KeyValue | undefined {
  if (!isJsonObject(value)) return undefined;
  const createRevision = toRevision(value.create_revision);
  const modRevision = toRevision(value.mod_revision);
  if (createRevision === undefined || modRevision === undefined) return undefined;
  const { value: text = '', lease = '0' } = value;
  if (typeof text !== 'string' || typeof lease !== 'string') return undefined;
  return { createRevision, modRevision, lease, value: Buffer.from(text, 'base64') };
}

/** A revision that a number holds exactly: at a thousand writes a second for 285 000 years. */
export function toRevision(value: JsonValue | undefined): number | undefined {
  if (typeof value !== 'string' || !/^\d{1,16}$/.test(value)) return undefined;
  const revision = Number(value);
  return Number.isSafeInteger(revision) && revision > 0 ? revision : undefined;
}

export interface LeaseAnswer {
  readonly id: string;
  /** 0: it is over. */
  readonly ttlSec: number;
}

/** Of a grant, or of a renewal, which comes wrapped in `result`. */
export function parseLease(value: JsonValue): LeaseAnswer | undefined {
  if (!isJsonObject(value)) return undefined;
  if (isJsonObject(value.result)) return parseLease(value.result);
  const { ID: id, TTL: ttl = '0' } = value;
  if (typeof id !== 'string' || !/^\d{1,19}$/.test(id)) return undefined;
  if (typeof ttl !== 'string' || !/^-?\d{1,10}$/.test(ttl)) return undefined;
  return { id, ttlSec: Math.max(0, Number(ttl)) };
}

export function parseToken(value: JsonValue): string | undefined {
  if (!isJsonObject(value) || typeof value.token !== 'string') return undefined;
  return /^[\x21-\x7e]{1,4096}$/.test(value.token) ? value.token : undefined;
}

export function clusterOf(value: JsonValue): string | undefined {
  if (!isJsonObject(value)) return undefined;
  if (isJsonObject(value.result)) return clusterOf(value.result);
  const { header } = value;
  if (!isJsonObject(header) || typeof header.cluster_id !== 'string') return undefined;
  return /^\d{1,20}$/.test(header.cluster_id) ? header.cluster_id : undefined;
}

/** What etcd says when it does not do it. */
export interface EtcdFault {
  /**
   * `lease_gone`; `auth`: the token is not taken, a new one may be; `refused`: no token will help;
   * `full`; `away`: this member cannot now, another may; `broken`: not what etcd says.
   */
  readonly kind: 'lease_gone' | 'auth' | 'auth_off' | 'refused' | 'full' | 'away' | 'broken';
  readonly said: string;
}

const faults: readonly (readonly [RegExp, EtcdFault['kind']])[] = [
  [/requested lease not found/, 'lease_gone'],
  [/invalid auth token|auth token is not provided|user name is empty/, 'auth'],
  [/revision of auth store is old|auth: revision in header is old/, 'auth'],
  [/authentication is not enabled/, 'auth_off'],
  [
    /authentication failed|permission denied|CommonName of client|empty CommonName|user name not found/,
    'refused',
  ],
  [/database space exceeded/, 'full'],
  [/request is too large/, 'full'],
];

/** gRPC status 16, 7 (grpc/status.proto). */
const codes: Readonly<Record<number, EtcdFault['kind']>> = { 16: 'auth', 7: 'refused' };

export function faultOf(status: number, text: string): EtcdFault {
  const value = parseJson(text);
  const told = isJsonObject(value) ? (value.message ?? value.error) : undefined;
  const said = printable(typeof told === 'string' ? told : text) || `HTTP ${status}`;
  const known = faults.find(([pattern]) => pattern.test(said))?.[1];
  if (known !== undefined) return { kind: known, said };
  const code = isJsonObject(value) && typeof value.code === 'number' ? value.code : 0;
  const byCode = codes[code];
  if (byCode !== undefined) return { kind: byCode, said };
  return { kind: isJsonObject(value) && code > 0 ? 'away' : 'broken', said };
}

/** Undefined: not JSON. */
export function parseJson(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}

/** One short line, whatever a hostile server sends. */
function printable(text: string): string {
  return text
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, 200);
}
