/** Where we stand from earlier runs: choices that failed, edits by others, what is remembered. */
import { encodeUtf8, sha256Tag } from '../bytes.ts';
import { AgentError, PilotfishError } from '../errors.ts';
import type { Position } from '../list/model.ts';
import { comparePositions } from '../list/position.ts';
import type { Draft } from './draft.ts';
import { judgeForeign } from './foreign.ts';
import { type ApplierMemory, encodeMemory, type Written } from './memory.ts';
import type { WrittenServer } from './result.ts';
import type { Run } from './run.ts';

/** How long a choice that had to be undone is not tried again (E610). */
const badForMs = 24 * 3_600_000;
/** The same for an agent in need: what failed then may be all that is left, and well by now. */
const badInNeedMs = 3_600_000;
const maxBadChoices = 32;

/**
 * Instants that a clock ahead of this one left: from now on they are of now. Unless that is written
 * down they would be of now at every later look too, and never be over. The same object when all is well.
 */
export function atThisClock(memory: ApplierMemory, nowMs: number): ApplierMemory {
  const { restarts, badChoices } = memory;
  const latestMs = nowMs + badForMs;
  const isAhead =
    restarts.some(({ atMs }) => atMs > nowMs) || badChoices.some((one) => one.untilMs > latestMs);
  if (!isAhead) return memory;
  return {
    ...memory,
    restarts: restarts.map((one) => ({ ...one, atMs: Math.min(one.atMs, nowMs) })),
    badChoices: badChoices.map((one) => ({ ...one, untilMs: Math.min(one.untilMs, latestMs) })),
  };
}

/** What is under way; `forget` names members that are over. */
export async function remember(
  run: Run,
  news: Partial<ApplierMemory>,
  forget: readonly ('intended' | 'unfinishedSinceMs' | 'restoredAt')[] = [],
): Promise<void> {
  const next = { ...run.memory, ...news };
  for (const member of forget) delete next[member];
  run.memory = next;
  await run.world.memory.write(encodeMemory(next));
}

/**
 * As `remember`, while the agent may be down: what is not on disk costs an account, never the way
 * back. In mind it stands all the same, and the next write brings it.
 */
export async function rememberIfPossible(
  run: Run,
  news: Partial<ApplierMemory>,
  forget: readonly ('intended' | 'unfinishedSinceMs' | 'restoredAt')[] = [],
): Promise<void> {
  try {
    await remember(run, news, forget);
  } catch (error) {
    if (!(error instanceof PilotfishError)) throw error;
    run.progress.notes.push(`not remembered: ${error.message}`);
  }
}

/**
 * The file and our memory of it agree: nothing is under way any more, but for the start of an agent
 * that is down.
 */
export async function settle(run: Run, { servers, hash }: Written, isDown = false): Promise<void> {
  const { memory } = run;
  const over = memory.intended === undefined && (isDown || memory.unfinishedSinceMs === undefined);
  if (over && memory.written?.hash === hash && memory.foreign.accepted === undefined) return;
  const foreign = { revertsAtMs: memory.foreign.revertsAtMs }; // whoever comes next comes anew
  const forget = isDown ? (['intended'] as const) : (['intended', 'unfinishedSinceMs'] as const);
  await remember(run, { foreign, written: { servers, hash } }, forget);
}

/**
 * What an operator put back stays until a list that was unknown then, or until `resume`. Throws
 * AgentError `foreign_edit`.
 */
export async function respectRestore(run: Run, offered: Position): Promise<void> {
  const { restoredAt } = run.memory;
  if (restoredAt === undefined) return;
  if (comparePositions(offered, restoredAt) > 0) return remember(run, {}, ['restoredAt']);
  throw new AgentError(
    'foreign_edit',
    'restored by an operator: it stays until `pilotfish resume` or a newer list',
  );
}

/** AgentError `not_connected` while the very same choice is known to have failed. */
export function badChoice(run: Run, draft: Draft, inNeed: boolean): AgentError | undefined {
  const nowMs = run.world.clock.nowMs();
  const key = choiceKey(run, draft.after.servers);
  const bad = run.memory.badChoices.find((one) => one.key === key);
  const untilMs = (bad?.untilMs ?? 0) - (inNeed ? badForMs - badInNeedMs : 0);
  if (nowMs >= untilMs) return undefined;
  const until = new Date(untilMs).toISOString();
  const seen = `this order was tried and undone; not again before ${until}`;
  return new AgentError('not_connected', seen);
}

/** The memory of bad choices with this one in it. */
export function withBadChoice(
  run: Run,
  servers: readonly WrittenServer[],
): ApplierMemory['badChoices'] {
  const nowMs = run.world.clock.nowMs();
  const bad = { key: choiceKey(run, servers), untilMs: nowMs + badForMs };
  const still = run.memory.badChoices.filter(
    ({ key, untilMs }) => nowMs < untilMs && key !== bad.key,
  );
  return [...still, bad].slice(-maxBadChoices);
}

function choiceKey(run: Run, servers: readonly WrittenServer[]): string {
  return sha256Tag(encodeUtf8(JSON.stringify([run.progress.listHash, servers])));
}

/** Throws AgentError `foreign_edit` while somebody else's server entries must stand. */
export async function settleForeign(run: Run, draft: Draft): Promise<void> {
  const { settings, clock, log } = run.world;
  const { written, intended } = run.memory;
  const verdict = judgeForeign(run.memory.foreign, {
    written: [written, intended].flatMap((one) => (one === undefined ? [] : [one.servers])),
    present: draft.before.servers,
    wanted: draft.after.servers,
    policy: settings.foreign,
    alarmAfterReverts: settings.alarmAfterReverts,
    nowMs: clock.nowMs(),
  });
  if (JSON.stringify(verdict.memory) !== JSON.stringify(run.memory.foreign)) {
    await remember(run, { foreign: verdict.memory });
  }
  if (verdict.kind === 'ours') return;
  const reverts = verdict.memory.revertsAtMs.length;
  if (verdict.alarm) log.error('apply.foreign_alarm', { reverts, policy: settings.foreign });
  if (verdict.kind === 'hold') throw new AgentError('foreign_edit', verdict.why);
  run.progress.notes.push(`server entries were changed by somebody else (${reverts} today)`);
}
