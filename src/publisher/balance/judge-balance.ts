/**
 * Do some managers hold so many more agents than their share, for so long, that agents should be
 * asked to go home? Pure. Home is where an agent ranks first by the list itself, weights included:
 * whoever is there stays, whatever the skew, and only the surplus is asked.
 */
import type { Balance } from '../../list/model.ts';

export interface BalanceSettings {
  /** Per cent above its share from which on a manager holds too many. */
  readonly skewPct: number;
  /** How long it must have held them before anybody is asked to move. */
  readonly afterMs: number;
}

/** What one manager holds. */
export interface Load {
  readonly id: string;
  /** Agents on it. */
  readonly agents: number;
  /** Agents that rank it first, wherever they are. */
  readonly share: number;
  /** Agents on it that rank another one first, by that one's id. */
  readonly strangers: ReadonlyMap<string, number>;
}

/** Since when each manager has held too many. */
export type SkewBook = ReadonlyMap<string, number>;

export interface BalanceGround {
  readonly loads: readonly Load[];
  readonly since: SkewBook;
  /** What the list asks now. */
  readonly asked: Balance | undefined;
  readonly settings: BalanceSettings;
  readonly nowMs: number;
  /** Of the version to come: makes the id of a wish unique. */
  readonly version: number;
}

export interface BalanceVerdict {
  readonly since: SkewBook;
  /** What the list should ask; the same value while nothing changes. */
  readonly asked: Balance | undefined;
  readonly why: string;
}

/** Fewer are chance, and not worth a restart. */
const minSurplus = 5;

export function judgeBalance(ground: BalanceGround): BalanceVerdict {
  const { loads, settings, nowMs, asked } = ground;
  const over = loads.filter((load) => isOver(load, settings.skewPct));
  const since = new Map(over.map(({ id }) => [id, ground.since.get(id) ?? nowMs]));
  if (asked !== undefined && isDone(ground, asked)) {
    return { since, asked: undefined, why: 'every manager holds about its share' };
  }
  const ripe = over.filter(({ id }) => nowMs - (since.get(id) ?? nowMs) >= settings.afterMs);
  const from = ripe.map(({ id }) => id).sort();
  const isKnown = from.every((id) => asked?.from.includes(id) === true);
  if (isKnown) return { since, asked, why: from.length === 0 ? 'no lasting skew' : 'being asked' };
  const pct = shareAsked(loads, from);
  if (pct === 0) return { since, asked, why: 'those that hold too many hold no strangers' };
  const told = ripe.map(({ id, agents, share }) => `${id} holds ${agents}, its share is ${share}`);
  return { since, asked: { id: `b-${ground.version}`, from, pct }, why: told.join('; ') };
}

function isOver({ agents, share }: Load, skewPct: number): boolean {
  return agents - share >= minSurplus && agents * 100 > share * (100 + skewPct);
}

/** Half the skew is left, so that it does not begin again at once. */
function isDone({ loads, settings }: BalanceGround, asked: Balance): boolean {
  return loads
    .filter(({ id }) => asked.from.includes(id))
    .every((load) => !isOver(load, settings.skewPct / 2));
}

/** The share of the strangers there that makes up for the surplus; 0 when nobody can go. */
function shareAsked(loads: readonly Load[], from: readonly string[]): number {
  let surplus = 0;
  let strangers = 0;
  for (const load of loads.filter(({ id }) => from.includes(id))) {
    surplus += load.agents - load.share;
    for (const [home, count] of load.strangers) if (!from.includes(home)) strangers += count;
  }
  return strangers === 0 ? 0 : Math.min(100, Math.ceil((surplus * 100) / strangers));
}
