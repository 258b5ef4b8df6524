/**
 * A distributed call as it travels (cluster-protocol.md 4.9.1). The function it names becomes a
 * key of our closed table and nothing else: no module is loaded, no name is resolved, arguments
 * stay plain values. What is not exactly of the known shape is refused.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../../guards.ts';
import { PayloadError } from '../wire/payload.ts';
import { callableMembers, checkPlain, parsePlainObject } from '../wire/plain-json.ts';
import { pythonJson } from '../wire/python-json.ts';

/** `local_any`: where it is asked; `distributed_master`: on the nodes that own the data. */
export type RequestType = 'local_any' | 'local_master' | 'distributed_master';

export interface CallRequest {
  /** Key of the table of verbs: `wazuh.agent.get_agents`. */
  readonly verb: string;
  readonly kwargs: JsonObject;
  readonly requestType: RequestType;
  /** No time limit of its own; ours still holds. */
  readonly isPatient: boolean;
  /** A master forwarded it: run it here. */
  readonly isFromCluster: boolean;
  readonly isBroadcast: boolean;
  readonly removesDenied: boolean;
  /** Nodes of the system as the asker knows them. */
  readonly nodes: readonly string[];
  /** Undefined: the default, which narrows nothing. Otherwise to be evaluated by `rbac.ts`. */
  readonly permissions: JsonValue | undefined;
  /** As received, to be passed on. */
  readonly raw: JsonObject;
}

const known: ReadonlySet<string> = new Set([
  'f',
  'f_kwargs',
  'request_type',
  'wait_for_complete',
  'from_cluster',
  'is_async',
  'local_client_arg',
  'basic_services',
  'rbac_permissions',
  'current_user',
  'broadcasting',
  'nodes',
  'api_timeout',
  'remove_denied_nodes',
  'debug',
]);
/** Stock's two, and ours. */
const packages: ReadonlySet<string> = new Set(['wazuh', 'api', 'pilotfish']);
const dotted = /^[A-Za-z_][A-Za-z0-9_]{0,63}(?:\.[A-Za-z_][A-Za-z0-9_]{0,63}){0,7}$/;
/** A call is a question; what it carries is arguments, not data. */
export const maxCallBytes = 4 * 1024 * 1024;

/** Throws `PayloadError` with the reason for the peer. */
export function parseCallRequest(bytes: Uint8Array): CallRequest {
  if (bytes.length > maxCallBytes) {
    throw new PayloadError(`a call of ${bytes.length} bytes; ${maxCallBytes} are allowed`);
  }
  const raw = parsePlainObject(bytes, callableMembers);
  for (const key of Object.keys(raw)) {
    if (!known.has(key)) throw new PayloadError(`unexpected argument ${quoted(key)}`);
    if (key !== 'f') checkPlain(raw[key] ?? null);
  }
  return {
    verb: verbOf(raw.f),
    kwargs: kwargsOf(raw.f_kwargs),
    requestType: typeOf(raw.request_type),
    isPatient: raw.wait_for_complete === true,
    isFromCluster: raw.from_cluster === true,
    isBroadcast: raw.broadcasting === true,
    removesDenied: raw.remove_denied_nodes === true,
    nodes: namesOf(raw.nodes),
    permissions: raw.rbac_permissions ?? undefined,
    raw,
  };
}

/** The same call for another node, which runs it itself. */
export function forwardedCall({ raw }: CallRequest, kwargs: JsonObject): Buffer {
  return Buffer.from(pythonJson({ ...raw, f_kwargs: kwargs, from_cluster: true }), 'latin1');
}

function verbOf(value: JsonValue | undefined): string {
  const wrapped = isJsonObject(value) ? value.__callable__ : undefined;
  if (!isJsonObject(wrapped)) throw new PayloadError('a call names no function');
  const { __module__: module, __qualname__: qualname } = wrapped;
  if (typeof module !== 'string' || typeof qualname !== 'string') {
    throw new PayloadError('a call names no function');
  }
  const [top] = module.split('.');
  if (!dotted.test(module) || !dotted.test(qualname) || !packages.has(top ?? '')) {
    const shown = module.slice(0, 64);
    throw new PayloadError(`Decoding callable from module ${quoted(shown)} is not allowed`);
  }
  return `${module}.${qualname}`;
}

function kwargsOf(value: JsonValue | undefined): JsonObject {
  if (value === undefined || value === null) return {};
  if (isJsonObject(value)) return value;
  throw new PayloadError('f_kwargs is not an object');
}

function typeOf(value: JsonValue | undefined): RequestType {
  const type = value ?? 'local_master';
  if (type === 'local_any' || type === 'local_master' || type === 'distributed_master') return type;
  throw new PayloadError('request_type is none of the three known ones');
}

function namesOf(value: JsonValue | undefined): readonly string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new PayloadError('nodes is not a list');
  return value.map((name) => {
    if (typeof name === 'string') return name;
    throw new PayloadError('nodes is not a list of names');
  });
}

function quoted(text: string): string {
  return `'${text.replace(/[^ -~]|'/g, '?').slice(0, 64)}'`;
}
