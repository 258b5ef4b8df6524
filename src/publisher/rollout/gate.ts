/** May a wave go on, must it be taken back? Pure; the reasons are for people. */
import type { CohortStats } from './cohort.ts';
import type { RolloutRecord } from './record.ts';

export interface GateSettings {
  /** Per cent of the wave that must have told how it fares; a part of an agent is none. */
  readonly reportedPct: number;
  /** So long after its beginning a wave that keeps silent is taken back. */
  readonly silenceMs: number;
  /** Percentage points above all others that are still chance or weather. */
  readonly marginPct: number;
  /** Restores in the first hundred that end a rollout. */
  readonly maxRestores: number;
  /** Agents of the wave may not have come back to this publisher yet: those expected count, too. */
  readonly awaitsExpected?: boolean;
}

export type Verdict =
  | { readonly kind: 'wait'; readonly why: string }
  | { readonly kind: 'advance' }
  | {
      readonly kind: 'halt';
      readonly gate: 'restores' | 'failures' | 'silence';
      readonly why: string;
    };

export function judgeWave(
  stats: CohortStats,
  record: RolloutRecord,
  settings: GateSettings,
  nowMs: number,
): Verdict {
  const halt = restores(stats, settings) ?? failures(stats, record, settings);
  if (halt !== undefined) return halt;
  const ageMs = nowMs - record.stageStartedAtMs;
  const cohort = settings.awaitsExpected ? Math.max(stats.known, record.expected) : stats.known;
  const needed = Math.max(1, Math.floor((settings.reportedPct * cohort) / 100));
  const isHeard = stats.reported >= needed;
  if (!isHeard) {
    const seen = `${stats.reported} of ${Math.max(stats.known, record.expected)} agents of the wave have told how they fare`;
    if (ageMs < settings.silenceMs) return { kind: 'wait', why: seen };
    return { kind: 'halt', gate: 'silence', why: `${seen}; needed: ${settings.reportedPct} %` };
  }
  // As bad as everywhere else is no reason to go back, and none to go on.
  if (stats.failed * 2 >= stats.reported) {
    return { kind: 'wait', why: `${stats.failed} of ${stats.reported} fare badly, as others do` };
  }
  const bakeMs = record.stages[record.stage]?.bakeMs ?? 0;
  if (ageMs < bakeMs)
    return { kind: 'wait', why: `watched for ${Math.ceil((bakeMs - ageMs) / 1_000)} s more` };
  return { kind: 'advance' };
}

/** An agent that could not report tries again at least this often (`sidecar/report.ts`). */
const returnMs = 610_000;

/**
 * The same for a wave that began before reports were heard here: the time until then is nobody's
 * silence, and those that could not report come back one after the other. A few that are back first do
 * not speak for all of them.
 */
export function patientWith(
  settings: GateSettings,
  times: { readonly ageMs: number; readonly heardMs: number },
): GateSettings {
  const unheardMs = times.ageMs - times.heardMs;
  if (unheardMs <= 0) return settings;
  return {
    ...settings,
    silenceMs: settings.silenceMs + unheardMs + returnMs,
    awaitsExpected: times.heardMs < returnMs,
  };
}

function restores(
  { restored, reported }: CohortStats,
  { maxRestores }: GateSettings,
): Verdict | undefined {
  // Three in the first hundred; the same share of more.
  if (restored < Math.max(maxRestores, (maxRestores * reported) / 100)) return undefined;
  return {
    kind: 'halt',
    gate: 'restores',
    why: `${restored} of ${reported} agents put their old configuration back`,
  };
}

/** One agent that fares badly is an accident. */
const leastFailed = 2;

function failures(
  stats: CohortStats,
  record: RolloutRecord,
  { marginPct, maxRestores }: GateSettings,
): Verdict | undefined {
  const { known, reported, others, othersFailed } = stats;
  const failed = newlyFailed(stats, record);
  // With nobody left to compare with, what restores need; never more than the wave has. As few as
  // have reported are not enough: the first one would decide alone.
  const enough = Math.min(known, others === 0 ? maxRestores : leastFailed);
  if (failed < enough) return undefined;
  // The others are a sample too: one unlucky agent in a small fleet is no evidence.
  const usual = others === 0 ? 0 : wilsonBounds(othersFailed, others).upper;
  const least = wilsonBounds(failed, reported).lower;
  if (least <= usual + marginPct / 100) return undefined;
  const seen = `${failed} of ${reported} agents of the wave fare badly`;
  const sure = `at least ${percent(least)} of it, with 99 % certainty`;
  const compared = others === 0 ? ' that did not before' : '';
  const rest = others === 0 ? '' : `, of all others at most ${percent(usual)}`;
  return { kind: 'halt', gate: 'failures', why: `${seen}${compared} (${sure})${rest}` };
}

/** Where everybody is in the wave, it is compared with how the same agents fared before it. */
function newlyFailed(
  { failed, stillFailed, others }: CohortStats,
  { failedBefore = 0 }: RolloutRecord,
): number {
  return others > 0 ? failed : Math.max(0, failed - Math.max(0, failedBefore - stillFailed));
}

const z99 = 2.576;

/** The 99 % score interval (Wilson 1927) of a share seen as `failed` out of `tried`. */
export function wilsonBounds(
  failed: number,
  tried: number,
): { readonly lower: number; readonly upper: number } {
  if (tried === 0) return { lower: 0, upper: 1 };
  const share = failed / tried;
  const z2 = z99 * z99;
  const middle = share + z2 / (2 * tried);
  const spread = z99 * Math.sqrt((share * (1 - share) + z2 / (4 * tried)) / tried);
  const bound = (value: number): number => Math.min(1, Math.max(0, value / (1 + z2 / tried)));
  return { lower: bound(middle - spread), upper: bound(middle + spread) };
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
