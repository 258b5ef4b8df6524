/**
 * The upstream for nginx's stream module. The open-source nginx has neither active checks nor
 * drains: a drained server is `down` for new sessions, and a reload lets old workers keep the
 * sessions they have. Pure.
 */
import { type BalancedServer, endpointText } from './balanced-server.ts';

export function renderNginx(servers: readonly BalancedServer[], upstream: string): string {
  return [
    '# Written by pilotfish-publisher from the signed list; changes here are overwritten.',
    `upstream ${upstream} {`,
    '  least_conn;',
    ...servers.map((server) => `  server ${endpointText(server)} ${optionsOf(server)};`),
    '}',
    '',
  ].join('\n');
}

function optionsOf({ weight, state, isBackup }: BalancedServer): string {
  const flags = `${isBackup ? ' backup' : ''}${state === 'drain' ? ' down' : ''}`;
  return `weight=${weight} max_fails=1 fail_timeout=10s${flags}`;
}
