/** The rollout of a running publisher from real parts. */
import { buildFreezeCalendar } from '../host/freeze-calendar.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import type { Log } from '../log.ts';
import type { Complaints } from '../publisher/complaints.ts';
import type { DaemonWorld } from '../publisher/daemon.ts';
import type { PublishDesk } from '../publisher/publish.ts';
import { tendRollout } from '../publisher/rollout/tend.ts';
import type { ReportOffice } from './build-publisher-reports.ts';
import type { PublisherConfig } from './publisher-config.ts';
import type { PublisherOffice } from './publisher-host.ts';
import { gateSettingsOf, type RolloutConfig } from './rollout-config.ts';

const lookEveryMs = 900;
/** A large fleet is looked at more rarely: one look at 100 000 agents takes a good part of a second. */
const agentsPerMs = 20;
/** Not asked for so long: another publisher led meanwhile, or this one was stopped in its tracks. */
const breakMs = 30_000;

/** What tends the rollout, with the desk; without reports every agent is silent. */
export function withRollout(
  { desk }: PublisherOffice,
  config: () => PublisherConfig,
  reports: ReportOffice | undefined,
  tell: { readonly log: Log; readonly complaints: Complaints },
): Pick<DaemonWorld, 'desk' | 'tendRollout'> {
  return { desk, tendRollout: buildTending(config, reports, tell) };
}

/** `config` is read again at every look: a reload may have changed it. */
function buildTending(
  config: () => PublisherConfig,
  reports: Pick<ReportOffice, 'book'> | undefined,
  tell: { readonly log: Log; readonly complaints: Complaints },
): (desk: PublishDesk) => Promise<boolean> {
  const agents = (): number => reports?.book.size() ?? 0;
  let built: RolloutConfig | undefined;
  let frozen = buildFreezeCalendar([]);
  let lookedMs = Number.NEGATIVE_INFINITY;
  let askedMs = Number.NEGATIVE_INFINITY;
  let heardSinceMs = 0;
  return async (desk) => {
    const nowMs = clock.monotonicMs();
    if (nowMs - askedMs > breakMs) heardSinceMs = nowMs;
    askedMs = nowMs;
    if (nowMs - lookedMs < lookEveryMs + agents() / agentsPerMs) return false;
    lookedMs = nowMs;
    const { rollout } = config();
    if (rollout !== built) frozen = calendarOf(rollout);
    built = rollout;
    const ground = {
      rows: () => reports?.book.rows() ?? [],
      settings: () => gateSettingsOf(rollout, agents()),
      heardMs: () => nowMs - heardSinceMs,
      frozen,
    };
    return tendRollout(desk, ground, tell);
  };
}

export function calendarOf({ freeze }: RolloutConfig) {
  return buildFreezeCalendar(freeze.map(({ from, for: forMs }) => ({ from, forMs })));
}
