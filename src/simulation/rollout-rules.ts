/** What must hold in every rollout, whatever goes wrong. Written without the product's own judgement. */
import { isInWave, strataOf } from '../list/rollout.ts';
import { type Content, isSameContent, withUnready } from '../publisher/content.ts';
import type { PublishedList } from '../publisher/history.ts';
import type { AgentRow } from '../publisher/reports/agent-book.ts';
import { listedRollout } from '../publisher/rollout/record.ts';
import type { RolloutFleet } from './rollout-fleet.ts';
import type { MemoryHistory } from './rollout-history.ts';

export interface RolloutViolation {
  /** W: waves · V: versions · P: pause and freeze · E: evidence · B: back · R: reach. */
  readonly rule: 'W' | 'V' | 'P' | 'E' | 'B' | 'R';
  readonly text: string;
}

export interface StepGround {
  readonly before: PublishedList;
  readonly after: PublishedList;
  readonly history: MemoryHistory;
  readonly isPaused: boolean;
  readonly rows: Iterable<AgentRow>;
  readonly nowMs: number;
}

export function checkStep(ground: StepGround): readonly RolloutViolation[] {
  const { before, after } = ground;
  const found: RolloutViolation[] = [];
  const fail = (rule: RolloutViolation['rule'], text: string): void =>
    void found.push({ rule, text });
  if (after === before) return found;
  if (after.version !== before.version + 1) fail('V', `from ${before.version} to ${after.version}`);
  const was = before.rollout;
  if (was === undefined) return found;
  const is = after.rollout;
  if (after.reason === 'halt') {
    const stable = ground.history.find(was.stableVersion);
    // What the roster found meanwhile still holds, and sidecars let only so many managers go at once.
    const isBack =
      stable !== undefined &&
      isSameContent(
        withUnready(stable.content, []),
        withUnready(withoutKept(after.content, stable.content), []),
      );
    if (!isBack || is !== undefined) fail('B', `version ${after.version} is not what was before`);
    return found;
  }
  if (after.reason !== 'rollout') return found;
  if (!isSameContent(before.content, after.content)) fail('W', 'a wave changed the content');
  if (ground.isPaused && was.lane === 'normal') fail('P', `a wave began while paused or frozen`);
  if (
    is !== undefined &&
    (is.stage !== was.stage + 1 || is.pct < was.pct || is.salt !== was.salt)
  ) {
    fail('W', `from wave ${was.stage} (${was.pct} %) to ${is.stage} (${is.pct} %)`);
  }
  if (is === undefined && was.stage !== was.stages.length - 1)
    fail('W', 'done before the last wave');
  const bakeMs = was.stages[was.stage]?.bakeMs ?? 0;
  if (ground.nowMs - was.stageStartedAtMs < bakeMs) fail('E', 'a wave was not watched long enough');
  const heard = heardOf(ground, was.sinceVersion, before);
  if (heard.good < 1) fail('E', 'a wave went on although nobody of it said that it fares well');
  return found;
}

/** Without those that are there only to be `down`. */
function withoutKept(content: Content, stable: Content): Content {
  const own = new Set(stable.managers.map(({ id }) => id));
  const managers = content.managers.filter(({ id, state }) => own.has(id) || state !== 'down');
  return { ...content, managers };
}

function heardOf({ rows }: StepGround, sinceVersion: number, { rollout }: PublishedList) {
  let good = 0;
  for (const { report, receivedAtMs } of rows) {
    if (rollout === undefined || receivedAtMs <= rollout.stageStartedAtMs) continue;
    if (!isInWave(listedRollout(rollout), report.place, strataOf(report))) continue;
    if (report.connected && (report.list?.position.version ?? 0) >= sinceVersion) good += 1;
  }
  return { good };
}

/** What each agent held when it was looked at last. */
const seen = new WeakMap<object, PublishedList>();

/** Nobody holds a content before its wave came. */
export function checkFleet(
  history: MemoryHistory,
  fleet: RolloutFleet,
): readonly RolloutViolation[] {
  for (const agent of fleet.agents) {
    if (seen.get(agent) === agent.held) continue;
    seen.set(agent, agent.held);
    const { rollout, version } = agent.held;
    if (rollout === undefined || isInWave(listedRollout(rollout), agent.id, strataOf(agent)))
      continue;
    return [{ rule: 'W', text: `${agent.id} holds ${version} of ${history.entries.length} early` }];
  }
  return [];
}

/** In the end everybody holds one content, and never one that does not work. */
export function checkEnd(
  history: MemoryHistory,
  fleet: RolloutFleet,
  works: (content: Content) => boolean,
): readonly RolloutViolation[] {
  const newest = history.newest();
  if (newest === undefined || newest.rollout !== undefined) return [];
  const found: RolloutViolation[] = [];
  if (!works(newest.content))
    found.push({ rule: 'R', text: 'a list that works nowhere is everywhere' });
  const other = fleet.agents.find(({ held }) => !isSameContent(held.content, newest.content));
  if (other !== undefined)
    found.push({ rule: 'B', text: `${other.id} still holds ${other.held.version}` });
  return found;
}
