/** One cluster node as campaigns and measurements of agents' data run it. */
import { join } from 'node:path';
import type { NodeOptions } from '../../src/cli/build-cluster.ts';
import { parseClusterJson } from '../../src/cluster/files/cluster-json.ts';
import type { ClusterLog } from '../../src/cluster/tasks/node-log.ts';
import { silentLog } from '../../src/log.ts';

export interface NodeWish {
  readonly role: 'master' | 'worker';
  readonly name: string;
  /** Holds `home` and `state`. */
  readonly folder: string;
  readonly port: number;
  /** Where a master listens, and where a worker dials. */
  readonly address: string;
  /** Seconds between two rounds. */
  readonly everyS: number;
  readonly log: ClusterLog;
}

export function nodeOptions(wish: NodeWish): NodeOptions {
  const { role, name, folder, port, address, everyS, log } = wish;
  const intervals = {
    worker: { sync_agent_info: everyS, connection_retry: 0.3, sync_integrity: 30 },
    master: { sync_agent_groups: everyS, agent_group_start_delay: everyS },
  };
  return {
    home: join(folder, 'home'),
    stateFolder: join(folder, 'state'),
    config: {
      disabled: false,
      nodeType: role,
      name: 'wazuh',
      nodeName: name,
      key: 'c98b62a9b6169ac5f67dae55ae4a9088',
      port,
      bindAddress: address,
      nodes: [address],
      hidden: 'no',
      haproxyHelper: undefined,
      extras: {},
    },
    version: '4.14.8',
    cluster: parseClusterJson({ intervals }),
    peers: 'any',
    maxConnectionsPerAddress: 100,
    owner: undefined,
    database: 'embedded',
    log,
    events: silentLog,
  };
}
