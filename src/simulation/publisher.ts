/** The publisher of the world: notices, publishes, serves whom it reaches. One writer. */
import type { Rollout } from '../list/model.ts';
import { condition } from './network.ts';
import { archive, nextList } from './published.ts';
import { type StagedPublisher, stagedOf } from './staged.ts';
import { eventKind, type World } from './world.ts';

/** Two failed probes of its own, and a last look. */
const noticeDeathMs = 3_000;
/** A manager must stay up so long before the list says so. */
const noticeReturnMs = 30_000;
const stageMs = 120_000;
const noManager = -1;
const tendMs = 5_000;

/** Its own view is of the machines, not of the agents' networks. */
export function noticeManagers(world: World): void {
  if (!world.settings.hasPublisher) return;
  world.publisherSees.forEach((sawAlive, manager) => {
    const isAlive = world.network.ofManager(manager) === condition.alive;
    if (isAlive === sawAlive) return;
    const delayMs = isAlive ? noticeReturnMs : noticeDeathMs;
    world.queue.push(world.nowMs + delayMs, eventKind.publish, manager, isAlive ? 1 : 0);
  });
}

/** What was noticed is still so: tell. */
export function publishNoticed(world: World, manager: number, isAlive: boolean): void {
  if (!world.settings.hasPublisher || world.network.publisherDown > 0) return;
  if (manager !== noManager) {
    const stillSo = (world.network.ofManager(manager) === condition.alive) === isAlive;
    if (!stillSo || world.publisherSees[manager] === isAlive) return;
    world.publisherSees[manager] = isAlive;
  }
  publish(world, undefined);
}

export function publish(world: World, rollout: Rollout | undefined): void {
  if (!world.settings.hasPublisher) return;
  const staged = stagedOf(world);
  if (staged === undefined) archive(world, nextList(world, rollout), true);
  else if (!publishStaged(world, staged)) return;
  tellAll(world);
}

/** What changed since: the operator's drains and joins in waves, the dead and the returned at once. */
function publishStaged(world: World, staged: StagedPublisher): boolean {
  if (world.network.publisherDown > 0) return false;
  const isRoster = staged.roster(world);
  return staged.change(world, false) || isRoster;
}

/** Gates are looked at again and again. */
export function tendStaged(world: World): void {
  const { nowMs, queue, network } = world;
  const staged = stagedOf(world);
  if (staged === undefined) return;
  queue.push(nowMs + tendMs, eventKind.tend, 0);
  if (network.publisherDown === 0 && staged.tend(world)) tellAll(world);
}

export function publishBadList(world: World): void {
  if (world.network.publisherDown === 0 && stagedOf(world)?.change(world, true)) tellAll(world);
}

function tellAll(world: World): void {
  world.stats.published += 1;
  for (let site = 0; site < world.settings.sites; site += 1) {
    if (world.network.reachesPublisher(site)) tellSite(world, site, { fromMs: 50, toMs: 2_000 });
  }
}

/** A quarter of the agents first, everybody a while later. */
export function publishInStages(world: World): void {
  if (!world.settings.hasPublisher) return;
  if (world.settings.hasRollouts) {
    publish(world, undefined);
    return;
  }
  const number = world.lists.length;
  publish(world, { id: `r${number}`, salt: `s${number}`, pct: 25 });
  world.queue.push(world.nowMs + stageMs, eventKind.stage, number);
}

/** Whoever missed news asks again, with growing jitter after a long outage. */
export function catchUp(world: World, site: number, outageMs: number): void {
  if (!world.network.reachesPublisher(site)) return;
  const spreadMs = Math.min(300_000, Math.max(2_000, outageMs));
  tellSite(world, site, { fromMs: 200, toMs: 200 + spreadMs });
}

/** Every cohort of the network hears the newest list at an instant of its own. */
function tellSite(
  world: World,
  site: number,
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): void {
  const { cohorts, nowMs, random, queue, settings } = world;
  if (!settings.hasSidecar) return;
  const number = newestList(world);
  for (let phase = 0; phase < cohorts.phases; phase += 1) {
    const cohort = site * cohorts.phases + phase;
    queue.push(nowMs + random.between(fromMs, toMs), eventKind.cohortNews, cohort, number);
  }
}

export function tell(world: World, agent: number, atMs: number): void {
  if (!world.settings.hasSidecar) return;
  world.queue.push(atMs, eventKind.news, agent, newestList(world));
}

export function newestList(world: World): number {
  return world.lists.findLastIndex(({ isGenuine }) => isGenuine);
}
