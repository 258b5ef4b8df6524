/**
 * A sidecar is served a list: the real checks, the real memory, and what must hold afterwards
 * whatever was served (I2, I3, I4, I8, I10, stages). Signatures and receipts are not simulated:
 * everything served here counts as signed by a stolen list key, the worst case.
 */
import { PilotfishError } from '../errors.ts';
import type { ManagerList, Position } from '../list/model.ts';
import { isInWave } from '../list/rollout.ts';
import type { AcceptedList, Memory } from '../sidecar/memory.ts';
import type { News } from '../sidecar/source.ts';
import { agentIdOf } from './fleet.ts';
import type { Published } from './published-list.ts';
import { react } from './sidecar.ts';
import { publishedOf, rankAgent } from './situation.ts';
import type { World } from './world.ts';

const nothing = new Uint8Array();

export function hearNews(world: World, agent: number, number: number): void {
  const { fleet, nowMs } = world;
  if ((fleet.downUntilMs[agent] ?? 0) > nowMs) return; // asked again when it starts
  const offer = world.lists[number];
  const before = fleet.memory[agent];
  if (offer === undefined || before === undefined) return;
  const { rollout } = offer.list;
  const wave = rollout === undefined || world.logic.isInWave(rollout, agentIdOf(agent));
  const offsetMs = fleet.clockOffsetMs[agent] ?? 0;
  const served = 2 * number + (wave ? 1 : 0);
  const variant = offsetMs === 0 ? served : `news ${served} ${offsetMs}`;
  const after = world.memories.take(nowMs, variant, before, () => {
    const taken = takeIn(world, agent, before, offer);
    if (taken !== before) checkMemory(world, agent, before, taken);
    return taken;
  });
  fleet.memory[agent] = after;
  if (after === before) {
    world.stats.listsRefused += (before.pending ?? before.list)?.hash === offer.hash ? 0 : 1;
    return;
  }
  if (after.list?.hash === before.list?.hash) return;
  checkWave(world, agent, offer.list);
  world.stats.listsAccepted += 1;
  const listed = publishedOf(world, agent)?.byNumber;
  rankAgent(world, agent);
  const hasNew = forgetNewcomers(world, agent, listed);
  const blockedUntilMs = Math.max(fleet.pausedUntilMs[agent] ?? 0, fleet.busyUntilMs[agent] ?? 0);
  if (blockedUntilMs > nowMs || hasNew) {
    world.scheduleCycle(agent, Math.max(blockedUntilMs, nowMs));
  } else react(world, agent);
}

/** Nobody asks a manager that is not listed: one that joins, or comes back, is asked first. */
function forgetNewcomers(
  world: World,
  agent: number,
  before: Published['byNumber'] | undefined,
): boolean {
  const { fleet } = world;
  let hasNew = false;
  publishedOf(world, agent)?.byNumber.forEach((manager, number) => {
    if (manager === undefined || before?.[number] !== undefined) return;
    fleet.health[agent * fleet.width + number] = undefined;
    hasNew = true;
  });
  if (hasNew) fleet.askedAtMs[agent] = 0;
  return hasNew;
}

/** A cohort is served one list: most of its agents remember the same, and share the result. */
export function hearTogether(world: World, cohort: number, number: number): void {
  const { cohorts, fleet, lists } = world;
  const hash = lists[number]?.hash;
  for (const agent of cohorts.members(cohort)) {
    const { list, pending } = fleet.memory[agent] ?? {};
    if ((pending ?? list)?.hash !== hash) hearNews(world, agent, number);
  }
}

/** In the product's order: a refused list leaves the memory as it was. */
function takeIn(world: World, agent: number, before: Memory, offer: Published): Memory {
  let memory = before;
  for (const op of world.logic.acceptOps) {
    if (op === 'persist') memory = persist(world, agent, memory, offer);
    else if (!passes(world, before, offer)) return memory;
  }
  return memory;
}

/** Every check of the product, once for all that know the same and are offered the same. */
function passes(world: World, { list, pending }: Memory, offer: Published): boolean {
  const key = `${offer.hash} ${pending?.hash} ${list?.hash}`;
  const known = world.passed.get(key);
  if (known !== undefined) return known;
  const verdict = check(world, pending ?? list, list, offer);
  world.passed.set(key, verdict);
  return verdict;
}

