/** What `decide` judges, put together from what is known and seen; the same for `plan` and the cycle. */
import { rankManagers } from '../list/select.ts';
import { connectionOf } from './decide-connection.ts';
import type { Situation } from './decide-view.ts';
import type { Memory } from './memory.ts';
import type { RankedList, Seen } from './seen.ts';
import type { Trust } from './trust.ts';
import type { Place, World } from './world.ts';

/** The list in use in this agent's own order. */
export function rankedList(place: Place, memory: Memory, trust: Trust): RankedList | undefined {
  if (trust.list === undefined || memory.list === undefined) return undefined;
  const { list, hash } = trust.list;
  const ranking = rankManagers(list.managers, place);
  return { list, hash, acceptedAtMs: memory.list.acceptedAtMs, ranking };
}

export interface Known {
  readonly memory: Memory;
  readonly trust: Trust;
  readonly list: RankedList;
  readonly seen: Seen;
}

export function situationOf(
  world: Pick<World, 'place' | 'policy' | 'clock'>,
  { memory, trust, list, seen }: Known,
): Situation {
  const { minApplyInterval } = trust.newest.root.constraints;
  const minApplyMs = world.policy.minApplyMs ?? minApplyInterval * 1000;
  return {
    memory: rememberSeen(memory, list, seen),
    list,
    seen,
    policy: { ...world.policy, minApplyMs },
    agentId: world.place.agentId,
    nowMs: world.clock.nowMs(),
  };
}

/** Where the agent is connected now is where it was last, once that connection is gone. */
function rememberSeen(memory: Memory, list: RankedList, seen: Seen): Memory {
  const connection = connectionOf({ memory, list, seen });
  if (connection.kind !== 'listed' || connection.manager.id === memory.lastManager) return memory;
  return { ...memory, lastManager: connection.manager.id };
}
