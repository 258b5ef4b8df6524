/** What the loopback relay speaks; sidecar and applier must agree without a word. Pure. */
import type { Manager } from './model.ts';

/** UDP only where every manager does: an agent has one relay, and TCP is what Wazuh defaults to. */
export function relayProtocolOf(
  managers: readonly Pick<Manager, 'protocol'>[],
): Manager['protocol'] {
  return managers.length > 0 && managers.every(({ protocol }) => protocol === 'udp')
    ? 'udp'
    : 'tcp';
}
