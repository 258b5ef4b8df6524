/**
 * The backend section for HAProxy: its check asks what a manager alone can answer (the framed
 * `#ping`), every second, and sessions of a dead manager are ended so that agents come back. Pure.
 */
import { type BalancedServer, endpointText } from './balanced-server.ts';

/** Options of every server, here and when one is added while HAProxy runs. */
export const checkOptions = 'check inter 1s fall 2 rise 2 on-marked-down shutdown-sessions';

export interface HaproxyNames {
  /** Name of the backend; the frontend with `bind` stays the operator's. */
  readonly backend: string;
  /** `leastconn` spreads agents by their number; they stay for weeks. */
  readonly balance: 'leastconn' | 'source' | 'first' | 'roundrobin';
}

export function renderHaproxy(servers: readonly BalancedServer[], names: HaproxyNames): string {
  const { backend, balance } = names;
  return [
    '# Written by pilotfish-publisher from the signed list; changes here are overwritten.',
    `backend ${backend}`,
    '  mode tcp',
    `  balance ${balance}`,
    '  option tcp-check',
    '  tcp-check connect',
    '  tcp-check send-binary 050000002370696e67',
    '  tcp-check expect binary 0500000023706f6e67',
    '  timeout check 800ms',
    '  timeout connect 1s',
    ...servers.map(
      (server) => `  server ${server.name} ${endpointText(server)} ${optionsOf(server)}`,
    ),
    '',
  ].join('\n');
}

/** HAProxy's own word for draining in a file is weight 0: sessions stay, no new one comes. */
function optionsOf({ weight, state, isBackup }: BalancedServer): string {
  const share = state === 'drain' ? 0 : weight;
  return `weight ${share} ${checkOptions}${isBackup ? ' backup' : ''}`;
}
