/**
 * Virtual load on the databases of a cluster: in each round every agent says that it is alive, one
 * in a hundred reports changed facts, ten change their groups.
 */

/** A node's database, asked in wazuh-db's text protocol. */
export interface LoadedDb {
  /** The payload of `ok`; waits until the database is open. */
  ask(command: string): Promise<string>;
}

export interface LoadShape {
  readonly agents: number;
  readonly rounds: number;
  readonly roundS: number;
}

/** The same agents everywhere, all in `default`; each step doubles them. */
export async function fillAgents(dbs: readonly LoadedDb[], agents: number): Promise<void> {
  const into = 'global sql insert or ignore into agent (id, name, date_add, `group`, group_hash)';
  for (const db of dbs) {
    await db.ask(`${into} values (1, 'agent1', 1, 'default', '37a8eec1')`);
    for (let size = 1; size < agents; size *= 2) {
      const next = `id + ${size}, 'agent' || (id + ${size}), 1, 'default', '37a8eec1'`;
      await db.ask(`${into} select ${next} from agent where id > 0 and id + ${size} <= ${agents}`);
    }
    const member = 'select 1, id, 0 from agent where id > 0';
    await db.ask(
      `global sql insert or ignore into belongs (id_group, id_agent, priority) ${member}`,
    );
  }
}

export class Load {
  readonly #master: LoadedDb;
  readonly #workers: readonly LoadedDb[];
  readonly #shape: LoadShape;

  constructor(master: LoadedDb, workers: readonly LoadedDb[], shape: LoadShape) {
    this.#master = master;
    this.#workers = workers;
    this.#shape = shape;
  }

  async run(): Promise<void> {
    for (let round = 0; round < this.#shape.rounds; round++) await this.#round(round);
  }

  async #round(round: number): Promise<void> {
    const { agents, roundS } = this.#shape;
    const endMs = performance.now() + roundS * 1000;
    const each = agents / this.#workers.length;
    for (const [n, db] of this.#workers.entries()) {
      const own = `id > ${n * each} and id <= ${(n + 1) * each}`;
      const now = "connection_status = 'active', last_keepalive = unixepoch()";
      await db.ask(
        `global sql update agent set sync_status = 'syncreq_keepalive', ${now} where ${own}`,
      );
      const facts = `os_version = 'r${round}', node_name = 'w${n}', sync_status = 'syncreq'`;
      await db.ask(`global sql update agent set ${facts}, ${now} where ${own} and id % 100 = 0`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const data = Array.from({ length: 10 }, (_, n) => {
      const id = 1 + ((round * 997 + n * 131) % agents);
      return { id, name: `agent${id}`, groups: round % 2 === 0 ? ['web'] : ['default', 'web'] };
    });
    const order = { mode: 'override', sync_status: 'syncreq', data };
    await this.#master.ask(`global set-agent-groups ${JSON.stringify(order)}`);
    const restMs = endMs - performance.now();
    if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
  }

  /** Seconds until every node agrees with the master; NaN: not within two minutes. */
  async settled(): Promise<number> {
    const startMs = performance.now();
    const { rounds, agents } = this.#shape;
    const hash = 'global sync-agent-groups-get {"get_global_hash": true}';
    const facts = `global sql select count(*) as n from agent where os_version = 'r${rounds - 1}'`;
    for (;;) {
      const wanted = await this.#master.ask(hash);
      const hashes = await Promise.all(this.#workers.map((db) => db.ask(hash)));
      const reported = JSON.parse(await this.#master.ask(facts))[0].n;
      const isDone = hashes.every((one) => one === wanted) && reported === agents / 100;
      const tookS = (performance.now() - startMs) / 1000;
      if (isDone) return Math.round(tookS * 100) / 100;
      if (tookS > 120) return Number.NaN;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
