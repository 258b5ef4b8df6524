/**
 * Does a kill of either node at any step lose agents' data? Master and worker are processes with
 * real stores; each round arms one or both to die at a random step while agents report and groups
 * change. Started again, master and worker must agree, and on what was acknowledged last.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePort } from '../agentdata/ports.ts';
import { PatientDb } from '../agentdata/wdb-client.ts';
import { seededRandom } from '../crash/faults.ts';

type Print = (line: string) => void;
type Role = 'master' | 'worker';

const program = fileURLToPath(new URL('../agentdata/node-process.ts', import.meta.url));
const agents = 12;
const changes = 4;
/** Later than this is told: a machine that is busy starts processes late. */
const lateMs = 60_000;
/** What did not come by then was lost. */
const lostMs = 600_000;
/** Steps of a round, more or less; a victim that outlives its round dies in it unarmed. */
const mostSteps = 260;

export const campaign = {
  name: 'agentdata',
  summary: 'kill -9 of master and worker at random steps of agent-info and groups: nothing is lost',
  usage: 'agentdata [--short] [--seed N] [--rounds N]',

  /** Exit code 0 when both sides agreed after every kill. */
  async run(args: readonly string[], print: Print): Promise<number> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        short: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
        rounds: { type: 'string' },
      },
    });
    const rounds = Number(values.rounds ?? (values.short ? 1 : 200));
    const world = new World(seededRandom(Number(values.seed)));
    try {
      await world.start();
      for (let round = 1; round <= rounds; round++) {
        const problem = await world.round();
        if (problem === undefined) continue;
        print(`VIOLATION round ${round}, seed ${values.seed}: ${problem}`);
        print(`both nodes, their stores and logs: ${world.keep()}`);
        return 1;
      }
    } finally {
      await world.end();
    }
    const late =
      world.lateRounds === 0 ? '' : `, ${world.lateRounds} agreed after more than a minute`;
    print(
      `agentdata: ${rounds} rounds, ${world.kills} kills, seed ${values.seed}: nothing lost${late}`,
    );
    return 0;
  },
};

class World {
  readonly #random: () => number;
  readonly #root = mkdtempSync(join(tmpdir(), 'pf-agentdata-'));
  readonly #nodes = new Map<Role, ChildProcess>();
  readonly #dbs: Readonly<Record<Role, PatientDb>>;
  #port = 0;
  #version = 0;
  #isKept = false;
  kills = 0;
  lateRounds = 0;

