/**
 * From single probe outcomes to a verdict on a manager: rise and fall counters, so that one lost
 * packet moves nobody and one lucky answer brings nobody back. It also judges this host: when most
 * managers look dead at once, the fault is more likely here. Pure; who repeats a failed probe at
 * once, and how often anything is asked, is the prober's business.
 */
import type { ManagerState } from '../list/model.ts';
import { type Damping, type DampingSettings, defaultDamping, punish } from './damping.ts';
import { failureTexts, type ProbeFailure, type ProbeOutcome } from './probe.ts';

export interface JudgeSettings {
  /** Good answers in a row that bring a dead manager back. */
  readonly rise: number;
  /** Bad answers in a row that make a manager dead. */
  readonly fall: number;
  readonly damping?: DampingSettings;
}

export const defaultJudgeSettings: JudgeSettings = { rise: 3, fall: 2 };

/** What the probes of one manager add up to. */
export interface Health {
  readonly verdict: 'up' | 'down' | 'unknown';
  /** Outcomes in a row that agree with the last one. */
  readonly streak: number;
  readonly lastKind: ProbeOutcome['kind'];
  /** When the verdict last changed. */
  readonly sinceAtMs: number;
  readonly probedAtMs: number;
  readonly tookMs: number;
  /** What the last outcome showed, for people. */
  readonly seen: string;
  /** Of the last outcome, when that was a bad one. */
  readonly failure?: ProbeFailure;
  /** When it last came back from the dead; absent for one that never fell here. */
  readonly returnedAtMs?: number;
  /** Absent for one that never fell here. */
  readonly damping?: Damping;
  /** Every address its name resolved to when last asked; kept while it does not resolve. */
  readonly ips: readonly string[];
  /** When the name got the addresses it has now; absent while it always had them. */
  readonly movedAtMs?: number;
}

/** `draining`: it works, but the list says that its agents should leave. */
export type Verdict = 'up' | 'down' | 'draining' | 'unknown';

/** Add one outcome. The very first good answer makes a manager `up`: nothing speaks against it. */
export function judgeOutcome(
  before: Health | undefined,
  outcome: ProbeOutcome,
  settings: JudgeSettings,
  nowMs: number,
): Health {
  const streak = before?.lastKind === outcome.kind ? before.streak + 1 : 1;
  // Another machine answers under this name: what the old one owed, it does not.
  const isElsewhere = outcome.kind === 'alive' && sharesNone(before?.ips ?? [], outcome.ips);
  const past = isElsewhere ? 'unknown' : (before?.verdict ?? 'unknown');
  const verdict = nextVerdict(past, outcome.kind, streak, settings);
  const isChanged = before === undefined || before.verdict !== verdict;
  return {
    verdict,
    streak,
    lastKind: outcome.kind,
    sinceAtMs: isChanged ? nowMs : before.sinceAtMs,
    probedAtMs: nowMs,
    tookMs: outcome.tookMs,
    seen: describeOutcome(outcome),
    ...(outcome.kind === 'dead' ? { failure: outcome.failure } : {}),
    ...historyOf(before, verdict, settings, nowMs),
    ips: outcome.ips.length > 0 ? outcome.ips : (before?.ips ?? []),
    ...movedAt(before, outcome.ips, nowMs),
  };
}

function sharesNone(before: readonly string[], now: readonly string[]): boolean {
  return before.length > 0 && now.length > 0 && !now.some((ip) => before.includes(ip));
}

function movedAt(
  before: Health | undefined,
  ips: readonly string[],
  nowMs: number,
): Pick<Health, 'movedAtMs'> {
  const isChanged =
    before !== undefined &&
    ips.length > 0 &&
    before.ips.length > 0 &&
    !isSameRow(before.ips, ips) &&
    String(before.ips.toSorted()) !== String(ips.toSorted());
  const movedAtMs = isChanged ? nowMs : before?.movedAtMs;
  return movedAtMs === undefined ? {} : { movedAtMs };
}

/** The usual case, known without a copy. */
function isSameRow(before: readonly string[], now: readonly string[]): boolean {
  return before.length === now.length && now.every((ip, place) => ip === before[place]);
}

/** What falls and returns leave behind. */
function historyOf(
  before: Health | undefined,
  verdict: Health['verdict'],
  settings: JudgeSettings,
  nowMs: number,
): Pick<Health, 'returnedAtMs' | 'damping'> {
  const fell = before?.verdict === 'up' && verdict === 'down';
  const damping = fell
    ? punish(before.damping, settings.damping ?? defaultDamping, nowMs)
    : before?.damping;
  const returned = before?.verdict === 'down' && verdict === 'up' ? nowMs : before?.returnedAtMs;
  return {
    ...(returned === undefined ? {} : { returnedAtMs: returned }),
    ...(damping === undefined ? {} : { damping }),
  };
}

