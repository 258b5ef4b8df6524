/**
 * What travels as agent-groups (cluster-protocol.md 3.7, 4.6): pages as wazuh-db gave them. An
 * incoming page is judged agent by agent; the commands made of it never exceed what a wazuh-db
 * takes, and carry nothing but ids, names and groups.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../../guards.ts';
import { isGroupName, wazuhDbLimits } from '../../wazuh/wazuh-db.ts';
import { PayloadError } from '../wire/payload.ts';

export interface GroupsPage {
  readonly agents: readonly JsonObject[];
  /** Checksum of the sender's whole table; null: it has no groups; undefined: not told. */
  readonly hash: string | null | undefined;
  /** What was left out, with the reason; at most a few. */
  readonly refused: readonly string[];
}

const setHead = '{"mode":"override","sync_status":"synced","data":[';
const commandHead = 'global set-agent-groups ';
const mostRefusals = 8;
const longestName = 255;

/** A page: `[{"data":[…],"hash":"…"}]`. Throws `PayloadError`. */
export function parseGroupsPage(text: string): GroupsPage {
  const [first] = listOf(parse(text));
  if (!isJsonObject(first)) throw new PayloadError('a page without data');
  const { data, hash } = first;
  const agents: JsonObject[] = [];
  const refused: string[] = [];
  for (const value of listOf(data)) {
    const problem = problemOf(value);
    if (problem === undefined) agents.push(value as JsonObject);
    else if (refused.length < mostRefusals) refused.push(problem);
  }
  return { agents, hash: hashOf(hash), refused };
}

function parse(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    throw new PayloadError('a page that is not JSON');
  }
}

function listOf(value: JsonValue | undefined): readonly JsonValue[] {
  if (Array.isArray(value)) return value as readonly JsonValue[];
  throw new PayloadError('a page that is not a list');
}

function hashOf(value: JsonValue | undefined): string | null | undefined {
  if (value === null || value === undefined) return value;
  if (typeof value === 'string' && /^[0-9a-f]{40}$/.test(value)) return value;
  throw new PayloadError('a checksum that is not one');
}

function problemOf(value: JsonValue): string | undefined {
  if (!isJsonObject(value)) return 'an agent that is not an object';
  const { id, name, groups } = value;
  if (!Number.isSafeInteger(id) || Number(id) < 0) return 'an agent without an id';
  if (name !== undefined && (typeof name !== 'string' || name.length > longestName)) {
    return `agent ${id}: not a name`;
  }
  if (!Array.isArray(groups) || groups.length > wazuhDbLimits.groupsPerAgent) {
    return `agent ${id}: not a list of groups`;
  }
  const isGood = (groups as readonly JsonValue[]).every(
    (group) => typeof group === 'string' && isGroupName(group),
  );
  return isGood ? undefined : `agent ${id}: not the name of a group`;
}

/** Commands that store a page; one with no agents is one command, as stock sends it. */
export function* setCommands(agents: readonly JsonObject[]): Generator<string> {
  const room = wazuhDbLimits.pageBytes - commandHead.length - setHead.length - ']}'.length;
  let items: string[] = [];
  let bytes = 0;
  for (const { id, name, groups } of agents) {
    const item = JSON.stringify(name === undefined ? { id, groups } : { id, name, groups });
    const itemBytes = Buffer.byteLength(item) + 1;
    if (items.length > 0 && bytes + itemBytes > room) {
      yield `${commandHead}${setHead}${items.join(',')}]}`;
      items = [];
      bytes = 0;
    }
    items.push(item);
    bytes += itemBytes;
  }
  yield `${commandHead}${setHead}${items.join(',')}]}`;
}
