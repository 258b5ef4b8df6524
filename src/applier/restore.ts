/**
 * Going back on purpose, always by an operator on this host, never through the spool: to a backup
 * generation as a whole, or to the connection sections that stood there before us (uninstall).
 */
import { dialectOf } from '../agent-config/dialect.ts';
import { extractClientSections, restoreClientSections } from '../agent-config/original.ts';
import { sha256Tag } from '../bytes.ts';
import { AgentError, HostError } from '../errors.ts';
import type { AgentFacts } from '../wazuh/agent-facts.ts';
import { account } from './account.ts';
import { readyAgent } from './agent-ready.ts';
import { readServers } from './draft.ts';
import { precheck } from './precheck.ts';
import { moveOnce, type OneMove, rememberDown } from './remember-move.ts';
import type { ApplyResult } from './result.ts';
import type { Run } from './run.ts';
import { remember, settle } from './standing.ts';
import type { ApplierWorld } from './world.ts';

export type RestoreTarget =
  /** `1` is what stood there before our last write. */
  | { readonly kind: 'generation'; readonly generation: number }
  /** `<client>` and `<agent>` as they were before our first write; everything else stays. */
  | { readonly kind: 'original' };

/** Never throws for a failure with a code, as `apply`. `move` restarts the agent afterwards. */
export async function restore(
  world: ApplierWorld,
  target: RestoreTarget,
  move: boolean,
): Promise<ApplyResult> {
  return account(world, async (run) => {
    const { progress } = run;
    progress.notes.push(...(await world.file.recover()));
    const facts = await readyAgent(world);
    const before = await world.file.read();
    const bytes = await wantedBytes(world, target, before.bytes, facts);
    const written = { servers: readServers(bytes, facts.version).servers, hash: sha256Tag(bytes) };
    progress.beforeHash = before.hash;
    progress.servers = written.servers;
    progress.afterHash = written.hash;
    if (before.hash === written.hash) return { outcome: 'unchanged' };
    await precheck(world, before.bytes, bytes);
    const met = { servers: readServers(before.bytes, facts.version).servers, hash: before.hash };
    await remember(run, { written: met, intended: written });
    progress.notes.push(...(await world.file.replace(before, bytes)).notes);
    if (move && facts.running) await restartIn(run, { facts, config: bytes, purse: 'normal' });
    await settle(run, written);
    return { outcome: 'restored' };
  });
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
    if (run.memory.unfinishedSinceMs === undefined || facts.running) {
      return { outcome: 'unchanged' };
    }
    const { bytes, hash } = await world.file.read();
    const { servers } = readServers(bytes, facts.version);
    progress.servers = servers;
    progress.afterHash = hash;
    const connected = await restartIn(run, { facts, config: bytes, purse: 'urgent' });
    if (connected) return { outcome: 'moved' };
    return {
      outcome: 'held',
      reason: new AgentError('not_connected', 'the agent did not connect'),
    };
  });
}

async function restartIn(run: Run, order: OneMove): Promise<boolean> {
  const moved = await moveOnce(run, order);
  run.progress.connected = moved.verdict.kind === 'connected';
  if (run.progress.connected) await remember(run, {}, ['unfinishedSinceMs']);
  await rememberDown(run, moved);
  return run.progress.connected;
}

async function wantedBytes(
  world: ApplierWorld,
  target: RestoreTarget,
  current: Uint8Array,
  facts: AgentFacts,
): Promise<Uint8Array> {
  if (target.kind === 'generation') return world.backups.read(target.generation);
  const original = await world.backups.readOriginal();
  if (original === undefined) {
    throw new HostError(
      'not_found',
      'nothing was ever written by us: there is no original to restore',
    );
  }
  const dialect = dialectOf(facts.version);
  return restoreClientSections(current, extractClientSections(original, dialect), dialect);
}