  constructor(random: () => number) {
    this.#random = random;
    const db = (role: Role): PatientDb => new PatientDb(join(this.#root, role, 'home'));
    this.#dbs = { master: db('master'), worker: db('worker') };
  }

  async start(): Promise<void> {
    this.#port = await freePort();
    for (const role of ['master', 'worker'] as const) {
      for (const folder of ['rules', 'decoders', 'lists', 'shared/default', 'shared/linux']) {
        mkdirSync(join(this.#root, role, 'home/etc', folder), { recursive: true });
      }
      this.#spawn(role, 0);
      for (let id = 1; id <= agents; id++) {
        const into = 'insert or ignore into agent (id, name, date_add, `group`)';
        // The column's default would say `default` of agents that belong to no group.
        await this.#dbs[role].rows(`${into} values (${id}, 'agent${id}', 1, null)`);
      }
    }
  }

  /** What is wrong afterwards, if anything. */
  async round(): Promise<string | undefined> {
    const victims = this.#pick<readonly Role[]>([['master'], ['worker'], ['master', 'worker']]);
    for (const role of victims) {
      await this.#stop(role);
      this.#spawn(role, 1 + Math.floor(this.#random() * mostSteps));
    }
    const told = await this.#change(victims);
    for (const role of victims) {
      await this.#stop(role);
      this.#spawn(role, 0);
    }
    return this.#disagreement(told);
  }

  /** Where the nodes are; they stay there after the end. */
  keep(): string {
    this.#isKept = true;
    return this.#root;
  }

  async end(): Promise<void> {
    for (const role of [...this.#nodes.keys()]) await this.#stop(role);
    for (const db of Object.values(this.#dbs)) db.close();
    if (!this.#isKept) rmSync(this.#root, { recursive: true, force: true });
  }

  /** Agents report to the worker, groups change on the master; a dead node is started again. */
  async #change(victims: readonly Role[]): Promise<ReadonlyMap<number, string>> {
    const told = new Map<number, string>();
    for (let count = 0; count < changes; count++) {
      const id = 1 + Math.floor(this.#random() * agents);
      this.#version += 1;
      const version = `v${this.#version}`;
      const facts = { id, os_version: version, node_name: 'w1', connection_status: 'active' };
      await this.#askThrough(
        'worker',
        `global update-agent-data ${JSON.stringify({ ...facts, sync_status: 'syncreq' })}`,
        victims,
      );
      told.set(id, version);
      const groups = this.#pick<readonly string[]>([
        ['default'],
        ['linux'],
        ['linux', 'default'],
        [],
      ]);
      const data = [{ id, name: `agent${id}`, groups }];
      const order = { mode: 'override', sync_status: 'syncreq', data };
      await this.#askThrough('master', `global set-agent-groups ${JSON.stringify(order)}`, victims);
      await new Promise((resolve) => setTimeout(resolve, this.#random() * 120));
    }
    return told;
  }

  /** An answer, if need be from the node's next life. */
  async #askThrough(role: Role, command: string, victims: readonly Role[]): Promise<void> {
    for (;;) {
      try {
        await this.#dbs[role].ask(command, 300);
        return;
      } catch (error) {
        if (error instanceof RangeError) throw error;
        const isDead = this.#nodes.get(role)?.exitCode !== null || this.#isKilled(role);
        if (isDead && victims.includes(role)) {
          this.kills += 1;
          this.#spawn(role, 0);
        }
      }
    }
  }

  async #disagreement(told: ReadonlyMap<number, string>): Promise<string | undefined> {
    const info = 'select id, os_version, connection_status from agent where id > 0 order by id';
    const groups = 'select id, `group` from agent where id > 0 order by id';
    const startMs = performance.now();
    for (;;) {
      const [infoM, infoW, groupsM, groupsW] = await Promise.all([
        this.#dbs.master.rows(info),
        this.#dbs.worker.rows(info),
        this.#dbs.master.rows(groups),
        this.#dbs.worker.rows(groups),
      ]);
      const problem = compare(infoM, infoW, 'agent-info') ?? compare(groupsM, groupsW, 'groups');
      const old = infoW.find(
        ({ id, os_version }) => (told.get(Number(id)) ?? os_version) !== os_version,
      );
      if (old !== undefined) return `the worker's store lost agent ${old.id}: ${old.os_version}`;
      const afterMs = performance.now() - startMs;
      if (problem === undefined) {
        if (afterMs > lateMs) this.lateRounds += 1;
        return undefined;
      }
      if (afterMs > lostMs) return problem;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  #pick<Item>(items: readonly Item[]): Item {
    const item = items[Math.floor(this.#random() * items.length)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  }

  #spawn(role: Role, killAt: number): void {
    const name = role === 'master' ? 'm' : 'w1';
    const args = [role, name, join(this.#root, role), String(this.#port), String(killAt)];
    const child = spawn(process.execPath, [program, ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    this.#nodes.set(role, child);
  }

  #isKilled(role: Role): boolean {
    return this.#nodes.get(role)?.signalCode !== null;
  }

  async #stop(role: Role): Promise<void> {
    const child = this.#nodes.get(role);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
    this.kills += 1;
  }
}

function compare(
  master: readonly unknown[],
  worker: readonly unknown[],
  what: string,
): string | undefined {
  const [ours, theirs] = [JSON.stringify(master), JSON.stringify(worker)];
  return ours === theirs ? undefined : `${what}: master ${ours}, worker ${theirs}`;
}
