/** The publisher.yml that `init` writes: what was asked, and the few keys people change first. */

import { stringify } from 'yaml';
import { parseToken } from '../list/token.ts';
import type { InitRequest } from '../publisher/init.ts';
import { defaultClusterSection } from './cluster-config.ts';
import type { FollowRequest } from './publisher-host.ts';

export function renderPublisherConfig(request: InitRequest): string {
  const managers = request.managers.map(({ id, address, port }) =>
    [
      `  - id: ${stringify(id).trim()}`,
      `    address: ${stringify(address).trim()}`,
      `    port: ${port}`,
      '    zone: default',
      '    prio: 0       # lower is preferred',
      '    weight: 100   # share of agents; 0 is a last resort',
      '    state: up     # up | drain | down',
    ].join('\n'),
  );
  return `# Configuration of pilotfish-publisher. Every key: pilotfish-publisher run --help
# After a change: pilotfish-publisher publish --dry-run, then publish (or SIGHUP to the running one).
# Hosts and ports that the root does not allow are refused (E408).
org: ${stringify(request.org).trim()}
listen: ${stringify(request.listen).trim()}
managers:
${managers.join('\n')}
list:
  validFor: 24h
  resignEvery: 3h
log:
  level: info
`;
}

/** The publisher.yml that `follow` writes. Throws ConfigError `token_invalid`. */
export function renderFollowerConfig({ token, from, listen }: FollowRequest): string {
  const { org } = parseToken(token);
  const node = from.includes('cluster')
    ? `# The node of ours beside it, by the settings of the manager here.\ncluster:\n  home: ${defaultClusterSection.home}\n`
    : '';
  return `# Configuration of pilotfish-publisher as a follower: it serves what another publisher signs.
# Every key: pilotfish-publisher run --help
org: ${stringify(org).trim()}
listen: ${stringify(listen).trim()}
follow:
  token: ${token.trim()}
  from:
${from.map((one) => `    - ${stringify(one).trim()}\n`).join('')}${node}log:
  level: info
`;
}
