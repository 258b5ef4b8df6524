/** Who stands behind the manager in use, asked over this host's own sockets. */
import { parseArpTable } from '../health/holder.ts';
import { probeKindOf } from '../health/probe.ts';
import { readMarks } from '../host/node-marks.ts';
import { readProc } from '../host/proc-file.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import type { Bell } from '../sidecar/bell.ts';
import { HolderWatch } from '../sidecar/holder-watch.ts';
import type { Rooms } from './build-sidecar-rooms.ts';

const enrollmentPort = 1_515;

export interface HolderRooms extends Pick<Rooms, 'log'> {
  readonly config: { readonly probe: Pick<Rooms['config']['probe'], 'deadline'> };
}

export function openHolderWatch({ config, log }: HolderRooms, bell: Bell): HolderWatch {
  return new HolderWatch({
    ...{ clock, log, random },
    ask({ address, port, publishers }, signal) {
      const is5 = probeKindOf({ protocol: 'tcp', port }) === 'https';
      const question = {
        address,
        publisherPorts: [...new Set(publishers.map(({ url }) => portOf(url)))],
        pins: publishers.flatMap(({ spki }) => spki),
        serverPort: is5 ? port : enrollmentPort,
      };
      return readMarks(clock, question, { deadlineMs: config.probe.deadline, signal });
    },
    neighbours: () => parseArpTable(readProc('/proc/net/arp') ?? ''),
    moved: () => bell.ring(),
  });
}

function portOf(url: string): number {
  const { port } = new URL(url);
  return port === '' ? 443 : Number(port);
}
