/** Addresses per zone of a running publisher, from real parts. */
import { buildProber } from '../host/probe-socket.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import type { Said } from '../publisher/addresses/advertised.ts';
import { keepAddresses } from '../publisher/addresses/keep-addresses.ts';
import { stableOf } from '../publisher/daemon.ts';
import { publish } from '../publisher/publish.ts';
import type { RosterGround } from './build-publisher-roster.ts';

export type AddressGround = Pick<
  RosterGround,
  'desk' | 'service' | 'config' | 'leads' | 'ownNode' | 'log' | 'complaints'
>;

/** Until `signal` aborts. */
export function runAddresses(ground: AddressGround, signal: AbortSignal): Promise<void> {
  const { desk, service, config, leads, log, complaints } = ground;
  const { history } = desk();
  return keepAddresses(
    {
      ...{ clock, log, complaints, history, leads, prober: buildProber(clock) },
      configured: () => config().configured,
      constraints: () => desk().root.constraints,
      said: () => saidOf(ground),
      settings: () => ({ everyMs: config().probe.interval, deadlineMs: config().probe.deadline }),
      async publish(order) {
        const { kind, entry } = await publish(desk(), order);
        if (kind === 'published') service.serve(entry, stableOf(history, entry, clock.nowMs()));
      },
    },
    signal,
  );
}

/** By manager id; a node that no manager is behind says nothing here. */
function saidOf({ config, ownNode }: AddressGround): Said {
  const { configured, nodes } = config();
  const said = configured.hearsNodes === true ? ownNode()?.said() : undefined;
  return new Map(
    configured.managers.flatMap(({ id }) => {
      const addresses = said?.get(nodes.get(id) ?? id);
      return addresses === undefined ? [] : [[id, addresses] as const];
    }),
  );
}