/**
 * A sign that something is wrong (a connection that broke, an ack that is late) is worth one bad
 * answer, and never the last one: what makes a manager dead is a probe.
 */
export function judgeSign(
  before: Health,
  sign: string,
  { fall }: JudgeSettings,
  nowMs: number,
): Health {
  if (before.verdict === 'down' || fall < 2) return before;
  const streak = before.lastKind === 'dead' ? before.streak : 0;
  return {
    ...before,
    lastKind: 'dead',
    streak: Math.min(fall - 1, streak + 1),
    probedAtMs: nowMs,
    seen: sign,
  };
}

/** Timers of this process were late by so much: it cannot tell a slow manager from itself. */
export const maxOwnLagMs = 200;

/**
 * May this outcome count? An answer, and a refusal, prove themselves; silence proves nothing when
 * this process was not there to hear (Lifeguard, trust-and-safety 4.2).
 */
export function mayVote(outcome: ProbeOutcome, ownLagMs: number): boolean {
  if (outcome.kind === 'alive' || outcome.failure === 'refused') return true;
  return ownLagMs <= maxOwnLagMs;
}

function nextVerdict(
  before: Health['verdict'],
  kind: ProbeOutcome['kind'],
  streak: number,
  { rise, fall }: JudgeSettings,
): Health['verdict'] {
  if (kind === 'dead') return streak >= fall ? 'down' : before;
  if (before === 'unknown') return 'up';
  return streak >= rise ? 'up' : before;
}

function describeOutcome(outcome: ProbeOutcome): string {
  if (outcome.kind === 'alive') return `answered in ${outcome.tookMs.toFixed(1)} ms`;
  return `${failureTexts[outcome.failure]} (${outcome.detail})`;
}

/** The publisher's word and our own probes as one verdict; a dead manager is dead even when draining. */
export function verdictOf(state: ManagerState, health: Health | undefined): Verdict {
  if (state === 'down') return 'down';
  const probed = health?.verdict ?? 'unknown';
  return state === 'drain' && probed === 'up' ? 'draining' : probed;
}

export interface PanicSettings {
  /** Per cent of the managers that may look dead before this host doubts itself. */
  readonly panicPct: number;
  /** How long the doubt lasts after the youngest death, when some manager does answer. */
  readonly doubtMs: number;
}

/**
 * More than `panicPct` of the managers, and more than one, look dead at once: suspect this host
 * (link, DNS, an overloaded machine) rather than the managers.
 */
export function suspectsHere(
  healths: readonly (Health | undefined)[],
  settings: PanicSettings,
  nowMs: number,
): boolean {
  return nowMs < doubtEndsAtMs(healths, settings, nowMs);
}

/**
 * When the doubt about this host is over; 0 without any. An agent must not stay with a dead manager
 * because most of them really died, so what the managers that are up show decides:
 * - nobody is up: no end, there is nowhere to go;
 * - one answered after the youngest death: link and machine work, the dead are dead: no doubt;
 * - the dead are many by faults of this host alone (no address, no route), or nobody has answered
 *   since: until `doubtMs` after the youngest death.
 * A death that lies further ahead than a doubt lasts is from before the clock was set back: nothing
 * could answer after it, so it counts as long ago.
 */
export function doubtEndsAtMs(
  healths: readonly (Health | undefined)[],
  { panicPct, doubtMs }: PanicSettings,
  nowMs: number,
): number {
  const dead = healths.flatMap((health) => (health?.verdict === 'down' ? [health] : []));
  const isMost = (some: readonly Health[]): boolean =>
    some.length > 1 && some.length * 100 > healths.length * panicPct;
  if (!isMost(dead)) return 0;
  const up = healths.flatMap((health) => (health?.verdict === 'up' ? [health] : []));
  if (up.length === 0) return Number.POSITIVE_INFINITY;
  const deathsAtMs = dead.map(({ sinceAtMs }) => (sinceAtMs > nowMs + doubtMs ? 0 : sinceAtMs));
  const youngestAtMs = Math.max(...deathsAtMs);
  const hasWitness = up.some(
    ({ lastKind, probedAtMs }) => lastKind === 'alive' && probedAtMs > youngestAtMs,
  );
  const isOwnFault = isMost(dead.filter(({ failure }) => failure && ownFaults.has(failure)));
  return hasWitness && !isOwnFault ? 0 : youngestAtMs + doubtMs;
}

/** A name server, a route or this process may fail as well as the manager. */
const ownFaults: ReadonlySet<ProbeFailure> = new Set(['unresolved', 'unreachable', 'failed']);
