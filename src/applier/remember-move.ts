/** The move inside one apply: is it needed, may it be spent, and what follows from how it ended. */
import { AgentError, HostError, PilotfishError } from '../errors.ts';
import type { AgentFacts } from '../wazuh/agent-facts.ts';
import { readyAgent } from './agent-ready.ts';
import { forgetOld, judgeBudget, judgeUrgentBudget, type Purse, type Restart } from './budget.ts';
import { confirmBudgetMs, talksToOneOf } from './confirm.ts';
import { type Draft, readServers } from './draft.ts';
import { isLost } from './lost.ts';
import type { Written } from './memory.ts';
import { type Moved, moveAgent } from './move.ts';
import type { ApplyRequest } from './request.ts';
import type { Earlier, End, Run, Situation } from './run.ts';
import { remember, rememberIfPossible, settle, withBadChoice } from './standing.ts';
import { unconfirmedWrite } from './unconfirmed.ts';

/**
 * A stopped agent is started only if we stopped it or if it could not have run with its file;
 * one that its operator stopped stays stopped. A connected one that provably talks to the first
 * entry has nothing to gain from a restart.
 */
export function needsMove(
  run: Run,
  { move: wished, renew = false }: Pick<ApplyRequest, 'move' | 'renew'>,
  { facts, draft }: Pick<Situation, 'facts' | 'draft'>,
): boolean {
  const interrupted = run.memory.unfinishedSinceMs !== undefined;
  if (!facts.running) return interrupted || (wished && !draft.before.starts);
  if (!wished) return false;
  return draft.changed || renew || !talksToFirst(facts, draft);
}

function talksToFirst(facts: AgentFacts, draft: Draft): boolean {
  const [first] = draft.after.servers;
  const literal = first !== undefined && /^[\d.]+$|:/.test(first.address);
  return literal && !facts.waiting && talksToOneOf(facts.peers, [first]);
}

/** budget -> restart and watch -> moved | kept | restored */
export async function moveAndRemember(run: Run, situation: Situation): Promise<End> {
  const { draft } = situation;
  const facts = await readyAgent(run.world); // an upgrade may have begun meanwhile
  const written = { servers: draft.after.servers, hash: draft.hash };
  const purse = openPurse(run, facts, situation);
  if (purse instanceof PilotfishError) {
    await settle(run, written);
    return { outcome: 'held', reason: purse };
  }
  await markUnfinished(run);
  const moved = await moveOnce(run, { facts, config: draft.bytes, purse });
  if (moved.verdict.kind === 'connected') {
    run.progress.connected = true;
    await settle(run, written);
    return { outcome: 'moved' };
  }
  const failure = failureOf(moved);
  if (moved.verdict.kind === 'given_up') {
    run.progress.notes.push('given up for another choice before the agent was connected');
    await settle(run, written);
    return { outcome: 'written', reason: failure };
  }
  const back = backOf(situation);
  if (back === undefined || !(await mayRestore(run, { back, draft }, moved))) {
    await settle(run, written, isDown(moved));
    return { outcome: draft.changed ? 'written' : 'held', reason: failure };
  }
  return putBack(run, { written, back, purse }, failure);
}

/** What this run replaced, else what an interrupted one did. */
function backOf({ before, draft, earlier }: Situation): Earlier | undefined {
  if (earlier !== undefined || !draft.changed) return earlier;
  return { bytes: before.bytes, hash: before.hash, reading: draft.before };
}

/** An agent that did not come up after our restart is ours to start: the next run tries again. */
export function isDown({ verdict }: Moved): boolean {
  return verdict.kind === 'fault';
}

/**
 * Before the agent is stopped. A mark that stands already costs no write: whoever finishes an
 * interrupted move does so on a full disk too.
 */
export async function markUnfinished(run: Run): Promise<void> {
  if (run.memory.unfinishedSinceMs !== undefined) return;
  await remember(run, { unfinishedSinceMs: run.world.clock.nowMs() });
}

export interface OneMove {
  readonly facts: AgentFacts;
  readonly config: Uint8Array;
  readonly purse: Purse;
}

/** Restarts in the file as it is, spends the budget, keeps the account. */
export async function moveOnce(run: Run, { facts, config, purse }: OneMove): Promise<Moved> {
  const { servers, walk } = readServers(config, facts.version);
  const budgetMs = confirmBudgetMs(walk, run.world.settings.maxConfirmMs);
  const { isGivenUp } = run;
  const order = { facts, config, servers, budgetMs, purse, isGivenUp };
  const moved = await moveAgent(run.world, order);
  const { progress } = run;
  progress.restarts += moved.restarts.length;
  progress.notes.push(...moved.notes);
  if (moved.awayMs !== undefined) progress.awayMs = (progress.awayMs ?? 0) + moved.awayMs;
  await rememberIfPossible(run, { restarts: spend(run, moved.restarts) });
  run.world.log.info('apply.restarted', {
    verdict: moved.verdict.kind,
    awayMs: moved.awayMs,
    restarts: moved.restarts.length,
  });
  return moved;
}

