/** Is there an agent that may be touched now? */
import { AgentError } from '../errors.ts';
import type { AgentFacts } from '../wazuh/agent-facts.ts';
import type { ApplierWorld } from './world.ts';

/** Throws AgentError `not_found` without an agent, `upgrade_running` while one is upgraded. */
export async function readyAgent(world: ApplierWorld): Promise<AgentFacts> {
  const facts = await world.agent.readFacts();
  if (!facts.installed) {
    throw new AgentError('not_found', `there is no agent in ${world.home.home}`);
  }
  if (facts.upgrade !== undefined) {
    throw new AgentError(
      'upgrade_running',
      `an upgrade of the agent is under way: ${facts.upgrade}`,
    );
  }
  return facts;
}
