/** `get_nodes` and `get_health` as a master answers them (cluster-protocol.md 2.5, 7.7). Pure. */
import { isJsonObject, type JsonObject, type JsonValue } from '../../guards.ts';
import type { NodeLine } from '../local/node-list.ts';
import { fault } from '../wire/fault.ts';
import { CallFault } from './call-fault.ts';
import { selectRows } from './select-rows.ts';

const fields = ['name', 'type', 'version', 'ip'];
const known: ReadonlySet<string> = new Set([
  'filter_node',
  'offset',
  'limit',
  'sort',
  'search',
  'select',
  'filter_type',
  'distinct',
]);

/** Throws `CallFault` with stock's codes. */
export function queryNodes(nodes: readonly NodeLine[], asked: JsonValue): JsonObject {
  if (!isJsonObject(asked)) throw new CallFault(fault(1000, 'the arguments are not an object'));
  const unknown = Object.keys(asked).find((key) => !known.has(key));
  if (unknown !== undefined) {
    const name = JSON.stringify(unknown.slice(0, 64));
    throw new CallFault(fault(1000, `get_nodes got an unexpected argument ${name}`));
  }
  const names = namesOf(asked.filter_node ?? null);
  checkNames(nodes, names);
  const type = asked.filter_type ?? 'all';
  if (type !== 'all' && type !== 'master' && type !== 'worker') throw new CallFault(fault(1728));
  const rows = nodes
    .filter((node) => names === null || names.includes(node.name))
    .filter((node) => type === 'all' || node.type === type)
    .map(({ name, type: kind, version, address }) => ({ name, type: kind, version, ip: address }));
  const { items, totalItems } = selectRows(rows, { ...asked, fields, required: [] });
  return { items, totalItems };
}

/** null: every node; one name may stand alone. Throws `CallFault`. */
export function namesOf(value: JsonValue): readonly string[] | null {
  if (value === null) return null;
  if (typeof value === 'string') return [value];
  if (Array.isArray(value) && value.every((name) => typeof name === 'string')) {
    return value as readonly string[];
  }
  throw new CallFault(fault(1000, 'names of nodes are a list of texts'));
}

/** What `get_health` asks for: `{}` means workers only, as stock reads it. Throws `CallFault`. */
export function healthNames(
  value: JsonValue,
  nodes: readonly NodeLine[],
): readonly string[] | null {
  if (isJsonObject(value) && Object.keys(value).length === 0) {
    return nodes.filter(({ type }) => type !== 'master').map(({ name }) => name);
  }
  return namesOf(value);
}

function checkNames(nodes: readonly NodeLine[], names: readonly string[] | null): void {
  const known = new Set(nodes.map(({ name }) => name));
  if (names?.some((name) => !known.has(name))) throw new CallFault(fault(1730));
}
