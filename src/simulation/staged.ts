/**
 * Rollouts inside the world: the publisher plans changes with the real `planRollout`, the sidecars
 * take lists in their waves and report what they see, the real `driveRollout` (gates, halts, the
 * way back) reads those reports. What a rollout must never do is checked at every version, by rules
 * that do not share the product's judgement (`rollout-rules.ts`).
 */
import type { AgentReport } from '../list/agent-report.ts';
import { clientDefaults } from '../list/parse-list.ts';
import { type Content, isSameContent, listedManagers, withUnready } from '../publisher/content.ts';
import type { PublishedList, Reason } from '../publisher/history.ts';
import { rolloutOf, type Wanted } from '../publisher/publish.ts';
import { type AgentBook, buildAgentBook } from '../publisher/reports/agent-book.ts';
import type { GateSettings } from '../publisher/rollout/gate.ts';
import type { RolloutSettings } from '../publisher/rollout/plan.ts';
import { listedRollout, type RolloutRecord } from '../publisher/rollout/record.ts';
import { agentIdOf, agentState, chanceOf } from './fleet.ts';
import { archive, managerOf, nextList } from './published.ts';
import { MemoryHistory } from './rollout-history.ts';
import { checkStep } from './rollout-rules.ts';
import { startOfTimeMs } from './settings.ts';
import { publishedOf } from './situation.ts';
import type { World } from './world.ts';

export const reportEveryMs = 60_000;
const reportSalt = 0x4e40;
/** A wave is watched for more than two reports, as by default: the first comes before all probes. */
const stages = [1, 5, 25, 100].map((percent) => ({ percent, bakeMs: 150_000 }));
const planSettings: RolloutSettings = {
  isEnabled: true,
  minAgents: 20,
  stages,
  removalPercent: 25,
};
const gates: GateSettings = { reportedPct: 95, silenceMs: 180_000, marginPct: 1, maxRestores: 3 };

export class StagedPublisher {
  readonly history = new MemoryHistory();
  readonly #book: AgentBook = buildAgentBook([]);
  readonly #dueMs = new Map<number, number>();
  readonly #told = new Map<number, string>();
  /** What the operator said last. */
  #words = '';
  /** Contents that work nowhere. */
  readonly #bad = new Set<Content>();

