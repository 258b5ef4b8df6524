/**
 * What travels as agent-info (cluster-protocol.md 4.4, 6.3): an object of up to three lists of
 * agents. Outgoing bodies are cut into parts that are stored one by one; of incoming ones each
 * agent is judged before a database sees it. Columns we do not know pass, as plain values.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../../guards.ts';
import {
  type AgentInfoKind,
  agentInfoKinds,
  agentTextColumns,
  connectionStates,
  groupConfigStates,
} from '../../wazuh/wazuh-db.ts';
import { PayloadError } from '../wire/payload.ts';
import { isListAt, itemsOf, membersOf } from './json-ranges.ts';

export interface AgentRange {
  readonly kind: AgentInfoKind;
  readonly start: number;
  readonly end: number;
}

const mostTextCharacters = 4_096;
const mostLabels = 1_024;
const mostMembers = 64;
const largestId = 2 ** 31 - 1;

/** Where each agent lies. Members that are none of the three lists are left out. */
export function* agentsOf(bytes: Buffer, start = 0): Generator<AgentRange> {
  for (const { key, start: at } of membersOf(bytes, start)) {
    const kind = agentInfoKinds.find((one) => one === key);
    if (kind === undefined) continue;
    if (!isListAt(bytes, at)) throw new PayloadError(`${key} is not a list`);
    for (const range of itemsOf(bytes, at)) yield { kind, ...range };
  }
}

/** Bodies of at most about `partBytes` that together say what `body` says, in its order. */
export function* partsOf(body: Buffer, partBytes: number): Generator<string> {
  let runs: AgentRange[] = [];
  let bytes = 0;
  for (const range of agentsOf(body)) {
    const size = range.end - range.start + 1;
    if (bytes > 0 && bytes + size > partBytes) {
      yield joinRuns(body, runs);
      runs = [];
      bytes = 0;
    }
    bytes += size;
    const last = runs.at(-1);
    const continues = last?.kind === range.kind && last.end + 1 === range.start;
    if (continues) runs[runs.length - 1] = { ...last, end: range.end };
    else runs.push(range);
  }
  if (bytes > 0) yield joinRuns(body, runs);
}

/** `runs`: agents of one kind with nothing but a comma between two of them. */
function joinRuns(body: Buffer, runs: readonly AgentRange[]): string {
  const part = new Map<AgentInfoKind, string[]>();
  for (const { kind, start, end } of runs) {
    const list = part.get(kind) ?? [];
    list.push(body.toString('utf8', start, end));
    part.set(kind, list);
  }
  return joinAgents(part);
}

/** A body from the JSON of agents, one or many in a text. */
export function joinAgents(lists: ReadonlyMap<AgentInfoKind, readonly string[]>): string {
  const members = [...lists].map(([kind, agents]) => `"${kind}":[${agents.join(',')}]`);
  return `{${members.join(',')}}`;
}

/** The agent as it may be stored. Throws `PayloadError` with what is wrong. */
export function parseAgent(kind: AgentInfoKind, json: string): JsonObject {
  const value = parse(json);
  const { id, labels, ...members } = value;
  if (!Number.isSafeInteger(id) || Number(id) < 1 || Number(id) > largestId) {
    throw new PayloadError('an agent without a good id');
  }
  if (Object.keys(members).length > mostMembers) throw new PayloadError(`agent ${id}: too much`);
  for (const [name, member] of Object.entries(members)) {
    const problem = problemOf(name, member);
    if (problem !== undefined) throw new PayloadError(`agent ${id}: ${problem}`);
  }
  if (kind !== 'syncreq' || labels === undefined) return { id: Number(id), ...members };
  return { id: Number(id), ...members, labels: parseLabels(Number(id), labels) };
}

function parse(json: string): JsonObject {
  try {
    const value = JSON.parse(json) as JsonValue;
    if (isJsonObject(value)) return value;
  } catch {
    // Said below, without the peer's bytes.
  }
  throw new PayloadError('an agent that is not a JSON object');
}

const textNames: ReadonlySet<string> = new Set(agentTextColumns);
const numberNames: ReadonlySet<string> = new Set([
  'last_keepalive',
  'disconnection_time',
  'status_code',
]);
const stateNames = new Map<string, readonly string[]>([
  ['connection_status', connectionStates],
  ['group_config_status', groupConfigStates],
]);

function problemOf(name: string, value: JsonValue): string | undefined {
  const states = stateNames.get(name);
  if (states !== undefined) {
    return states.some((state) => state === value) ? undefined : `${name} is no known state`;
  }
  if (numberNames.has(name)) {
    return Number.isSafeInteger(value) ? undefined : `${name} is not a whole number`;
  }
  if (!/^[a-z][a-z0-9_]{0,63}$/.test(name)) return 'a member with a strange name';
  if (typeof value === 'string') return textProblem(name, value);
  if (textNames.has(name)) return `${name} is not a text`;
  return typeof value === 'object' && value !== null ? `${name} is not a plain value` : undefined;
}

function textProblem(name: string, value: string): string | undefined {
  if (value.length > mostTextCharacters) return `${name.slice(0, 64)} is too long`;
  return value.includes('\0') ? `${name.slice(0, 64)} has a NUL` : undefined;
}

function parseLabels(id: number, value: JsonValue): readonly JsonObject[] {
  if (!Array.isArray(value) || value.length > mostLabels) {
    throw new PayloadError(`agent ${id}: labels are not a short list`);
  }
  return (value as readonly JsonValue[]).map((label) => {
    const { key, value: text } = isJsonObject(label) ? label : { key: null, value: null };
    if (typeof key !== 'string' || typeof text !== 'string' || key === '') {
      throw new PayloadError(`agent ${id}: a label without key and value`);
    }
    const problem = textProblem('a label', key) ?? textProblem('a label', text);
    if (problem !== undefined) throw new PayloadError(`agent ${id}: ${problem}`);
    return { key, value: text };
  });
}