function spend(run: Run, restarts: readonly Restart[]): readonly Restart[] {
  return [...forgetOld(run.memory.restarts, run.world.clock.nowMs()), ...restarts].slice(
    -maxStamps,
  );
}

/** More than the defaults allow in a day. */
const maxStamps = 1_024;

/** What this restart is spent from; starting an agent that does not run asks nobody. */
function openPurse(
  run: Run,
  facts: AgentFacts,
  { draft, urgent }: Situation,
): Purse | PilotfishError {
  if (!facts.running) return 'urgent';
  const { clock, settings } = run.world;
  const nowMs = clock.nowMs();
  const { restarts } = run.memory;
  const inNeed = urgent || isLost(facts, draft.before.notifySec, nowMs);
  const verdict = inNeed
    ? judgeUrgentBudget(restarts, settings, nowMs)
    : { ...judgeBudget(restarts, settings, nowMs), purse: 'normal' as const };
  if (verdict.kind === 'allowed') return verdict.purse;
  const until = new Date(verdict.untilMs).toISOString();
  return new HostError('restart_budget', `${verdict.why}; the next one is free at ${until}`);
}

export function failureOf(moved: Moved): PilotfishError {
  const seen =
    moved.verdict.kind === 'fault'
      ? `the agent did not stay up: ${moved.verdict.why}`
      : 'the agent runs but did not connect in time';
  return new AgentError('not_connected', seen);
}

/** A broken agent always; a merely unconnected one only if the old managers answer better. */
async function mayRestore(
  run: Run,
  { back, draft }: Pick<Situation, 'draft'> & { readonly back: Earlier },
  moved: Moved,
): Promise<boolean> {
  if (!back.reading.starts) return false;
  if (moved.verdict.kind === 'fault') return true;
  const { countHealthy } = run.world;
  if (countHealthy === undefined) return false;
  const [old, fresh] = [back.reading.servers, draft.after.servers];
  const [oldUp, freshUp] = [await countHealthy(old), await countHealthy(fresh)];
  return oldUp / old.length > freshUp / Math.max(1, fresh.length);
}

export interface WayBack {
  /** The file as it is now. */
  readonly written: Written;
  readonly back: Earlier;
  readonly purse: Purse;
}

/**
 * The previous bytes, a restart that no budget forbids, and the choice marked bad. The mark comes
 * first: who finds this cut off finishes it, and does not try the choice once more.
 */
export async function putBack(run: Run, way: WayBack, reason: PilotfishError): Promise<End> {
  const { written } = way;
  const badChoices = withBadChoice(run, written.servers);
  await rememberIfPossible(run, { badChoices, intended: { ...written, isBad: true } });
  return undo(run, way, reason);
}

/**
 * What a kill, or a disk that took nothing, left of a putting back. Undefined: nothing, or the agent
 * is connected with the file as it is, or that is somebody else's by now.
 */
export async function finishPutBack(run: Run, facts: AgentFacts): Promise<End | undefined> {
  const { intended, written } = run.memory;
  if (intended?.isBad !== true) return undefined;
  const { bytes, hash } = await run.world.file.read();
  const reading = readServers(bytes, facts.version);
  const reason = new AgentError('not_connected', 'what was tried before had to be undone first');
  const back = await unconfirmedWrite(run, hash, facts.version);
  const isConnected = facts.running && !facts.waiting && talksToOneOf(facts.peers, reading.servers);
  if (back !== undefined && !isConnected) {
    return undo(run, { written: intended, back, purse: 'urgent' }, reason);
  }
  if (hash === written?.hash && !isConnected) {
    return restartBack(run, { bytes, hash, reading }, 'urgent', reason);
  }
  const isOurs = hash === intended.hash || hash === written?.hash;
  await settle(run, isOurs ? { servers: reading.servers, hash } : intended, !facts.running);
  return undefined;
}

async function undo(
  run: Run,
  { written, back, purse }: WayBack,
  reason: PilotfishError,
): Promise<End> {
  const { world, progress } = run;
  try {
    const current = await world.file.read();
    if (current.hash !== written.hash) {
      throw new AgentError('changed_meanwhile', 'somebody changed the file since: not restored');
    }
    await world.file.replace(current, back.bytes);
  } catch (error) {
    if (!(error instanceof PilotfishError)) throw error;
    progress.notes.push(`not restored: ${error.message}`); // the mark stands: tried again
    return { outcome: 'written', reason };
  }
  return restartBack(run, back, purse, reason);
}

async function restartBack(
  run: Run,
  { bytes, hash, reading: { servers } }: Earlier,
  purse: Purse,
  reason: PilotfishError,
): Promise<End> {
  const { world, progress } = run;
  progress.servers = servers;
  progress.afterHash = hash;
  const facts = await world.agent.readFacts();
  const moved = await moveOnce(run, { facts, config: bytes, purse });
  progress.connected = moved.verdict.kind === 'connected';
  await settle(run, { servers, hash }, isDown(moved));
  world.log.warn('apply.restored', { connected: progress.connected, code: reason.code });
  return { outcome: 'restored', reason };
}
