/** `get_nodes` as typed values (cluster-protocol.md 2.5): what is asked, what came back. */
import { isJsonObject, type JsonObject, type JsonValue } from '../../guards.ts';
import { PayloadError } from '../wire/payload.ts';

/** What `get_nodes` may be asked; absent members take stock's defaults. */
export interface NodeQuery {
  /** Names; null: every node. An unknown name is an error (1730). */
  readonly names?: readonly string[] | null;
  readonly type?: 'all' | 'master' | 'worker';
  readonly offset?: number;
  /** 1 to 500. */
  readonly limit?: number;
}

export interface NodeLine {
  readonly name: string;
  readonly type: string;
  readonly version: string;
  /** The master's: as configured in its first `<node>`; a worker's: where it connects from. */
  readonly address: string;
}

export interface NodeList {
  /** The master first, then workers in the order in which they connected. */
  readonly items: readonly NodeLine[];
  readonly totalItems: number;
}

/** The arguments in the order in which `cluster_control` writes them. */
export function nodeQueryJson(query: NodeQuery): JsonObject {
  return {
    filter_node: query.names ?? null,
    offset: query.offset ?? 0,
    limit: query.limit ?? 500,
    sort: null,
    search: null,
    select: null,
    filter_type: query.type ?? 'all',
    distinct: false,
  };
}

/** Throws `PayloadError`. */
export function parseNodeList(value: JsonValue): NodeList {
  const { items, totalItems } = objectOf(value, 'the list of nodes');
  if (!Array.isArray(items) || typeof totalItems !== 'number') {
    throw new PayloadError('the list of nodes lacks items or totalItems');
  }
  return { items: items.map(parseNodeLine), totalItems };
}

export function parseNodeLine(value: JsonValue): NodeLine {
  const { name, type, version, ip } = objectOf(value, 'a node');
  return {
    name: textOf(name, 'name'),
    type: textOf(type, 'type'),
    version: textOf(version, 'version'),
    address: textOf(ip, 'ip'),
  };
}

export function objectOf(value: JsonValue | undefined, what: string): JsonObject {
  if (isJsonObject(value)) return value;
  throw new PayloadError(`${what} is not an object`);
}

export function textOf(value: JsonValue | undefined, what: string): string {
  if (typeof value === 'string' && value.length <= 1024) return value;
  throw new PayloadError(`${what} of a node is not a short text`);
}
