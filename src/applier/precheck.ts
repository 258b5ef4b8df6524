/**
 * The agent's own word on the new file before anything is replaced (agent-side.md 4.5, case 94).
 * Only when it rejects the new file is the old one tested too: it tells whose fault it is.
 */
import { AgentError } from '../errors.ts';
import type { ApplierWorld } from './world.ts';

/** Throws AgentError `agent_refuses` (ours is wrong) or `config_unparseable` (it was wrong before). */
export async function precheck(
  world: Pick<ApplierWorld, 'preflight' | 'log'>,
  before: Uint8Array,
  after: Uint8Array,
): Promise<void> {
  const verdict = await world.preflight.test(after);
  if (verdict.kind === 'unknown') world.log.info('apply.preflight_unknown', { why: verdict.why });
  if (verdict.kind !== 'rejected') return;
  const old = await world.preflight.test(before);
  if (old.kind === 'rejected') {
    const seen = `the agent already rejects the file as it stands: ${old.why}`;
    throw new AgentError('config_unparseable', seen);
  }
  throw new AgentError('agent_refuses', `the agent would reject the new file: ${verdict.why}`);
}

/** Before a restart in a file that we do not change: a running agent must be able to come back. */
export async function precheckRestart(
  world: Pick<ApplierWorld, 'preflight'>,
  config: Uint8Array,
): Promise<void> {
  const verdict = await world.preflight.test(config);
  if (verdict.kind !== 'rejected') return;
  const seen = `not restarted, the agent would not start again with its file: ${verdict.why}`;
  throw new AgentError('config_unparseable', seen);
}
