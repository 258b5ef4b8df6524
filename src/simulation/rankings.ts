/**
 * Where all managers of a list weigh the same, an agent's order follows from how its chances
 * compare, not from how large they are: agents whose chances stand in one order share what the real
 * `rankManagers` said of the first of them. Now and then one is asked all the same: an answer that
 * differs ends the run.
 */
import { chanceOf } from '../list/select.ts';
import { agentIdOf, type Fleet } from './fleet.ts';
import type { Published } from './published-list.ts';
import type { World } from './world.ts';

/** 9! orders are a table of 3 MB; of more managers every agent is asked. */
const maxShared = 9;
const listsKept = 3;
const unknown = -2;
const askedAgainEvery = 1_024;

class Rankings {
  readonly #fleet: Fleet;
  readonly #isShared: boolean;
  /** By list: rankings, by the number of the order of chances. */
  readonly #tables = new Map<Published, Int8Array>();
  readonly #sorted = new Int8Array(maxShared);
  #hits = 0;

  constructor({ fleet, settings }: World) {
    this.#fleet = fleet;
    this.#isShared = !settings.isExact;
  }

  /** Writes the agent's order into the fleet; returns its length. `ask`: the real one. */
  rank(agent: number, published: Published, ask: () => readonly number[]): number {
    const { ranking, width } = this.#fleet;
    const { managers } = published.list;
    const table = this.#tableOf(published);
    const start = agent * width;
    if (table === undefined) return put(ranking, start, ask());
    const from = this.#numberOfOrder(agent, published) * managers.length;
    if (table[from] === unknown) {
      const asked = ask();
      put(table, from, asked);
      return put(ranking, start, asked);
    }
    for (let place = 0; place < managers.length; place += 1) {
      ranking[start + place] = table[from + place] ?? -1;
    }
    this.#hits += 1;
    if (this.#hits % askedAgainEvery === 0) this.#compare(agent, ask());
    return managers.length;
  }

  #compare(agent: number, asked: readonly number[]): void {
    const { ranking, width } = this.#fleet;
    if (asked.every((manager, place) => ranking[agent * width + place] === manager)) return;
    throw new Error(`agent ${agent}: its order of managers is ${asked}, not that of its like`);
  }

  #tableOf(published: Published): Int8Array | undefined {
    const known = this.#tables.get(published);
    if (known !== undefined) return known;
    const { managers } = published.list;
    if (!this.#isShared || managers.length > maxShared || !isEven(published)) return undefined;
    const table = new Int8Array(factorial(managers.length) * managers.length).fill(unknown);
    const [oldest] = this.#tables.keys();
    if (oldest !== undefined && this.#tables.size === listsKept) this.#tables.delete(oldest);
    this.#tables.set(published, table);
    return table;
  }

  /** Of all orders in which the chances of the listed managers can stand (its Lehmer code). */
  #numberOfOrder(agent: number, { byNumber }: Published): number {
    const sorted = this.#sorted;
    let [length, number] = [0, 0];
    for (let manager = 0; manager < byNumber.length; manager += 1) {
      if (byNumber[manager] === undefined) continue;
      const chance = chanceFor(this.#fleet, agent, manager);
      let place = length;
      while (place > 0 && chanceFor(this.#fleet, agent, sorted[place - 1] ?? 0) < chance) {
        sorted[place] = sorted[place - 1] ?? 0;
        place -= 1;
      }
      sorted[place] = manager;
      length += 1;
      number = number * length + place;
    }
    return number;
  }
}

/** What the real `chanceOf` says of this pair, asked once: it is the same for every list. */
export function chanceFor({ chance, width }: Fleet, agent: number, manager: number): number {
  const known = chance[agent * width + manager] ?? 0;
  if (known !== 0) return known;
  const fresh = chanceOf(agentIdOf(agent), `m${manager}`);
  chance[agent * width + manager] = fresh;
  return fresh;
}

/** Managers of this world only, none heavier than another. */
function isEven({ list: { managers }, byNumber }: Published): boolean {
  const ownCount = byNumber.filter((one) => one !== undefined).length;
  return ownCount === managers.length && new Set(managers.map(({ weight }) => weight)).size === 1;
}

function put(into: Int8Array, start: number, order: readonly number[]): number {
  order.forEach((manager, place) => {
    into[start + place] = manager;
  });
  return order.length;
}

function factorial(count: number): number {
  return count < 2 ? 1 : count * factorial(count - 1);
}

const kept = new WeakMap<World, Rankings>();

export function rankingsOf(world: World): Rankings {
  const known = kept.get(world);
  if (known !== undefined) return known;
  const fresh = new Rankings(world);
  kept.set(world, fresh);
  return fresh;
}
