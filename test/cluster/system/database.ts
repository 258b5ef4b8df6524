/** A database of wazuh-db's kind in memory, for what calls ask of it. */
import { DatabaseSync } from 'node:sqlite';
import type { QueryPort } from '../../../src/cluster/calls/agents-from-db.ts';

const maxBytes = 65_536;

export interface AgentWish {
  readonly id: number;
  readonly node?: string;
  readonly group?: string;
  readonly status?: string;
}

export class AgentDatabase implements QueryPort {
  readonly asked: string[] = [];
  readonly #db = new DatabaseSync(':memory:');

  constructor(agents: readonly AgentWish[] = []) {
    this.#db.exec(
      'CREATE TABLE agent (id INTEGER PRIMARY KEY, name, ip, register_ip, os_name, os_version, ' +
        'os_major, os_minor, os_codename, os_build, os_platform, os_uname, os_arch, version, ' +
        'config_sum, merged_sum, manager_host, node_name, date_add, last_keepalive, `group`, ' +
        'connection_status, disconnection_time, group_config_status, status_code);' +
        'CREATE TABLE `group` (id INTEGER PRIMARY KEY, name);' +
        'CREATE TABLE belongs (id_agent, id_group);' +
        "INSERT INTO `group` VALUES (1, 'default'), (2, 'linux');" +
        'INSERT INTO agent (id, name, ip, last_keepalive, connection_status, disconnection_time, ' +
        "group_config_status, node_name) VALUES (0, 'localhost', '127.0.0.1', 253402300799, " +
        "'active', 0, 'synced', 'unknown')",
    );
    const add = this.#db.prepare(
      'INSERT INTO agent (id, name, ip, register_ip, os_platform, version, node_name, date_add, ' +
        'last_keepalive, `group`, connection_status, disconnection_time, group_config_status) ' +
        "VALUES (?, ?, ?, 'any', 'debian', 'Wazuh v4.14.8', ?, 1700000000, 1700000100, ?, ?, 0, 'synced')",
    );
    const belong = this.#db.prepare('INSERT INTO belongs SELECT ?, id FROM `group` WHERE name = ?');
    for (const { id, node = 'm', group = 'default', status = 'active' } of agents) {
      const name = `agent${String(id).padStart(5, '0')}`;
      add.run(id, name, `10.0.${id >> 8}.${id & 255}`, node, group, status);
      for (const one of group.split(',')) belong.run(id, one);
    }
  }

  async query(command: string): ReturnType<QueryPort['query']> {
    this.asked.push(command);
    const statement = /^global sql (SELECT [\s\S]*)$/.exec(command)?.[1];
    if (statement === undefined) return { status: 'err', payload: 'not a query' };
    const rows = this.#db.prepare(statement).all();
    const known = rows.map((row) =>
      Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)),
    );
    return { status: 'ok', payload: JSON.stringify(known).slice(0, maxBytes) };
  }
}
