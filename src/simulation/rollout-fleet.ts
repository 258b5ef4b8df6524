/**
 * A fleet for rollouts in virtual time: agents that take lists by the product's own rule of waves,
 * fare well or badly under what a list says, and report. Reports get lost, hosts vanish; nothing
 * here knows what the publisher will do.
 */
import type { AgentReport } from '../list/agent-report.ts';
import { isInWave, strataOf } from '../list/rollout.ts';
import type { Content } from '../publisher/content.ts';
import type { PublishedList } from '../publisher/history.ts';
import type { AgentRow } from '../publisher/reports/agent-book.ts';
import { listedRollout } from '../publisher/rollout/record.ts';
import type { Prng } from './prng.ts';

export interface FleetAgent {
  readonly id: string;
  readonly site: string;
  readonly os: AgentReport['os'];
  readonly agentVersion: string;
  /** The version it uses; its content decides how it fares. */
  held: PublishedList;
  isGone: boolean;
  /** Its reports do not arrive. */
  isMute: boolean;
  /** Not connected for reasons of its own. */
  isSick: boolean;
  dueAtMs: number;
  seq: number;
  restoredVersion: number | undefined;
  reportAtMs: number | undefined;
}

export interface FleetSettings {
  readonly agents: number;
  readonly sites: number;
  readonly everySec: number;
}

const systems = ['linux', 'linux', 'linux', 'windows', 'macos'] as const;
const versions = ['v4.14.8', 'v4.14.8', 'v4.13.1', 'v4.9.0'] as const;

export class RolloutFleet {
  readonly agents: readonly FleetAgent[];
  readonly #random: Prng;
  readonly #everySec: number;
  /** Does a content work where it is used? */
  readonly #works: (content: Content) => boolean;

  constructor(
    settings: FleetSettings,
    first: PublishedList,
    random: Prng,
    works: (content: Content) => boolean,
  ) {
    this.#random = random;
    this.#everySec = settings.everySec;
    this.#works = works;
    this.agents = Array.from({ length: settings.agents }, (_, index) => ({
      id: `${index + 1}`.padStart(3, '0'),
      site: `s${Math.floor(random.next() ** 2 * settings.sites)}`,
      os: systems[Math.floor(random.next() * systems.length)] ?? 'linux',
      agentVersion: versions[Math.floor(random.next() * versions.length)] ?? 'v4.14.8',
      held: first,
      isGone: false,
      isMute: false,
      isSick: random.next() < 0.005,
      dueAtMs: 0,
      seq: 0,
      restoredVersion: undefined,
      reportAtMs: 0,
    }));
  }

  /** Every agent that is there and polls takes `newest` when its wave has come. */
  poll(newest: PublishedList, nowMs: number): void {
    const rollout = newest.rollout === undefined ? undefined : listedRollout(newest.rollout);
    for (const agent of this.agents) {
      if (agent.isGone || newest.version <= agent.held.version) continue;
      if (!isInWave(rollout, agent.id, strataOf(agent))) continue;
      agent.held = newest;
      if (!this.#works(newest.content) && this.#random.next() < 0.5)
        agent.restoredVersion = newest.version;
      agent.reportAtMs = nowMs + Math.floor(this.#random.next() * 5_000);
    }
  }

  /** What arrives at the publisher up to now. */
  *reports(nowMs: number): Generator<AgentRow> {
    for (const agent of this.agents) {
      const isDue =
        nowMs >= agent.dueAtMs || nowMs >= (agent.reportAtMs ?? Number.POSITIVE_INFINITY);
      if (agent.isGone || !isDue) continue;
      agent.dueAtMs = nowMs + this.#everySec * 1_000 * (0.8 + 0.2 * this.#random.next());
      agent.reportAtMs = undefined;
      agent.seq += 1;
      if (!agent.isMute) yield { report: this.#reportOf(agent, nowMs), receivedAtMs: nowMs };
    }
  }

  #reportOf(agent: FleetAgent, nowMs: number): AgentReport {
    const { held, restoredVersion } = agent;
    const { epoch, term, version } = held;
    const isGood = this.#works(held.content);
    const position = { epoch, term, version: restoredVersion ?? 0 };
    return {
      agent: agent.id,
      place: agent.id,
      seq: agent.seq,
      at: nowMs,
      everySec: this.#everySec,
      sidecar: '0.1.0',
      agentVersion: agent.agentVersion,
      os: agent.os,
      group: 'default',
      site: agent.site,
      root: 1,
      list: { position: { epoch, term, version }, hash: held.hash },
      stalePolls: 0,
      connected: !agent.isSick,
      mode: 'agentd',
      step: isGood ? 'stay:current_is_up' : 'hold:no_candidate',
      why: '',
      ...(restoredVersion === undefined
        ? {}
        : { result: { outcome: 'restored', code: 'E610', position, at: nowMs } }),
      errors: [],
      health: held.content.managers.map(({ id }) => ({ id, verdict: isGood ? 'up' : 'down' })),
    };
  }
}
