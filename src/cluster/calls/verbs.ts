/**
 * The closed table of verbs: what a distributed call may name and what answers it. A name is
 * looked up here and nowhere else; what it does not hold is refused, whoever asks.
 */
import { messageOf } from '../../guards.ts';
import { fault } from '../wire/fault.ts';
import type { CallResult } from '../wire/result-json.ts';
import { faultOf, type Verb, type VerbContext } from './verb.ts';
import { agentVerbs } from './verbs-agents.ts';
import { clusterVerbs } from './verbs-cluster.ts';
import { groupVerbs } from './verbs-groups.ts';
import { ownVerbs } from './verbs-own.ts';

const verbs: ReadonlyMap<string, Verb> = new Map(
  Object.entries({ ...clusterVerbs, ...agentVerbs, ...groupVerbs, ...ownVerbs }),
);

export function verbNames(): readonly string[] {
  return [...verbs.keys()];
}

/** Never rejects: whatever goes wrong is a result that a stock node decodes. */
export async function runVerb(verb: string, context: VerbContext): Promise<CallResult> {
  const run = verbs.get(verb);
  if (run === undefined) return { kind: 'fault', fault: fault(1000, unservedText(verb)) };
  try {
    return await run(context);
  } catch (error) {
    if (context.signal.aborted) return { kind: 'fault', fault: fault(3021) };
    const known = faultOf(error);
    if (known !== undefined) return { kind: 'fault', fault: known };
    return { kind: 'fault', fault: fault(1000, messageOf(error).slice(0, 512)) };
  }
}

function unservedText(verb: string): string {
  return `${verb} needs the code of the Wazuh API, which this node does not run; ask a stock node`;
}
