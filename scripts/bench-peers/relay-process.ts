/** The relay alone in a process of its own: `relay-process.ts LISTEN_PORT TARGET_PORT`. */
import { relayNetwork } from '../../src/host/relay-sockets.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import type { RelayManager } from '../../src/relay/ports.ts';
import { Relay } from '../../src/relay/relay.ts';
import { defaultRelaySettings } from '../../src/relay/settings.ts';

const [listenPort, targetPort] = process.argv.slice(2).map(Number);
const manager: RelayManager = {
  id: 'manager',
  address: '127.0.0.1',
  port: targetPort ?? 0,
  protocol: 'tcp',
};
const relay = new Relay(
  {
    clock: systemClock,
    network: relayNetwork,
    choose: () => [manager],
    report: () => undefined,
  },
  defaultRelaySettings,
);
await relay.open({ kind: 'address', address: '127.0.0.1', port: listenPort ?? 0 });
process.stdout.write('ready\n');
