/** One round of the running publisher over its rollout: judge, publish what follows, tell. */
import type { Log } from '../../log.ts';
import type { Complaints } from '../complaints.ts';
import { type PublishDesk, publish } from '../publish.ts';
import type { AgentRow } from '../reports/agent-book.ts';
import { driveRollout } from './drive.ts';
import { type GateSettings, patientWith } from './gate.ts';

export interface RolloutGround {
  rows(): Iterable<AgentRow>;
  settings(): GateSettings;
  /** So long reports have been heard here without a break. */
  heardMs(): number;
  /** The freeze window that holds at this time. */
  frozen(nowMs: number): string | undefined;
}

const stuckTopic = 'rollout.stuck';

/** True when a version was published. Throws what `publish` throws. */
export async function tendRollout(
  desk: PublishDesk,
  ground: RolloutGround,
  tell: { readonly log: Log; readonly complaints: Complaints },
): Promise<boolean> {
  const { history, clock } = desk;
  const newest = history.newest();
  if (newest?.rollout === undefined) return false;
  const nowMs = clock.nowMs();
  const ageMs = nowMs - newest.rollout.stageStartedAtMs;
  const drive = driveRollout({
    newest,
    stable: history.find(newest.rollout.stableVersion),
    rows: ground.rows(),
    mark: history.markOf(newest.rollout.id),
    frozen: ground.frozen(nowMs),
    settings: patientWith(ground.settings(), { ageMs, heardMs: ground.heardMs() }),
    maxRemovedPct: desk.root.constraints.maxRemovedPct,
    nowMs,
  });
  if (drive.kind !== 'publish') return false;
  const { kind, entry } = await publish(desk, drive.order);
  if (kind === 'unchanged') return false;
  const { version, detail } = entry;
  if (entry.reason === 'halt') {
    tell.log.error(drive.event, { version, detail });
    tell.complaints.begin(stuckTopic, detail);
  } else {
    tell.log.info(drive.event, { version, detail });
    if (entry.rollout === undefined) tell.complaints.end(stuckTopic);
  }
  return true;
}