  /** An operator changes the configuration; `isBad`: valid, signed, and of no use to anybody. */
  change(world: World, isBad: boolean): boolean {
    const words = `${world.joined.join('')} ${world.drained.map((count) => Math.min(1, count)).join('')}`;
    if (!isBad && words === this.#words) return false;
    this.#words = words;
    const before = this.history.newest()?.content ?? contentOf(world);
    const content = isBad ? badOf(world, before) : { ...contentOf(world), ...unreadyOf(before) };
    if (isBad) this.#bad.add(content);
    return this.#publish(world, { content, source: '' }, 'publish', '');
  }

  /** Who died or returned: to everybody at once, beside whatever is rolled out. */
  roster(world: World): boolean {
    const before = this.history.newest();
    const dead = deadOf(world);
    if (before === undefined) return this.change(world, false);
    const content = withUnready(before.content, dead);
    if (this.#isBad(before.content)) this.#bad.add(content);
    const wanted = { content, source: '', rollout: before.rollout };
    return this.#publish(world, wanted, 'roster', '');
  }

  /** Reads what has arrived, judges the wave, publishes what follows. True: there is news. */
  tend(world: World): boolean {
    this.#hear(world);
    const newest = this.history.newest();
    if (newest?.rollout === undefined) return false;
    const drive = world.logic.rollout.drive({
      newest,
      stable: this.history.find(newest.rollout.stableVersion),
      rows: this.#book.rows(),
      mark: undefined,
      frozen: undefined,
      settings: gates,
      maxRemovedPct: world.constraints.maxRemovedPct,
      nowMs: startOfTimeMs + world.nowMs,
    });
    if (drive.kind !== 'publish') return false;
    const { reason, detail } = drive.order;
    return this.#publish(world, drive.order.want(newest), reason, detail);
  }

  /** At the end: nothing that works nowhere is what everybody should hold. */
  check(world: World): void {
    const newest = this.history.newest();
    if (newest === undefined || !this.#isBad(newest.content)) return;
    world.violate('rollout', -1, `version ${newest.version} works nowhere and was not taken back`);
  }

  #publish(world: World, wanted: Wanted, reason: Reason, detail: string): boolean {
    const before = this.history.newest();
    const rollout = rolloutOf(
      { plan: (was, content) => this.#plan(world, was, content) },
      wanted,
      before,
    );
    const isSame = before !== undefined && isSameContent(before.content, wanted.content);
    if (isSame && JSON.stringify(before.rollout) === JSON.stringify(rollout)) return false;
    const listed = rollout === undefined ? undefined : listedRollout(rollout);
    const number = archive(world, nextList(world, listed, listedManagers(wanted.content)), true);
    const published = world.lists[number];
    if (published === undefined) return false;
    const { epoch, term, version, rootVersion, issuedAtMs } = published.list;
    const entry: PublishedList = {
      ...{ epoch, term, version, rootVersion, issuedAtMs, hash: published.hash },
      ...{ content: wanted.content, source: '', reason, detail, envelope: new Uint8Array() },
      ...(rollout === undefined ? {} : { rollout }),
    };
    this.history.append(entry, before?.version);
    if (reason === 'halt') world.stats.halts += 1;
    if (reason === 'rollout') world.stats.waves += 1;
    if (before !== undefined) this.#checkEntry(world, before, entry);
    return true;
  }

  #plan(world: World, before: PublishedList, content: Content): RolloutRecord | undefined {
    const stable = this.history.find(before.rollout?.stableVersion ?? before.version) ?? before;
    return world.logic.rollout.plan({
      version: before.version + 1,
      stableVersion: stable.version,
      stable: stable.content,
      content,
      rows: this.#book.rows(),
      settings: planSettings,
      nowMs: startOfTimeMs + world.nowMs,
      ...(before.rollout === undefined ? {} : { salt: before.rollout.salt }),
      newSalt: () => `salt-${world.random.below(2 ** 30)}`,
    });
  }

  #checkEntry(world: World, before: PublishedList, after: PublishedList): void {
    const ground = { history: this.history, isPaused: false, rows: this.#book.rows() };
    const nowMs = startOfTimeMs + world.nowMs;
    for (const { rule, text } of checkStep({ ...ground, before, after, nowMs })) {
      world.violate('rollout', -1, `rule ${rule}: ${text}`);
    }
    const share = after.rollout?.pct ?? 100;
    const isFurther = after.rollout === undefined || after.rollout.stage > 0;
    const canStage = this.#book.size() >= planSettings.minAgents;
    if (!isFurther || !canStage || !this.#isBad(after.content)) return;
    world.violate('rollout', -1, `version ${after.version} works nowhere and goes to ${share} %`);
  }

  #isBad(content: Content): boolean {
    return [...this.#bad].some((one) => isSameContent(one, content));
  }

  /** Every sidecar reports once a minute, and at once when its list or its connection changed. */
  #hear(world: World): void {
    const { fleet, network, nowMs } = world;
    for (let agent = 0; agent < fleet.count; agent += 1) {
      const asleepUntilMs = Math.max(
        fleet.downUntilMs[agent] ?? 0,
        fleet.pausedUntilMs[agent] ?? 0,
      );
      if (asleepUntilMs > nowMs || !network.reachesPublisher(fleet.site[agent] ?? 0)) continue;
      const key = `${fleet.rankedList[agent]} ${fleet.state[agent] === agentState.connected}`;
      const firstMs = chanceOf(agent, reportSalt) * reportEveryMs;
      const isDue = nowMs >= (this.#dueMs.get(agent) ?? firstMs);
      if (!isDue && this.#told.get(agent) === key) continue;
      this.#told.set(agent, key);
      this.#dueMs.set(agent, nowMs + reportEveryMs);
      const report = reportOf(world, agent);
      if (report !== undefined) this.#book.take({ report, receivedAtMs: startOfTimeMs + nowMs });
    }
  }
}

const kept = new WeakMap<World, StagedPublisher>();

/** Undefined where changes go to everybody at once. */
export function stagedOf(world: World): StagedPublisher | undefined {
  if (!world.settings.hasRollouts) return undefined;
  const known = kept.get(world) ?? new StagedPublisher();
  kept.set(world, known);
  return known;
}

/** What this sidecar would tell: its list, its connection, its verdicts. */
function reportOf(world: World, agent: number): AgentReport | undefined {
  const { fleet } = world;
  const published = publishedOf(world, agent);
  if (published === undefined) return undefined;
  const { epoch, term, version } = published.list;
  const verdicts = published.byNumber.flatMap((manager, number) => {
    const seen = fleet.health[agent * fleet.width + number]?.verdict ?? 'unknown';
    if (manager === undefined) return [];
    return [{ id: manager.id, verdict: manager.state === 'down' ? 'down' : seen }];
  });
  return {
    ...{ agent: agentIdOf(agent), place: agentIdOf(agent), seq: Math.floor(world.nowMs) + 1 },
    ...{ at: world.wallMs(agent), everySec: reportEveryMs / 1000, sidecar: '1', os: 'linux' },
    ...{ group: 'default', site: `s${fleet.site[agent]}`, root: 1, stalePolls: 0 },
    list: { position: { epoch, term, version }, hash: published.hash },
    connected: (fleet.state[agent] ?? 0) <= agentState.wedged,
    ...{ mode: 'agentd', step: 'stay', why: '', errors: [] },
    health: verdicts,
  };
}

function contentOf(world: World): Content {
  const numbers = world.doors.map((_, number) => number).filter((n) => world.joined[n] === 1);
  return {
    managers: numbers.map((number) => managerOf(number, 'up')),
    drained: numbers.filter((n) => (world.drained[n] ?? 0) > 0).map((n) => `m${n}`),
    client: {
      ...clientDefaults,
      agents: world.settings.agents,
      probeBudgetPerManager: world.settings.probeBudgetPerManager,
    },
    validFor: 30 * 86_400,
    aud: { group: 'default', site: '*' },
  };
}

function unreadyOf({ unready }: Content): Pick<Content, 'unready'> {
  return unready === undefined ? {} : { unready };
}

/** A typing error: every manager is taken out, and one that is not there is put in. */
function badOf(world: World, before: Content): Content {
  const ghost = managerOf(world.settings.managers, 'up');
  const others = before.managers.filter(({ id }) => id !== ghost.id);
  return {
    ...before,
    managers: [...others.map((one) => ({ ...one, state: 'down' as const })), ghost],
  };
}

/** Most dead at once: the publisher too suspects itself first. */
function deadOf(world: World): readonly string[] {
  const listed = world.doors.map((_, number) => number).filter((n) => world.joined[n] === 1);
  const dead = listed.filter((number) => world.publisherSees[number] === false);
  return dead.length * 2 <= listed.length ? dead.map((number) => `m${number}`) : [];
}
