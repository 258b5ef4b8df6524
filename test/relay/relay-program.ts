/**
 * A sidecar that is nothing but a relay, in a process of its own:
 * `relay-program.ts LISTEN MANAGER…` with LISTEN `fd` (descriptor 3, inherited) or `ADDRESS:PORT`.
 * SIGTERM closes it as the sidecar would; SIGUSR2 leaves every manager as dead. Prints its events as JSON lines.
 */
import { relayNetwork } from '../../src/host/relay-sockets.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import type { ListenPlace, RelayManager } from '../../src/relay/ports.ts';
import { Relay } from '../../src/relay/relay.ts';
import { defaultRelaySettings } from '../../src/relay/settings.ts';
import { endWithInput, ignoreClosedOutput, report } from '../fakes/life-line.ts';

function endpoint(text: string): { readonly address: string; readonly port: number } {
  const [address = '', port] = text.split(':');
  return { address, port: Number(port) };
}

const [listen = '', ...targets] = process.argv.slice(2);
const place: ListenPlace =
  listen === 'fd' ? { kind: 'inherited', fd: 3 } : { kind: 'address', ...endpoint(listen) };
const managers: readonly RelayManager[] = targets.map((target) => ({
  id: target,
  protocol: 'tcp',
  ...endpoint(target),
}));

ignoreClosedOutput();
const relay = new Relay(
  {
    clock: systemClock,
    network: relayNetwork,
    choose: () => managers,
    report: ({ kind, ...rest }) => report({ event: kind, ...rest }),
  },
  { ...defaultRelaySettings, gentleMs: 500 },
);
await relay.open(place);
report({ event: 'mode', pid: process.pid });
endWithInput(() => process.exit(0));
process.on('SIGUSR2', () => {
  for (const { id } of managers) relay.switchAway(id, 'failed');
});
process.on('SIGTERM', () => void relay.close().then(() => process.exit(0)));
