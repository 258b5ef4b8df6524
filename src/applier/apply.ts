/**
 * The applier's main job. It believes nothing it is told: the list is verified again from bytes
 * against the applier's own state, the order must stay inside it, and everything else is the
 * applier's own configuration. A kill at any point is repaired by the next run: what is written is
 * whole, and `memory` knows what was intended.
 */
import { ConfigError, PilotfishError } from '../errors.ts';
import type { AgentFacts } from '../wazuh/agent-facts.ts';
import { account } from './account.ts';
import { readyAgent } from './agent-ready.ts';
import type { ConfigSnapshot } from './config-file.ts';
import { type Draft, draftConfig } from './draft.ts';
import { precheck, precheckRestart } from './precheck.ts';
import { finishPutBack, moveAndRemember, needsMove } from './remember-move.ts';
import type { ApplyRequest } from './request.ts';
import { startStopped } from './restore.ts';
import type { ApplyResult } from './result.ts';
import type { End, GiveUp, Run } from './run.ts';
import {
  badChoice,
  remember,
  rememberIfPossible,
  respectRestore,
  settle,
  settleForeign,
} from './standing.ts';
import { unconfirmedWrite } from './unconfirmed.ts';
import { followRoots, type Proven, verifyAgain } from './verify-again.ts';
import { chooseServers, makeWish } from './wanted.ts';
import type { ApplierWorld } from './world.ts';

/**
 * Never throws for a failure with a code: that is a result, `refused` or `held`. An abort is heard
 * only while the agent is watched, never between two steps of a write or restart: the result is
 * then `written` with `not_connected`, and the choice is not held against anybody.
 */
export function apply(
  world: ApplierWorld,
  request: ApplyRequest,
  signal?: AbortSignal,
): Promise<ApplyResult> {
  const isGivenUp = async (): Promise<boolean> => signal?.aborted ?? false;
  return applyUnless(world, request, isGivenUp);
}

/** `apply` whose asker may change its mind by other means than a signal. */
export function applyUnless(
  world: ApplierWorld,
  request: ApplyRequest,
  isGivenUp: GiveUp,
): Promise<ApplyResult> {
  return account(world, (run) => applyUnderLock(run, request), isGivenUp);
}

/** request -> verify again -> render -> pre-check -> replace -> restart, confirm -> remember | restore */
async function applyUnderLock(run: Run, request: ApplyRequest): Promise<End> {
  const { world, progress } = run;
  const followed = await followRoots(request, run.memory.trust);
  if (followed !== run.memory.trust) await remember(run, { trust: followed });
  const proven = await verifyAgain(request, {
    trust: run.memory.trust,
    audience: { group: world.settings.group, site: world.settings.site },
    zone: { name: world.settings.zone },
    nowMs: world.clock.nowMs(),
  });
  await rememberTrust(run, proven);
  await respectRestore(run, proven.position);
  progress.notes.push(...(await world.file.recover()));
  const facts = await readyAgent(world);
  const undone = await finishPutBack(run, facts);
  if (undone !== undefined) return undone;
  const before = await world.file.read();
  const draft = render(run, { proven, request, facts, before });
  const earlier = await unconfirmedWrite(run, before.hash, facts.version);
  const urgent = request.urgent ?? false;
  const bad = badChoice(run, draft, urgent);
  if (bad !== undefined) {
    const isOurs = !facts.running && run.memory.unfinishedSinceMs !== undefined;
    if (isOurs && request.move) return startStopped(run, facts);
    throw bad;
  }
  await settleForeign(run, draft);
  const move = needsMove(run, request, { facts, draft });
  if (draft.changed) {
    await precheck(world, before.bytes, draft.bytes);
    await write(run, before, draft, move);
  } else if (move && facts.running) {
    await precheckRestart(world, before.bytes);
  }
  if (move) return moveAndRemember(run, { facts, before, draft, earlier, urgent });
  await settle(run, { servers: draft.after.servers, hash: draft.hash });
  return { outcome: draft.changed ? 'written' : 'unchanged' };
}

async function rememberTrust(run: Run, proven: Proven): Promise<void> {
  run.progress.position = proven.position;
  run.progress.listHash = proven.listHash;
  if (proven.advanced) await remember(run, { trust: proven.trust });
}

interface Ingredients {
  readonly proven: Proven;
  readonly request: ApplyRequest;
  readonly facts: AgentFacts;
  readonly before: ConfigSnapshot;
}

function render(run: Run, { proven, request, facts, before }: Ingredients): Draft {
  const { settings } = run.world;
  run.progress.beforeHash = before.hash;
  run.progress.afterHash = before.hash;
  const servers = chooseServers(proven.list, request, settings);
  const agentVersion = facts.version;
  const draftWith = (tuned: boolean): Draft =>
    draftConfig(before.bytes, agentVersion, (present) => {
      const wish = makeWish(proven.list, servers, settings, { agentVersion, present });
      return tuned ? wish : { ...wish, tuning: {} };
    });
  const draft = draftAnyhow(run, request, draftWith);
  run.progress.servers = draft.before.servers;
  return draft;
}

/**
 * Tuning that does not fit this file must not keep its agent from a living manager: the list goes in
 * without it. A request that would change nothing but tuning is refused all the same.
 */
function draftAnyhow(
  { progress }: Run,
  { move }: ApplyRequest,
  draftWith: (tuned: boolean) => Draft,
): Draft {
  try {
    return draftWith(true);
  } catch (error) {
    if (!(error instanceof ConfigError) || error.reason !== 'config_invalid') throw error;
    const draft = draftWith(false);
    if (!draft.changed && !move) throw error;
    progress.notes.push(`tuning left as it is: ${error.message}`);
    return draft;
  }
}

/** Intent first: after a kill, old and new entries both count as ours. */
async function write(run: Run, before: ConfigSnapshot, draft: Draft, move: boolean): Promise<void> {
  const { world, progress } = run;
  const nowMs = world.clock.nowMs();
  const isFirstMark = move && run.memory.unfinishedSinceMs === undefined;
  await remember(run, {
    written: { servers: draft.before.servers, hash: before.hash },
    intended: { servers: draft.after.servers, hash: draft.hash },
    ...(before.owner === undefined ? {} : { owner: before.owner }),
    ...(move ? { unfinishedSinceMs: nowMs } : {}),
  });
  const { notes } = await world.file.replace(before, draft.bytes).catch(async (error: unknown) => {
    // Nothing was stopped: an agent that is found stopped later was stopped by its operator.
    if (isFirstMark && error instanceof PilotfishError) {
      await rememberIfPossible(run, {}, ['unfinishedSinceMs']);
    }
    throw error;
  });
  progress.notes.push(...notes);
  progress.servers = draft.after.servers;
  progress.afterHash = draft.hash;
  world.log.info('apply.written', { hash: draft.hash, servers: draft.after.servers.length });
}
