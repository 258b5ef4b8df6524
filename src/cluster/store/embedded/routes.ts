/** The HTTP form: what each path answers. Bodies are read as data, never as SQL. */
import type { JsonValue } from '../../../guards.ts';
import type { Sql, SqlRow } from './sql.ts';

const mostPerSummary = 5;

export function agentIds(sql: Sql): readonly number[] {
  return sql.all('SELECT id FROM agent WHERE id > 0 ORDER BY id').map(({ id }) => Number(id));
}

/** Groups of every agent that has some; undefined when none has. */
export function groupsByAgent(sql: Sql): Readonly<Record<string, readonly string[]>> | undefined {
  const byAgent = new Map<string, string[]>();
  const rows = sql.all(
    `SELECT id_agent, name FROM belongs JOIN "group" ON id = id_group WHERE id_agent > 0
       ORDER BY id_agent, priority`,
  );
  for (const { id_agent, name } of rows) {
    const groups = byAgent.get(String(id_agent)) ?? [];
    groups.push(String(name));
    byAgent.set(String(id_agent), groups);
  }
  return byAgent.size === 0 ? undefined : Object.fromEntries(byAgent);
}

export function agentsOfGroup(sql: Sql, group: string): readonly number[] {
  return sql
    .all(
      `SELECT id_agent FROM belongs
         WHERE id_group = (SELECT id FROM "group" WHERE name = ?) AND id_agent > 0`,
      group,
    )
    .map(({ id_agent }) => Number(id_agent));
}

/** How many agents per status, group and platform; of all agents, or of these. */
export function summaryOf(sql: Sql, ids: readonly number[] | undefined): JsonValue {
  const among = ids === undefined ? '' : `AND agent.id IN (SELECT value FROM json_each(?))`;
  const values = ids === undefined ? [] : [JSON.stringify(ids)];
  const limit = ids === undefined ? `LIMIT ${mostPerSummary}` : '';
  const count = (label: string, from: string): Readonly<Record<string, number>> =>
    countsOf(
      sql.all(
        `SELECT count(*) AS amount, ${label} AS label FROM ${from} ${among}
           GROUP BY label ORDER BY amount DESC ${limit}`,
        ...values,
      ),
    );
  return withoutEmpty({
    agents_by_status: count('connection_status', 'agent WHERE agent.id > 0'),
    agents_by_groups: count(
      '"group".name',
      `agent JOIN belongs ON id_agent = agent.id JOIN "group" ON "group".id = id_group
         WHERE agent.id > 0`,
    ),
    agents_by_os: count('os_platform', "agent WHERE agent.id > 0 AND os_platform <> ''"),
  });
}

function countsOf(rows: readonly SqlRow[]): Readonly<Record<string, number>> {
  return Object.fromEntries(rows.map(({ label, amount }) => [String(label), Number(amount)]));
}

function withoutEmpty(
  parts: Readonly<Record<string, Readonly<Record<string, number>>>>,
): JsonValue {
  return Object.fromEntries(
    Object.entries(parts).filter(([, part]) => Object.keys(part).length > 0),
  );
}
