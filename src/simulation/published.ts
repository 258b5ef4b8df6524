/** Lists as the world's publisher and its rogue twins make them. Signatures are not simulated. */
import { createHash } from 'node:crypto';
import type { Admission, Manager, ManagerList, Rollout } from '../list/model.ts';
import { clientDefaults } from '../list/parse-list.ts';
import { crowdingOf, slowedRate } from '../publisher/crowding.ts';
import { startOfTimeMs } from './settings.ts';
import { numberOf } from './situation.ts';
import { addressOf, type World } from './world.ts';

/** What the publisher knows now, as the next version. */
export function nextList(
  world: World,
  rollout: Rollout | undefined,
  managers: readonly Manager[] = listManagers(world),
): ManagerList {
  const { settings, random: _, nowMs } = world;
  const version = world.lists.filter(({ isGenuine }) => isGenuine).length + 1;
  return {
    org: 'acme',
    rootVersion: 1,
    epoch: 1,
    term: 1,
    version,
    aud: { group: 'default', site: '*' },
    issuedAtMs: startOfTimeMs + nowMs,
    validFor: 30 * 86_400,
    managers,
    client: {
      ...clientDefaults,
      agents: settings.agents,
      probeBudgetPerManager: settings.probeBudgetPerManager,
    },
    admission: admissionOf(world, version, managers),
    ...(rollout === undefined ? {} : { rollout }),
  };
}

function listManagers(world: World): readonly Manager[] {
  const listed = world.doors.map((_, number) => number).filter((n) => world.joined[n] === 1);
  const dead = listed.filter((number) => world.publisherSees[number] === false);
  // Most dead at once: the publisher too suspects itself first.
  const believesDead = dead.length * 2 <= listed.length;
  return listed.map((number) => {
    const isDead = believesDead && world.publisherSees[number] === false;
    const isDrained = (world.drained[number] ?? 0) > 0;
    if (isDead) return managerOf(number, 'down');
    return managerOf(number, isDrained ? 'drain' : 'up');
  });
}

export function managerOf(number: number, state: Manager['state']): Manager {
  return {
    id: `m${number}`,
    address: addressOf(number),
    port: 1514,
    protocol: 'tcp',
    zone: 'z',
    prio: 0,
    weight: 100,
    state,
  };
}

/** As the publisher makes it, from what it sees, and sessions instead of reports. */
function admissionOf(world: World, version: number, managers: readonly Manager[]): Admission {
  const { settings, doors, nowMs } = world;
  const loads = new Map(doors.map(({ sessions }, number) => [`m${number}`, sessions]));
  const living = managers.filter(({ id }) => world.publisherSees[numberOf(id)] !== false);
  const crowding = crowdingOf(living, settings.agents, loads);
  const ratePerServer = slowedRate(settings.manager.acceptRate, crowding);
  return { id: `a${version}`, ratePerServer, startSlotAtMs: startOfTimeMs + nowMs + 2_000 };
}

/** Into the world's archive; returns its number. */
export function archive(world: World, list: ManagerList, isGenuine: boolean): number {
  const hash = `sha256:${createHash('sha256').update(JSON.stringify(list)).digest('hex')}`;
  const known = world.listByHash.get(hash);
  if (known !== undefined) return known;
  const byId = new Map(list.managers.map((manager) => [manager.id, manager]));
  const byNumber = world.doors.map((_, number) => byId.get(`m${number}`));
  const place = world.lists.push({ list, hash, isGenuine, byNumber }) - 1;
  world.listByHash.set(hash, place);
  return place;
}
