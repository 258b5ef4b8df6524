/** The metrics of a running publisher from its parts. */
import type { Health } from '../health/judge.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import type { Manager } from '../list/model.ts';
import type { Complaints } from '../publisher/complaints.ts';
import { listedManagers } from '../publisher/content.ts';
import type { Follower } from '../publisher/follow/follower.ts';
import type { Leadership } from '../publisher/leadership.ts';
import type { ListService } from '../publisher/list-service.ts';
import { buildFleetMetrics, type FleetMetrics } from '../publisher/observe/fleet-metrics.ts';
import { isInNetworks, type MetricsSource } from '../publisher/observe/metrics-route.ts';
import { targetOf } from '../publisher/rollout/overview.ts';
import type { RunningStatus } from '../publisher/status/running.ts';
import type { ReportOffice } from './build-publisher-reports.ts';
import type { PublisherConfig } from './publisher-config.ts';
import type { PublisherOffice } from './publisher-host.ts';
import { versionText } from './version.ts';

/** What of a running publisher metrics look at; read anew at every scrape. */
export interface MetricsGround {
  readonly office: PublisherOffice;
  readonly service: ListService;
  readonly complaints: Complaints;
  readonly reports: ReportOffice | undefined;
  readonly lagMs: () => number;
  readonly roots: PublisherOffice['roots'];
  readonly config: PublisherConfig;
  readonly roster: RunningStatus['roster'];
  readonly leadership: Leadership;
  readonly healths?: () => ReadonlyMap<string, Health>;
}

/** Undefined where `metrics.enabled` is off. */
export function buildMetrics(ground: MetricsGround): (FleetMetrics & MetricsSource) | undefined {
  if (!ground.config.metrics.enabled) return undefined;
  const { service, office, complaints, reports, lagMs } = ground;
  const newest = () => service.served()?.entry;
  const metrics = buildFleetMetrics(
    {
      newest,
      target() {
        const entry = newest();
        if (entry === undefined) return undefined;
        const { rollout } = entry;
        const stable = rollout && office.history.find(rollout.stableVersion);
        return targetOf(entry, stable);
      },
      managers: () =>
        listedManagers(newest()?.content ?? { ...ground.config.configured, drained: [] }),
      healths: () => ground.healths?.() ?? new Map(),
      rows: () => reports?.book.rows() ?? [],
      reports: () => reports?.desk.counts(),
      complaints: () => complaints.list(),
      waiting: () => service.waiting(),
      lagMs,
      leads: () => ground.leadership.leads(),
      rootExpiresAtMs: () => ground.roots.newest.root.expiresAtMs,
      keyLagsMs: () => keyLags(ground.roster),
      version: versionText(),
    },
    clock,
  );
  return { ...metrics, admits: (ip) => isInNetworks(ground.config.metrics.networks, ip) };
}

function keyLags(roster: RunningStatus['roster']): ReadonlyMap<string, number> {
  const known = (roster?.managers ?? []).flatMap(({ id, lags }) =>
    lags === undefined ? [] : [[id, lags.keysMs] as const],
  );
  return new Map(known);
}

export interface FollowerGround
  extends Pick<MetricsGround, 'service' | 'complaints' | 'lagMs' | 'config'> {
  readonly follower: Pick<Follower, 'facts' | 'held'>;
  readonly view: { healths(): ReadonlyMap<string, Health>; managers(): readonly Manager[] };
}

/** Of a follower; undefined where `metrics.enabled` is off. */
export function buildFollowerMetrics(ground: FollowerGround): MetricsSource | undefined {
  const { service, complaints, lagMs, config, follower, view } = ground;
  if (!config.metrics.enabled) return undefined;
  const metrics = buildFleetMetrics(
    {
      newest: () => service.served()?.entry,
      target: () => undefined,
      managers: () => view.managers(),
      healths: () => view.healths(),
      rows: () => [],
      reports: () => undefined,
      complaints: () => complaints.list(),
      waiting: () => service.waiting(),
      lagMs,
      rootExpiresAtMs: () => follower.held?.chain.newest.root.expiresAtMs ?? 0,
      keyLagsMs: () => new Map(),
      leads: () => false,
      followed: () => follower.facts,
      version: versionText(),
    },
    clock,
  );
  return { ...metrics, admits: (ip) => isInNetworks(config.metrics.networks, ip) };
}
