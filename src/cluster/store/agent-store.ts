/**
 * What the cluster asks of the store, each as one step with a deadline: changed groups, all
 * groups, their checksum, agent-info out and in. Says nothing to logs; throws `WdbError`.
 */
import { type Clock, deadline } from '../../clock.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../guards.ts';
import { type AgentInfoKind, agentInfoKinds } from '../../wazuh/wazuh-db.ts';
import { pythonJson } from '../wire/python-json.ts';
import { setCommands } from './agent-groups-body.ts';
import { joinAgents } from './agent-info-body.ts';
import { requestAgainStatements } from './request-again.ts';
import { expectPayload, type WazuhDb, WdbError } from './wazuh-db.ts';

/** Pages of agents' groups, as the database gave them; together one answer. */
export type Pages = readonly string[];

const queryMs = 20_000;
const httpMs = 60_000;
const mostPages = 65_536;
const syncPath = '/v1/agents/sync';
const readCommand = 'global sync-agent-groups-get';

export class AgentStore {
  readonly #db: WazuhDb;
  readonly #clock: Clock;

  constructor(db: WazuhDb, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** The first page of changed groups with the checksum; nothing is marked. */
  async peekChangedGroups(signal: AbortSignal): Promise<string> {
    const wish = { condition: 'sync_status', set_synced: false, get_global_hash: true };
    return expectPayload(await this.#query(`${readCommand} ${pythonJson(wish)}`, signal));
  }

  /** Changed groups and the checksum; what is returned counts as sent from now on. */
  async takeChangedGroups(signal: AbortSignal): Promise<Pages> {
    const wish = { condition: 'sync_status', set_synced: true, get_global_hash: true };
    return this.#pages(wish, false, signal);
  }

  async allGroups(signal: AbortSignal): Promise<Pages> {
    const wish = { condition: 'all', set_synced: false, get_global_hash: false };
    return this.#pages(wish, true, signal);
  }

  /** Undefined: the database told none. */
  async groupsHash(signal: AbortSignal): Promise<string | null | undefined> {
    const answer = await this.#query(`${readCommand} {"get_global_hash": true}`, signal);
    const hash = lastOf(expectPayload(answer))?.hash;
    return typeof hash === 'string' || hash === null ? hash : undefined;
  }

  async recalculateGroups(signal: AbortSignal): Promise<void> {
    expectPayload(await this.#query('global recalculate-agent-group-hashes', signal));
  }

  /** Store one page. Agents that are not known here and carry no name are passed over. */
  async setGroups(agents: readonly JsonObject[], signal: AbortSignal): Promise<void> {
    for (const command of setCommands(agents)) {
      const { status, payload } = await this.#query(command, signal);
      if (status === 'err' && !payload.includes(noSuchAgent)) throw new WdbError(2007, payload);
    }
  }

  /** What changed of this node's agents, as JSON; counts as sent from now on. */
  async takeAgentInfo(signal: AbortSignal): Promise<Buffer> {
    const limit = deadline(this.#clock, httpMs, signal);
    try {
      const asked = { method: 'GET', path: syncPath } as const;
      const { status, body } = await this.#db.http(asked, limit.signal);
      if (status !== 200) throw new WdbError(2012, body.toString('utf8', 0, 256));
      return body;
    } catch (error) {
      throw this.#late(error, 2014, signal);
    } finally {
      limit.cancel();
    }
  }

  /**
   * Store agents, as JSON by kind. `false`: the database refuses the body as it is, nothing or
   * a part of it was stored. Throws `WdbError` when it cannot be asked.
   */
  async putAgentInfo(
    lists: ReadonlyMap<AgentInfoKind, readonly string[]>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const limit = deadline(this.#clock, httpMs, signal);
    try {
      const body = Buffer.from(joinAgents(lists));
      const asked = { method: 'POST', path: syncPath, body } as const;
      const { status } = await this.#db.http(asked, limit.signal);
      return status === 200;
    } catch (error) {
      throw this.#late(error, 2014, signal);
    } finally {
      limit.cancel();
    }
  }

  /**
   * Agents of this node seen since then (seconds) go into the next round again. What the database
   * says when it refuses that; throws `WdbError` when it cannot be asked.
   */
  async requestAgentInfoAgain(
    node: string,
    sinceS: number,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const [first] = requestAgainStatements(node, sinceS);
    const tried = await this.#query(`global sql ${first}`, signal);
    const hasNodes = tried.status !== 'err' || !tried.payload.includes('no such column: node_name');
    for (const statement of requestAgainStatements(hasNodes ? node : undefined, sinceS)) {
      const { status, payload } = await this.#query(`global sql ${statement}`, signal);
      if (status === 'err') return payload;
    }
    return undefined;
  }

  async #pages(wish: JsonObject, hasPivot: boolean, signal: AbortSignal): Promise<Pages> {
    const pages: string[] = [];
    let lastId = 0;
    for (let asked = 0; asked < mostPages; asked++) {
      const command = pythonJson(hasPivot ? { ...wish, last_id: lastId } : wish);
      const answer = await this.#query(`${readCommand} ${command}`, signal);
      const payload = expectPayload(answer);
      if (payload !== '[]' && payload !== emptyPage) pages.push(payload);
      if (answer.status === 'ok') return pages;
      const next = hasPivot ? lastIdOf(payload) : undefined;
      if (next === undefined ? payload === emptyPage : next <= lastId) break;
      lastId = next ?? lastId;
    }
    throw new WdbError(2009, 'the answer does not end');
  }

  async #query(command: string, signal: AbortSignal): ReturnType<WazuhDb['query']> {
    const limit = deadline(this.#clock, queryMs, signal);
    try {
      return await this.#db.query(command, limit.signal);
    } catch (error) {
      throw this.#late(error, 2007, signal);
    } finally {
      limit.cancel();
    }
  }

  /** A deadline of ours becomes an error of the database; the caller's own abort stays. */
  #late(error: unknown, code: number, signal: AbortSignal): unknown {
    const isTimeout = error instanceof DOMException && error.name === 'TimeoutError';
    return isTimeout && !signal.aborted ? new WdbError(code, error.message) : error;
  }
}

const emptyPage = '[{"data":[]}]';
const noSuchAgent = 'Cannot execute Global database query; FOREIGN KEY constraint failed';

/** Whether a page names agents. */
export function isEmptyPage(page: string): boolean {
  return /^\[(?:\{"data":\[\](?:,"hash":(?:null|"[^"]*"))?\})?\]$/.test(page);
}

/** How many of the three lists a body has; stock counts them as chunks. */
export function countKinds(lists: ReadonlyMap<AgentInfoKind, unknown>): number {
  return agentInfoKinds.filter((kind) => lists.has(kind)).length;
}

function lastOf(page: string): JsonObject | undefined {
  const value = parsePage(page).at(-1);
  return isJsonObject(value) ? value : undefined;
}

function lastIdOf(page: string): number | undefined {
  const data = lastOf(page)?.data;
  const last = Array.isArray(data) ? (data as readonly JsonValue[]).at(-1) : undefined;
  return isJsonObject(last) && Number.isSafeInteger(last.id) ? Number(last.id) : undefined;
}

function parsePage(page: string): readonly JsonValue[] {
  try {
    const value = JSON.parse(page) as JsonValue;
    if (Array.isArray(value)) return value as readonly JsonValue[];
  } catch {
    // Said below, without the whole page.
  }
  throw new WdbError(2007, page.slice(0, 64));
}
