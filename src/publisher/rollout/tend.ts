/** One round of the running publisher over its rollout: judge, publish what follows, tell. */
import type { Log } from '../../log.ts';
import type { Complaints } from '../complaints.ts';
import { type PublishDesk, publish } from '../publish.ts';
import type { AgentRow } from '../reports/agent-book.ts';
import { type Drive, type DriveGround, driveRollout } from './drive.ts';
import { type GateSettings, patientWith } from './gate.ts';
import type { RolloutRecord } from './record.ts';

export interface RolloutGround {
  rows(): Iterable<AgentRow>;
  settings(): GateSettings;
  /** So long reports have been heard here without a break. */
  heardMs(): number;
  /** The freeze window that holds at this time. */
  frozen(nowMs: number): string | undefined;
}

const stuckTopic = 'rollout.stuck';
const waitsTopic = 'rollout.waits';

/** True when a version was published. Throws what `publish` throws. */
export async function tendRollout(
  desk: PublishDesk,
  ground: RolloutGround,
  tell: { readonly log: Log; readonly complaints: Complaints },
): Promise<boolean> {
  const { history, clock } = desk;
  const newest = history.newest();
  if (newest?.rollout === undefined) {
    tell.complaints.end(waitsTopic);
    return false;
  }
  const nowMs = clock.nowMs();
  const ageMs = nowMs - newest.rollout.stageStartedAtMs;
  const looked: DriveGround = {
    newest,
    stable: history.find(newest.rollout.stableVersion),
    rows: ground.rows(),
    mark: history.markOf(newest.rollout.id),
    frozen: ground.frozen(nowMs),
    settings: patientWith(ground.settings(), { ageMs, heardMs: ground.heardMs() }),
    maxRemovedPct: desk.root.constraints.maxRemovedPct,
    nowMs,
  };
  const drive = driveRollout(looked);
  const why = overdue(looked, newest.rollout, drive);
  if (why === undefined) tell.complaints.end(waitsTopic);
  else tell.complaints.begin(waitsTopic, `${newest.rollout.id}: ${why}`);
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

/** Why a wave that nobody holds neither goes on nor back, long after it should have. */
function overdue(
  { mark, frozen, settings, nowMs }: DriveGround,
  { stages, stage, stageStartedAtMs }: RolloutRecord,
  drive: Drive,
): string | undefined {
  if (drive.kind !== 'wait' || mark?.kind === 'paused' || frozen !== undefined) return undefined;
  const dueMs = (stages[stage]?.bakeMs ?? 0) + settings.silenceMs;
  return nowMs - stageStartedAtMs > dueMs ? drive.why : undefined;
}
