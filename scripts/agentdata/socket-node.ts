/** A node of ours that uses the store on wazuh-db's sockets: HOME master|worker NAME PORT. */
import { join } from 'node:path';
import { buildClusterNode } from '../../src/cli/build-cluster.ts';
import { ClusterLogFile } from '../../src/host/cluster-log-file.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import { silentLog } from '../../src/log.ts';
import { nodeOptions } from './node-options.ts';

const [home = '', role = '', name = '', port = '0'] = process.argv.slice(2);
const log = new ClusterLogFile({
  ...{ home, clock: systemClock, events: silentLog, debugLevel: 0, isForeground: false },
});
const node = buildClusterNode({
  ...nodeOptions({
    role: role === 'master' ? 'master' : 'worker',
    ...{ name, folder: home, port: Number(port), address: '127.0.0.1', everyS: 1, log },
  }),
  ...{ home, stateFolder: join(home, 'pilotfish'), database: 'wazuh-db' },
  ...(import.meta.url.endsWith('.mjs')
    ? { threadUrl: new URL('./cluster-files-thread.mjs', import.meta.url) }
    : {}),
});
void node.run(new AbortController().signal);
