/**
 * Going back on purpose, always on this host, never through the spool: to a backup generation as a
 * whole, or to the connection sections that stood there before us (uninstall). What an operator
 * put back is not overwritten by the list that was known then; see `endRestore`.
 */
import { dialectOf } from '../agent-config/dialect.ts';
import { extractClientSections, restoreClientSections } from '../agent-config/original.ts';
import { readConfig } from '../agent-config/servers.ts';
import { sha256Tag } from '../bytes.ts';
import { AgentError, HostError, PilotfishError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import type { Position } from '../list/model.ts';
import { comparePositions } from '../list/position.ts';
import type { AgentFacts } from '../wazuh/agent-facts.ts';
import { account } from './account.ts';
import { readyAgent } from './agent-ready.ts';
import type { ConfigSnapshot } from './config-file.ts';
import { readServers } from './draft.ts';
import type { ApplierMemory } from './memory.ts';
import type { Moved } from './move.ts';
import { precheck } from './precheck.ts';
import {
  failureOf,
  finishPutBack,
  isDown,
  markUnfinished,
  moveOnce,
  type OneMove,
  putBack,
} from './remember-move.ts';
import { planModulesd, runRestart } from './restart.ts';
import type { ApplyResult } from './result.ts';
import type { End, Run } from './run.ts';
import { remember, settle } from './standing.ts';
import { unconfirmedWrite } from './unconfirmed.ts';
import type { ApplierWorld } from './world.ts';

export type RestoreTarget =
  /** `1` is what stood there before our last write. */
  | { readonly kind: 'generation'; readonly generation: number }
  /** `<client>` and `<agent>` as they were before our first write; everything else stays. */
  | { readonly kind: 'original' };

/**
 * By an operator. Never throws for a failure with a code, as `apply`. `move` restarts the agent
 * afterwards. `newest` is the newest list known on this host, should the applier not know it yet.
 */
export function restore(
  world: ApplierWorld,
  target: RestoreTarget,
  move: boolean,
  newest?: Position,
): Promise<ApplyResult> {
  return account(world, async (run) => {
    const facts = await readyAgent(world);
    return heldAfterwards(run, newest, () => putTarget(run, facts, { target, move }));
  });
}

/** The hold comes first: after a kill the next cycle must not undo what the operator just did. */
async function heldAfterwards(
  run: Run,
  newest: Position | undefined,
  work: () => Promise<End>,
): Promise<End> {
  const { restoredAt } = run.memory;
  const undo = async (): Promise<void> =>
    restoredAt === undefined ? remember(run, {}, ['restoredAt']) : undefined;
  await remember(run, holdAfter(run.memory, newest));
  try {
    const end = await work();
    if (end.outcome !== 'restored') await undo();
    return end;
  } catch (error) {
    // A failure behind the write leaves the operator's file there: then it is held all the same.
    const now = await run.world.file.read().catch(() => undefined);
    const isWritten = now !== undefined && now.hash === run.progress.afterHash;
    if (error instanceof PilotfishError && !isWritten) await undo();
    throw error;
  }
}

/** By the sidecar, when somebody removed the file: the newest backup, else `unchanged`. */
export function restoreMissing(world: ApplierWorld): Promise<ApplyResult> {
  return account(world, async (run) => {
    const facts = await readyAgent(world);
    if ((await readIfThere(run)) !== undefined) return { outcome: 'unchanged' };
    const target = { kind: 'generation', generation: 1 } as const;
    return putTarget(run, facts, { target, move: false });
  });
}

/** `pilotfish resume`: lists are written again, the known one included. */
export function endRestore(world: ApplierWorld): Promise<ApplyResult> {
  return account(world, async (run) => {
    if (run.memory.restoredAt !== undefined) await remember(run, {}, ['restoredAt']);
    return { outcome: 'unchanged' };
  });
}

function holdAfter(
  { trust: { known } }: ApplierMemory,
  newest: Position | undefined,
): Pick<ApplierMemory, 'restoredAt'> {
  const [restoredAt] = [known?.position, newest]
    .filter((position) => position !== undefined)
    .toSorted((left, right) => comparePositions(right, left));
  return restoredAt === undefined ? {} : { restoredAt };
}

interface Order {
  readonly target: RestoreTarget;
  readonly move: boolean;
}

async function putTarget(run: Run, facts: AgentFacts, order: Order): Promise<End> {
  const end = await putBytes(run, facts, order);
  if (order.target.kind === 'original') await forgetOriginal(run);
  return end;
}

/** One that stays is put back once more some day, whatever the operator wrote since. */
async function forgetOriginal({ world, progress }: Run): Promise<void> {
  await world.backups.forgetOriginal().catch((error: unknown) => {
    progress.notes.push(`the original is still kept: ${messageOf(error)}`);
  });
}

async function putBytes(run: Run, facts: AgentFacts, { target, move }: Order): Promise<End> {
  const { world, progress } = run;
  const before = await readIfThere(run);
  const bytes = await wantedBytes(world, target, before?.bytes, facts);
  const written = { servers: readServers(bytes, facts.version).servers, hash: sha256Tag(bytes) };
  if (before !== undefined) progress.beforeHash = before.hash;
  progress.servers = written.servers;
  progress.afterHash = written.hash;
  if (before?.hash === written.hash) return { outcome: 'unchanged' };
  if (before === undefined) await createFile(run, bytes);
  else await replaceFile(run, facts, before, bytes);
  const isRestarted = move && facts.running;
  const order = { facts, config: bytes, purse: 'normal' } as const;
  const isStillDown = isRestarted && isDown(await restartIn(run, order));
  await settle(run, written, isStillDown);
  return { outcome: 'restored' };
}

async function replaceFile(
  run: Run,
  facts: AgentFacts,
  before: ConfigSnapshot,
  bytes: Uint8Array,
): Promise<void> {
  const { world, progress } = run;
  const { version } = facts;
  refuseUnreadable(version, before.bytes, bytes);
  await precheck(world, before.bytes, bytes);
  await remember(run, {
    written: { servers: readServers(before.bytes, version).servers, hash: before.hash },
    intended: {
      servers: readServers(bytes, version).servers,
      hash: sha256Tag(bytes),
      byOperator: true,
    },
    ...(before.owner === undefined ? {} : { owner: before.owner }),
  });
  progress.notes.push(...(await world.file.replace(before, bytes)).notes);
}

/**
 * A backup may be older than the agent, and a section of 4.x stops one of 5.x. Throws AgentError
 * `agent_refuses` where the file as it stands is better.
 */
function refuseUnreadable(
  version: string | undefined,
  before: Uint8Array,
  bytes: Uint8Array,
): void {
  const dialect = dialectOf(version);
  const reading = readConfig(bytes, dialect);
  if (reading.kind !== 'refused' || readConfig(before, dialect).kind === 'refused') return;
  const { line, said } = reading.problem;
  throw new AgentError(
    'agent_refuses',
    `an agent of ${version} does not read it: line ${line}: ${said}`,
  );
}

/** No agent starts without its file, so a doubtful one is better than none and only noted. */
async function createFile(run: Run, bytes: Uint8Array): Promise<void> {
  const { world, progress } = run;
  const verdict = await world.preflight.test(bytes);
  if (verdict.kind === 'rejected') progress.notes.push(`the agent rejects it: ${verdict.why}`);
  progress.notes.push('ossec.conf was missing');
  progress.notes.push(...(await world.file.create(bytes, run.memory.owner)).notes);
}

/** Undefined when the file is gone. */
async function readIfThere({ world, progress }: Run): Promise<ConfigSnapshot | undefined> {
  try {
    progress.notes.push(...(await world.file.recover()));
    return await world.file.read();
  } catch (error) {
    if (error instanceof AgentError && error.reason === 'not_found') return undefined;
    throw error;
  }
}

/**
 * To be called when the applier starts: finishes what a kill interrupted. An agent that we had
 * stopped is started; a half-written bind-mounted file is made whole. `unchanged` = nothing to do.
 */
export async function resume(world: ApplierWorld): Promise<ApplyResult> {
  return account(world, async (run) => {
    const { progress } = run;
    progress.notes.push(...(await world.file.recover()));
    const facts = await readyAgent(world);
    const undone = await finishPutBack(run, facts);
    if (undone !== undefined) return undone;
    if (run.memory.unfinishedSinceMs === undefined) return { outcome: 'unchanged' };
    if (facts.running) {
      await startModulesd(run, facts);
      return { outcome: 'unchanged' };
    }
    return startStopped(run, facts);
  });
}

/**
 * An agent that we stopped, in the file as it is; one that exits with what nobody confirmed goes back.
 */
export async function startStopped(run: Run, facts: AgentFacts): Promise<End> {
  const { world, progress } = run;
  const { bytes, hash } = await world.file.read();
  const { servers } = readServers(bytes, facts.version);
  progress.servers = servers;
  progress.afterHash = hash;
  const back = await unconfirmedWrite(run, hash, facts.version);
  const moved = await restartIn(run, { facts, config: bytes, purse: 'urgent' });
  if (progress.connected) return { outcome: 'moved' };
  if (isDown(moved) && back?.reading.starts === true) {
    const { known } = run.memory.trust;
    if (known !== undefined) progress.listHash = known.hash; // names the choice that failed
    const way = { written: { servers, hash }, back, purse: 'urgent' } as const;
    return putBack(run, way, failureOf(moved));
  }
  const reason = new AgentError('not_connected', 'the agent did not connect');
  return { outcome: 'held', reason };
}

/** Stopped for a restart of its own, right after that of agentd: nobody else would start it. */
async function startModulesd({ world, progress }: Run, facts: AgentFacts): Promise<void> {
  const { home, settings, control, clock } = world;
  const tag = String(Math.floor(clock.nowMs()));
  const plan = planModulesd({ facts, home, settings, deafModules: [], tag });
  if (plan === undefined || (await control.isRunning('modulesd'))) return;
  await runRestart(control, plan, settings.commandTimeoutMs);
  progress.notes.push('modulesd was stopped by an interrupted restart: started');
}

async function restartIn(run: Run, order: OneMove): Promise<Moved> {
  await markUnfinished(run);
  const moved = await moveOnce(run, order);
  run.progress.connected = moved.verdict.kind === 'connected';
  if (run.progress.connected) await remember(run, {}, ['unfinishedSinceMs']);
  return moved;
}

/** Without a file to put the old sections into, the original stands for itself. */
async function wantedBytes(
  world: ApplierWorld,
  target: RestoreTarget,
  current: Uint8Array | undefined,
  facts: AgentFacts,
): Promise<Uint8Array> {
  if (target.kind === 'generation') return world.backups.read(target.generation);
  const original = await world.backups.readOriginal();
  if (original === undefined) {
    throw new HostError(
      'not_found',
      'there is no original to restore: nothing of ours was written, or it was put back already',
    );
  }
  if (current === undefined) return original;
  const dialect = dialectOf(facts.version);
  // From before an upgrade: its sections are put back although its other ones stop this agent.
  const itsDialect = readConfig(original, dialect).kind === 'refused' ? '4' : dialect;
  return restoreClientSections(current, extractClientSections(original, itsDialect), dialect);
}
