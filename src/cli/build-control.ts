/** `cluster_control` with real parts. */
import { existsSync } from 'node:fs';
import { sleep } from '../clock.ts';
import { LocalClient } from '../cluster/local/local-client.ts';
import { dialUnix, localSocketPath } from '../host/cluster-local-socket.ts';
import { systemClock, systemRandom } from '../host/system-clock.ts';
import { editionOf } from '../wazuh/manager-edition.ts';
import type { ControlHost } from './control-command.ts';

/** The client of a home's local socket, for whoever runs beside a node. */
export function buildLocalClient(home: string): LocalClient {
  const path = localSocketPath(home);
  const dial = (signal: AbortSignal) => dialUnix(systemClock, path, signal);
  return new LocalClient({ clock: systemClock, random: systemRandom, dial });
}

export function buildControlHost(): ControlHost {
  return {
    client: (home) => buildLocalClient(home ?? usualHome()),
    sleep: (ms, signal) => sleep(systemClock, ms, signal),
  };
}

function usualHome(): string {
  const homes = [editionOf('4').home, editionOf('5').home];
  return homes.find((home) => existsSync(home)) ?? editionOf('4').home;
}
