/** One look at everything that `decide` judges, all at once so that it belongs together. */
import type { RankedList, Seen } from './seen.ts';
import type { World } from './world.ts';

type Eyes = Pick<World, 'agent' | 'health' | 'loss' | 'clock' | 'relay' | 'holders'>;

export async function observe(world: Eyes, list: RankedList): Promise<Seen> {
  const [{ agent, file }, health, pause] = await Promise.all([
    readAgent(world),
    world.health.probe(list.list.managers),
    world.agent.readPause(),
  ]);
  const lostSinceAtMs = world.loss.sinceAtMs(agent, world.clock.nowMs(), world.clock.monotonicMs());
  const foundAtMs = world.loss.foundAtMs();
  const stuckForMs = world.loss.stuckForMs(agent, world.clock.monotonicMs());
  const relay = world.relay?.seen(agent.peers);
  const holders = world.holders?.seen();
  const sinceAtMs = world.loss.sameSinceAtMs(agent, world.clock.nowMs());
  const isOlder = [...(holders?.values() ?? [])].some(
    ({ movedAtMs = 0 }) => movedAtMs > (sinceAtMs ?? Number.POSITIVE_INFINITY),
  );
  // A look into a table that grows with the host: only when it decides something.
  const retransmits = (isOlder ? world.agent.readRetransmits?.(agent) : undefined) ?? 0;
  return {
    agent,
    file,
    health,
    ...(stuckForMs === undefined ? {} : { stuckForMs }),
    ...(relay === undefined ? {} : { relay }),
    ...(holders === undefined ? {} : { holders }),
    ...(sinceAtMs === undefined ? {} : { ownConnection: { sinceAtMs, retransmits } }),
    ...(lostSinceAtMs === undefined ? {} : { lostSinceAtMs }),
    ...(foundAtMs === undefined ? {} : { foundAtMs }),
    ...(pause === undefined ? {} : { pause }),
  };
}

/** The version says which grammar the file is read with. */
async function readAgent(world: Eyes): Promise<Pick<Seen, 'agent' | 'file'>> {
  const agent = await world.agent.readFacts();
  return { agent, file: await world.agent.readFile(agent.version) };
}
