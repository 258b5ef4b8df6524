/**
 * Who would go where if a manager died, or if one more joined: the ranking that every sidecar works
 * out for itself, asked for all agents before it happens. Pure; nothing is published or moved.
 *
 * What it does not know: managers that an agent cannot reach, local settings, pauses.
 */
import type { Manager, ManagerList } from '../list/model.ts';
import { rankManagers } from '../list/select.ts';
import { leaveWindowMs } from '../sidecar/decide-admission.ts';

export interface KnownAgent {
  /** The id by which it is placed. */
  readonly place: string;
  readonly zone?: string | undefined;
  /** The manager it reported last; its first choice when absent or not listed. */
  readonly on?: string | undefined;
}

export interface Change {
  readonly down: readonly string[];
  readonly added: readonly Manager[];
}

export interface ManagerForecast {
  readonly id: string;
  readonly before: number;
  readonly after: number;
  readonly leaves: number;
  readonly comes: number;
}

export interface Forecast {
  readonly agents: number;
  /** Agents that move because theirs dies. */
  readonly moved: number;
  /** Agents that nobody is left for. */
  readonly stranded: number;
  /** Agents that would rather be on an added manager; they go there in their own time. */
  readonly drawn: number;
  readonly managers: readonly ManagerForecast[];
  /** By (from, to), most agents first. */
  readonly moves: readonly {
    readonly from: string;
    readonly to: string;
    readonly agents: number;
  }[];
  /** By manager that dies: how long its agents take to leave in their slots, seconds. */
  readonly leaveSec: Readonly<Record<string, number>>;
}

interface Placed {
  readonly before: string | undefined;
  readonly after: string | undefined;
  readonly drawnTo: string | undefined;
}

export function forecast(
  list: ManagerList,
  agents: readonly KnownAgent[],
  change: Change,
): Forecast {
  const counts = new Map<
    string,
    { before: number; after: number; leaves: number; comes: number }
  >();
  const all = [...list.managers, ...change.added];
  for (const { id } of all) counts.set(id, { before: 0, after: 0, leaves: 0, comes: 0 });
  const moves = new Map<string, number>();
  let [moved, stranded, drawn] = [0, 0, 0];
  for (const agent of agents) {
    const { before, after, drawnTo } = placeOne(list.managers, agent, change);
    if (drawnTo !== undefined) drawn += 1;
    const [from, to] = [counts.get(before ?? ''), counts.get(after ?? '')];
    if (from !== undefined) from.before += 1;
    if (to !== undefined) to.after += 1;
    if (before === after) continue;
    if (from !== undefined) from.leaves += 1;
    if (to === undefined) stranded += 1;
    else {
      moved += 1;
      to.comes += 1;
      const key = `${before ?? ''}\n${after ?? ''}`;
      moves.set(key, (moves.get(key) ?? 0) + 1);
    }
  }
  return {
    agents: agents.length,
    moved,
    stranded,
    drawn,
    managers: all.map(({ id }) => ({
      id,
      ...(counts.get(id) ?? { before: 0, after: 0, leaves: 0, comes: 0 }),
    })),
    moves: [...moves]
      .map(([key, count]) => {
        const [from = '', to = ''] = key.split('\n');
        return { from, to, agents: count };
      })
      .sort((left, right) => right.agents - left.agents || (left.to < right.to ? -1 : 1)),
    leaveSec: leaveTimes(list, change),
  };
}

function placeOne(managers: readonly Manager[], agent: KnownAgent, change: Change): Placed {
  const { place, zone, on } = agent;
  const seat = { agentId: place, ...(zone === undefined ? {} : { zone }) };
  const now = rankManagers(managers, seat);
  const isUsable = ({ state }: Manager): boolean => state !== 'down';
  const isListed = managers.some((one) => one.id === on && isUsable(one));
  const before = isListed ? on : now.find(isUsable)?.id;
  const next = rankManagers([...managers, ...change.added], seat).filter(
    (one) => isUsable(one) && !change.down.includes(one.id),
  );
  const isLeft = before !== undefined && !change.down.includes(before);
  const [best] = next;
  const isDrawn = isLeft && change.added.some(({ id }) => id === best?.id);
  return { before, after: isLeft ? before : best?.id, drawnTo: isDrawn ? best?.id : undefined };
}

/** As the sidecars count it; the time to notice the death comes on top. */
function leaveTimes(list: ManagerList, change: Change): Readonly<Record<string, number>> {
  const managers = [...list.managers, ...change.added];
  const candidates = managers.filter(
    ({ id, state }) => state === 'up' && !change.down.includes(id),
  );
  const pairs = list.managers
    .filter(({ id }) => change.down.includes(id))
    .map((leaving) => {
      const windowMs = leaveWindowMs({
        list: { ...list, managers },
        leaving,
        candidates,
        health: new Map(),
        sinceAtMs: 0,
      });
      return [leaving.id, Math.round(windowMs / 100) / 10] as const;
    });
  return Object.fromEntries(pairs);
}
