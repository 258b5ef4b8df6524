/** Weights that follow the load of the managers' hosts, from real parts. */
import { sleep } from '../clock.ts';
import { watchHostLoad } from '../host/host-load.ts';
import { readManagerHome } from '../host/manager-home.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import { stableOf } from '../publisher/daemon.ts';
import { loadOrder } from '../publisher/orders.ts';
import { publish } from '../publisher/publish.ts';
import type { ViewsWord } from '../publisher/roster/peer-views.ts';
import type { LoadSample } from '../publisher/weights/judge-load.ts';
import { keepWeights } from '../publisher/weights/keep-weights.ts';
import type { RosterGround } from './build-publisher-roster.ts';
import type { PublisherConfig } from './publisher-config.ts';

const lookEveryMs = 5_000;

/** How busy this host is, for `roster.local`: its processors, or Wazuh's queues, whichever are more. */
export class OwnLoad {
  readonly #config: () => PublisherConfig;
  #now: ViewsWord['load'];

  constructor(config: () => PublisherConfig) {
    this.#config = config;
  }

  /** Undefined where no manager is on this host, and before the second look. */
  now(): ViewsWord['load'] {
    return this.#now;
  }

  /** Until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const host = watchHostLoad();
    while (!signal.aborted) {
      const { roster, cluster, balance } = this.#config();
      const { local } = roster;
      const home = roster.home ?? cluster?.home;
      const isWanted = roster.enabled && balance.followLoad && local !== undefined;
      const processors = isWanted ? host.busy() : undefined;
      if (processors === undefined || local === undefined) this.#now = undefined;
      else {
        const queues = home === undefined ? undefined : await readManagerHome(home);
        const busy = Math.min(1, Math.max(0, processors, queues?.queueUsage ?? 0));
        this.#now = { manager: local, busy };
      }
      await sleep(clock, lookEveryMs, signal).catch(() => undefined);
    }
  }
}

export type WeightGround = Pick<
  RosterGround,
  'desk' | 'service' | 'config' | 'leads' | 'voices' | 'log' | 'complaints'
> & { readonly ownLoad: OwnLoad };

/** Until `signal` aborts. */
export async function runWeights(ground: WeightGround, signal: AbortSignal): Promise<void> {
  const { desk, service, config, leads, voices, log, complaints, ownLoad } = ground;
  const { history } = desk();
  const parts = {
    ...{ clock, log, complaints, history, leads },
    samples(): readonly LoadSample[] {
      const own = ownLoad.now();
      const here = own === undefined ? [] : [{ id: own.manager, busy: own.busy }];
      const said = voices?.loads() ?? [];
      return [...here, ...said.filter(({ id }) => id !== own?.manager)];
    },
    settings: () => {
      const { roster, balance } = config();
      return { isOn: roster.enabled && balance.followLoad, afterMs: balance.after };
    },
    async publish(shares: Parameters<typeof loadOrder>[1], why: string): Promise<void> {
      const order = loadOrder(config().configured, shares, why.slice(0, 500));
      const { kind, entry } = await publish(desk(), order);
      if (kind === 'published') service.serve(entry, stableOf(history, entry, clock.nowMs()));
    },
  };
  await Promise.all([ownLoad.run(signal), keepWeights(parts, signal)]);
}
