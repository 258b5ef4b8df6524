/** A worker of which its master knows nothing yet. */
import type { WorkerHealth } from '../../../src/cluster/local/node-health.ts';

export const never: WorkerHealth = {
  isIntegrityFree: true,
  integrityCheck: { start: 'n/a', end: 'n/a' },
  integritySync: { start: 'n/a', end: 'n/a', missing: 0, shared: 0, extra: 0 },
  isAgentInfoFree: true,
  agentInfo: { start: 'n/a', end: 'n/a', chunks: 0 },
  agentGroups: { start: 'n/a', end: 'n/a', chunks: 0 },
  allAgentGroups: { start: 'n/a', end: 'n/a', chunks: 0 },
  lastKeepAlive: 'n/a',
};
