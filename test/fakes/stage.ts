/** One test's own corner: addresses, stand-ins and homes that nobody shares, cleared away after it. */
import type { TestContext } from 'node:test';
import { type AgentHomeOptions, makeAgentHome, type StandInHome } from './agent-home.ts';
import { ownAddress, type StandInProcess, StandIns } from './processes.ts';

let used = 0;

export class Stage {
  readonly standIns = new StandIns();
  /** Two addresses of this test only; stand-in managers listen on port 1514 of each. */
  readonly a = ownAddress(used++);
  readonly b = ownAddress(used++);
  readonly #homes: StandInHome[] = [];

  constructor(context: TestContext) {
    context.after(async () => {
      await this.standIns.stopAll();
      for (const home of this.#homes) home.remove();
    });
  }

  manager(address: string, args: readonly string[] = []): Promise<StandInProcess> {
    return this.standIns.startManager(`${address}:1514`, ['--report-interval-ms', '50', ...args]);
  }

  /** With A and B as servers unless told otherwise. */
  home(options: Partial<AgentHomeOptions> = {}): StandInHome {
    const servers = [{ address: this.a }, { address: this.b }];
    const home = makeAgentHome({ servers, ...options });
    this.#homes.push(home);
    return home;
  }

  /** R = 1, I = 1, notify 5, T = 15: the tuned settings of the laboratory. */
  tuned(): Partial<AgentHomeOptions> {
    const servers = [this.a, this.b].map((address) => ({
      address,
      maxRetries: 1,
      retryIntervalS: 1,
    }));
    return { servers, notifyS: 5, reconnectS: 15 };
  }
}