function check(
  world: World,
  known: AcceptedList | undefined,
  list: AcceptedList | undefined,
  offer: Published,
): boolean {
  const { logic, constraints } = world;
  const lastGood = list === undefined ? undefined : listOf(world, list)?.list;
  try {
    const kind = logic.position({ position: offer.list, hash: offer.hash }, known);
    if (kind === 'same') return false;
    logic.constraints(offer.list, constraints);
    if (lastGood !== undefined) logic.removed(offer.list, lastGood, constraints.maxRemovedPct);
    return true;
  } catch (error) {
    if (!(error instanceof PilotfishError)) throw error;
    return false;
  }
}

function persist(world: World, agent: number, memory: Memory, offer: Published): Memory {
  const { epoch, term, version } = offer.list;
  const list: AcceptedList = {
    envelope: nothing,
    hash: offer.hash,
    position: { epoch, term, version },
    root: { envelope: nothing, hash: 'sha256:root' },
    acceptedAtMs: world.wallMs(agent),
  };
  const news: News = {
    roots: [],
    list,
    freshness: 'fresh',
    ...(offer.list.rollout === undefined ? {} : { rollout: offer.list.rollout }),
    faults: [],
    warnings: [],
  };
  return world.logic.rememberNews(memory, news, agentIdOf(agent), world.wallMs(agent));
}

function checkMemory(world: World, agent: number, before: Memory, after: Memory): void {
  const known = before.pending ?? before.list;
  const next = after.pending ?? after.list;
  if (next === undefined || after.list === undefined) {
    world.violate('I4', agent, 'the last good list is gone');
    return;
  }
  if (known !== undefined) checkPosition(world, agent, known, next);
  const list = listOf(world, after.list)?.list;
  const lastGood = before.list === undefined ? undefined : listOf(world, before.list)?.list;
  if (list === undefined || list.managers.length === 0) {
    world.violate('I4', agent, 'an empty list was accepted');
    return;
  }
  checkRoster(world, agent, list, lastGood);
}

function checkWave(world: World, agent: number, list: ManagerList): void {
  if (isInWave(list.rollout, agentIdOf(agent))) return;
  world.violate('stages', agent, `takes list ${list.version} before its wave`);
}

/** Written a second time on purpose: the oracle must not share the product's comparison. */
function checkPosition(world: World, agent: number, known: AcceptedList, next: AcceptedList): void {
  const [was, is] = [asTuple(known.position), asTuple(next.position)];
  const place = is.findIndex((part, index) => part !== was[index]);
  if (place < 0 && known.hash !== next.hash) {
    world.violate('I3', agent, `two lists at ${is.join('/')}`);
    return;
  }
  if (place >= 0 && (is[place] ?? 0) < (was[place] ?? 0)) {
    world.violate('I3', agent, `from ${was.join('/')} back to ${is.join('/')}`);
    return;
  }
  const leap = (is[2] ?? 0) - (was[2] ?? 0);
  if (leap > 1_000_000) world.violate('I3', agent, `a leap of ${leap} versions was accepted`);
}

function asTuple({ epoch, term, version }: Position): readonly number[] {
  return [epoch, term, version];
}

function checkRoster(
  world: World,
  agent: number,
  list: ManagerList,
  lastGood: ManagerList | undefined,
): void {
  const stranger = list.managers.find(({ address }) => !isAllowed(world, address));
  if (stranger !== undefined) world.violate('I2', agent, `accepted ${stranger.address}`);
  if (lastGood === undefined) return;
  const kept = new Set(list.managers.map(({ address }) => address));
  const gone = lastGood.managers.filter(
    ({ state, address }) => state === 'up' && !kept.has(address),
  );
  const share = (gone.length / lastGood.managers.length) * 100;
  if (share <= world.constraints.maxRemovedPct) return;
  world.violate(
    'I8',
    agent,
    `${gone.length} of ${lastGood.managers.length} managers removed at once`,
  );
}

function isAllowed({ constraints }: World, address: string): boolean {
  return constraints.cidrs.includes(`${address}/32`);
}

export function listOf(world: World, accepted: AcceptedList): Published | undefined {
  return world.lists[world.listByHash.get(accepted.hash) ?? -1];
}

/** A source that sends without end or hardly at all: what one update cycle then costs. */
export function meetEndlessSource(world: World, agent: number, kind: 'endless' | 'slow'): void {
  const { limitMs, limitBytes } = world.logic.poll;
  const offered =
    kind === 'endless' ? { bytes: 10_000_000, ms: 5_000 } : { bytes: 600, ms: 3_600_000 };
  const bytes = Math.min(offered.bytes, limitBytes);
  const tookMs = Math.min(offered.ms, limitMs);
  if (bytes > 256 * 1024) world.violate('I10', agent, `an update cycle read ${bytes} bytes`);
  if (tookMs > 60_000) world.violate('I10', agent, `an update cycle took ${tookMs / 1000} s`);
}
