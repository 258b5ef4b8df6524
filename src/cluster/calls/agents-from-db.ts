/**
 * Agents and groups as wazuh-db tells them (`global sql …`, as stock's own API asks). Pages are
 * small enough for its 64 KiB answers and shrink when one did not fit. Reads only.
 */
import { untilAborted } from '../../clock.ts';
import { isJsonObject, type JsonValue } from '../../guards.ts';
import type { DaemonPort } from './daemon-desk.ts';
import type { AgentDirectory, AgentRow } from './node-view.ts';

/** What we need of a database of wazuh-db's kind; `payload` of `err` is its message. */
export interface QueryPort {
  query(
    command: string,
    signal: AbortSignal,
  ): Promise<{ readonly status: 'ok' | 'due' | 'err'; readonly payload: string }>;
}

const common = [
  'ip',
  'register_ip',
  'os_name',
  'os_version',
  'os_major',
  'os_minor',
  'os_platform',
  'os_arch',
  'version',
  'date_add',
  'last_keepalive',
  '`group`',
  'connection_status',
  'disconnection_time',
  'status_code',
];
const ofFour = [
  'os_codename',
  'os_build',
  'os_uname',
  'config_sum',
  'merged_sum',
  'manager_host',
  'node_name',
  'group_config_status',
];
/** Of 4.x, and of 5.0 when the table lacks one of those. */
const columnLists = [[...common, ...ofFour].join(','), [...common, 'os_type'].join(',')] as const;
const [firstPage, largestPage] = [64, 128];
/** A directory above this does not fit into a call's answer. */
const maxAgents = 1_000_000;

export class AgentsFromDb implements AgentDirectory {
  readonly #db: QueryPort;
  #columns: string = columnLists[0];

  constructor(db: QueryPort) {
    this.#db = db;
  }

  async agents(signal: AbortSignal): Promise<readonly AgentRow[]> {
    const found: AgentRow[] = [];
    let after = -1;
    let limit = firstPage;
    for (;;) {
      const rows = await this.#agentsAfter(after, limit, signal);
      if (rows === undefined) {
        if (limit === 1) throw new Error('one row of the database is longer than its answers');
        limit = Math.max(1, Math.floor(limit / 2));
        continue;
      }
      const last = rows.at(-1);
      if (last === undefined) return found;
      if (last.id <= after || found.length + rows.length > maxAgents) {
        throw new Error('the database does not come to an end of its agents');
      }
      found.push(...rows);
      after = last.id;
      limit = Math.min(largestPage, limit * 2);
    }
  }

  async activeByNode(signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
    const rows = await this.#rows(
      'SELECT node_name, COUNT(*) AS n FROM agent ' +
        "WHERE connection_status = 'active' AND id != 0 GROUP BY node_name",
      signal,
    );
    return new Map(rows.map((row) => [String(row.node_name ?? ''), Number(row.n)]));
  }

  async groups(signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>();
    let after = '';
    for (;;) {
      const rows = await this.#rows(
        'SELECT name, COUNT(id_agent) AS n FROM `group` LEFT JOIN belongs ON id = id_group ' +
          `WHERE name > '${after}' GROUP BY name ORDER BY name LIMIT ${largestPage}`,
        signal,
      );
      const last = String(rows.at(-1)?.name ?? '');
      if (rows.length === 0) return found;
      if (!/^[A-Za-z0-9_.-]{1,255}$/.test(last) || last <= after) {
        throw new Error('the database tells a group with a name that none may have');
      }
      for (const row of rows) found.set(String(row.name), Number(row.n));
      after = last;
    }
  }

  /** Undefined: the page did not fit. */
  async #agentsAfter(
    after: number,
    limit: number,
    signal: AbortSignal,
  ): Promise<readonly AgentRow[] | undefined> {
    const page = `FROM agent WHERE id > ${after} ORDER BY id LIMIT ${limit}`;
    const command = `global sql SELECT id, name, ${this.#columns} ${page}`;
    const { status, payload } = await this.#db.query(command, signal);
    if (status !== 'err') return parseRows(payload)?.map(agentRow);
    if (this.#columns === columnLists[0] && payload.includes('no such column')) {
      this.#columns = columnLists[1];
      return this.#agentsAfter(after, limit, signal);
    }
    throw new Error(`wazuh-db: ${payload.slice(0, 256)}`);
  }

  async #rows(statement: string, signal: AbortSignal): Promise<readonly Row[]> {
    const { status, payload } = await this.#db.query(`global sql ${statement}`, signal);
    const rows = status === 'err' ? undefined : parseRows(payload);
    if (rows === undefined) throw new Error(`wazuh-db: ${payload.slice(0, 256)}`);
    return rows;
  }
}

type Row = Readonly<Record<string, JsonValue>>;

/** Undefined: cut short, as wazuh-db does with what does not fit. */
function parseRows(payload: string): readonly Row[] | undefined {
  try {
    const value: unknown = JSON.parse(payload);
    return Array.isArray(value) && value.every(isJsonObject) ? value : undefined;
  } catch {
    return undefined;
  }
}

function agentRow({ id, name, ...rest }: Row): AgentRow {
  const known = Object.entries(rest).filter(
    (entry): entry is [string, string | number] =>
      typeof entry[1] === 'string' || typeof entry[1] === 'number',
  );
  return { id: Number(id), name: String(name ?? ''), columns: Object.fromEntries(known) };
}

/** wazuh-db of this host, one connection a question. */
export function askedDatabase(port: DaemonPort): QueryPort {
  return {
    async query(command, signal) {
      signal.throwIfAborted();
      const asking = port.exchange({
        socket: 'queue/db/wdb',
        message: command,
        timeoutMs: 20_000,
        maxAnswerBytes: 65_536,
      });
      const text = await untilAborted(asking, signal);
      const [, status = '', payload = ''] = /^(ok|due|err)(?: ([\s\S]*))?$/.exec(text) ?? [];
      if (status === 'ok' || status === 'due' || status === 'err') return { status, payload };
      throw new Error('wazuh-db answered something else');
    },
  };
}
