/**
 * Our own store of agents and groups behind wazuh-db's interface, used on a host that has no
 * wazuh-db. Every command is one short transaction; long answers are made in pieces, and others
 * get their turn between two pieces.
 */
import type { JsonValue } from '../../../guards.ts';
import { messageOf } from '../../../guards.ts';
import { wazuhDbLimits } from '../../../wazuh/wazuh-db.ts';
import type { WazuhDb, WdbAnswer, WdbRequest, WdbResponse } from '../wazuh-db.ts';
import { agentCommands } from './agents.ts';
import { readAgentSync, writeAgentSync } from './agents-sync.ts';
import { badQuery, err, ok, parseId } from './answers.ts';
import { GlobalGroupHash } from './group-hash.ts';
import { agentGroups, getAgentGroups, getGroupsIntegrity } from './groups-read.ts';
import { type GroupsWritePorts, recalculateGroupHashes, setAgentGroups } from './groups-write.ts';
import { agentIds, agentsOfGroup, groupsByAgent, summaryOf } from './routes.ts';
import type { Sql } from './sql.ts';

export interface EmbeddedOptions {
  readonly sql: Sql;
  readonly isWorker: boolean;
  /** Seconds since the epoch. */
  now(): number;
  hasGroupFolder(name: string): boolean;
  /** Let others work. */
  pause(): Promise<void>;
}

type Command = (argument: string, ports: GroupsWritePorts) => WdbAnswer;

const commands: Readonly<Record<string, Command>> = {
  ...agentCommands,
  sql: runForeign,
  'sync-agent-groups-get': getAgentGroups,
  'set-agent-groups': setAgentGroups,
  'get-groups-integrity': getGroupsIntegrity,
  'recalculate-agent-group-hashes': (_, ports) => recalculateGroupHashes(ports),
};

export class EmbeddedDb implements WazuhDb {
  readonly #ports: GroupsWritePorts;
  readonly #pause: () => Promise<void>;

  constructor({ sql, isWorker, now, hasGroupFolder, pause }: EmbeddedOptions) {
    this.#ports = { sql, hash: new GlobalGroupHash(sql), isWorker, now, hasGroupFolder };
    this.#pause = pause;
  }

  async query(command: string, signal: AbortSignal): Promise<WdbAnswer> {
    signal.throwIfAborted();
    return this.#answer(command);
  }

  async http(request: WdbRequest, signal: AbortSignal): Promise<WdbResponse> {
    signal.throwIfAborted();
    try {
      return await this.#serve(request, signal);
    } catch (error) {
      signal.throwIfAborted();
      return { status: 500, body: Buffer.from(messageOf(error)) };
    }
  }

  #answer(text: string): WdbAnswer {
    const [, database, name, argument = ''] = /^(\S+) (\S+)(?: ([\s\S]*))?$/.exec(text) ?? [];
    if (database !== 'global' || name === undefined) return badQuery(text);
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (command === undefined) return badQuery(text.slice('global '.length));
    try {
      return command(argument, this.#ports);
    } catch (error) {
      return err(`Cannot execute Global database query; ${messageOf(error)}`);
    }
  }

  async #serve({ method, path, body }: WdbRequest, signal: AbortSignal): Promise<WdbResponse> {
    const { sql, now } = this.#ports;
    const route = `${method} ${path}`;
    if (route === 'GET /v1/agents/sync') return this.#readSync(signal);
    if (route === 'POST /v1/agents/sync') {
      writeAgentSync(sql, parseBody(body), now());
      return { status: 200, body: Buffer.alloc(0) };
    }
    if (route === 'GET /v1/agents/ids') return json(agentIds(sql));
    if (route === 'GET /v1/agents/ids/groups') {
      const data = groupsByAgent(sql);
      return json(data === undefined ? {} : { data });
    }
    if (route === 'POST /v1/agents/summary') return json(summaryOf(sql, idsOf(body)));
    return this.#named(method, path);
  }

  #named(method: string, path: string): WdbResponse {
    const { sql } = this.#ports;
    const [, group] = /^\/v1\/agents\/ids\/groups\/([A-Za-z0-9_.-]{1,255})$/.exec(path) ?? [];
    if (method === 'GET' && group !== undefined) return json(agentsOfGroup(sql, group));
    const [, digits = ''] = /^\/v1\/agents\/(\d{1,9})\/groups$/.exec(path) ?? [];
    const id = parseId(digits);
    if (method === 'GET' && id !== undefined) return json(agentGroups(sql, id));
    return { status: 404, body: Buffer.alloc(0) };
  }

  async #readSync(signal: AbortSignal): Promise<WdbResponse> {
    const pieces: Buffer[] = [];
    for (const piece of readAgentSync(this.#ports.sql)) {
      pieces.push(Buffer.from(piece));
      await this.#pause();
    }
    signal.throwIfAborted();
    return { status: 200, body: Buffer.concat(pieces) };
  }
}

/** `sql …`: what others ask for as they know the tables; whoever sends it cuts it. */
function runForeign(statement: string, { sql, hash }: GroupsWritePorts): WdbAnswer {
  const rows = sql.foreign(statement, wazuhDbLimits.messageBytes);
  if (!/^\s*select\s/i.test(statement)) hash.clear();
  const known = rows.map((row) =>
    Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)),
  );
  return ok(JSON.stringify(known));
}

function json(value: JsonValue): WdbResponse {
  return { status: 200, body: Buffer.from(JSON.stringify(value)) };
}

function parseBody(body: Uint8Array | undefined): JsonValue {
  return JSON.parse(Buffer.from(body ?? []).toString('utf8')) as JsonValue;
}

/** Undefined, for an empty body: all agents. */
function idsOf(body: Uint8Array | undefined): readonly number[] | undefined {
  if (body === undefined || body.length === 0) return undefined;
  const value = parseBody(body);
  if (!Array.isArray(value)) throw new TypeError('the body is not a list');
  return value.filter((id): id is number => Number.isSafeInteger(id));
}
