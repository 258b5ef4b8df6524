/** One cluster node of ours as a process of its own: HOME master|worker NAME PORT [FAST]. */
import { join } from 'node:path';
import { buildClusterNode } from '../../src/cli/build-cluster.ts';
import { parseClusterJson } from '../../src/cluster/files/cluster-json.ts';
import { ClusterLogFile } from '../../src/host/cluster-log-file.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import { silentLog } from '../../src/log.ts';

const [home = '', type, name = '', port = '0'] = process.argv.slice(2);
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort(new Error('asked to stop')));
const events = silentLog;
const node = buildClusterNode({
  home,
  stateFolder: join(home, 'pilotfish'),
  config: {
    disabled: false,
    nodeType: type === 'master' ? 'master' : 'worker',
    name: 'wazuh',
    nodeName: name,
    key: 'c98b62a9b6169ac5f67dae55ae4a9088',
    port: Number(port),
    bindAddress: '127.0.0.1',
    nodes: ['127.0.0.1'],
    hidden: 'no',
    haproxyHelper: undefined,
    extras: {},
  },
  version: '4.14.8',
  cluster: parseClusterJson({}),
  peers: 'any',
  maxConnectionsPerAddress: 100,
  owner: undefined,
  log: new ClusterLogFile({ home, clock: systemClock, events, debugLevel: 0, isForeground: false }),
  events,
});
void node.run(stop.signal);
