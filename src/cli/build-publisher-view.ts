/** What the running publisher looks at: the list it serves, and the managers in it by its own probes. */
import type { Health } from '../health/judge.ts';
import { buildProber } from '../host/probe-socket.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import type { Manager } from '../list/model.ts';
import type { Log } from '../log.ts';
import { listedManagers } from '../publisher/content.ts';
import type { ListService } from '../publisher/list-service.ts';
import { type Watch, watchManagers } from '../publisher/watch-managers.ts';
import type { EdgesView } from './build-publisher-edges.ts';
import type { PublisherConfig } from './publisher-config.ts';

/** The list that is served now, with what the publisher's own probes add up to. */
export class ServedView implements EdgesView {
  readonly #service: ListService;
  #healths: ReadonlyMap<string, Health> = new Map();

  constructor(service: ListService) {
    this.#service = service;
  }

  managers(): readonly Manager[] {
    const served = this.#service.served();
    return served === undefined ? [] : listedManagers(served.entry.content);
  }

  version(): string {
    const entry = this.#service.served()?.entry;
    return entry === undefined ? '' : `${entry.epoch}.${entry.term}.${entry.version}`;
  }

  healths(): ReadonlyMap<string, Health> {
    return this.#healths;
  }

  noteRound(healths: ReadonlyMap<string, Health>): void {
    this.#healths = new Map(healths);
  }
}

type ProbePace = ReturnType<Watch['settings']>;

/** Who answers DNS questions, or takes managers out of the list, must know of a dead one in seconds. */
const fastProbeMs = 1_000;

export function probePace({ probe, zone, roster }: PublisherConfig): ProbePace {
  const isFast = zone !== undefined || roster.enabled;
  const intervalMs = isFast ? Math.min(probe.interval, fastProbeMs) : probe.interval;
  return { intervalMs, deadlineMs: probe.deadline };
}

/** The publisher's own look at the managers of the list that is served. */
export function watchListed(
  view: ServedView,
  log: Log,
  settings: () => ProbePace,
  stop: AbortSignal,
): Promise<void> {
  const managers = () => view.managers();
  const onRound = (healths: ReadonlyMap<string, Health>) => view.noteRound(healths);
  return watchManagers(
    { prober: buildProber(clock), clock, log, managers, settings, onRound },
    stop,
  );
}
