/** The balance of a running publisher from real parts. */
import { systemClock as clock } from '../host/system-clock.ts';
import type { Log } from '../log.ts';
import { keepBalance } from '../publisher/balance/keep-balance.ts';
import type { Complaints } from '../publisher/complaints.ts';
import { stableOf } from '../publisher/daemon.ts';
import type { ListService } from '../publisher/list-service.ts';
import { balanceOrder } from '../publisher/orders.ts';
import { type PublishDesk, publish } from '../publisher/publish.ts';
import type { AgentBook } from '../publisher/reports/agent-book.ts';
import type { PublisherConfig } from './publisher-config.ts';

const lookEveryMs = 10_000;

export interface BalanceGround {
  readonly desk: () => PublishDesk;
  readonly service: Pick<ListService, 'serve'>;
  readonly config: () => PublisherConfig;
  readonly book: AgentBook;
  /** Only then is anything published. */
  readonly leads: () => boolean;
  readonly log: Log;
  readonly complaints: Complaints;
}

/** Until `signal` aborts; at once where no balance is kept. */
export async function runBalance(ground: BalanceGround, signal: AbortSignal): Promise<void> {
  const { desk, service, config, book, log, complaints } = ground;
  if (!config().balance.enabled) return;
  const parts = {
    ...{ clock, log, complaints, leads: ground.leads, history: desk().history },
    rows: () => book.rows(),
    settings: () => ({ skewPct: config().balance.skewPct, afterMs: config().balance.after }),
    async publish(asked: Parameters<typeof balanceOrder>[1], why: string): Promise<void> {
      const order = balanceOrder(config().configured, asked, why.slice(0, 500));
      const { kind, entry } = await publish(desk(), order);
      if (kind !== 'published') return;
      service.serve(entry, stableOf(desk().history, entry, clock.nowMs()));
    },
  };
  await keepBalance(parts, Math.min(lookEveryMs, config().balance.after), signal);
}
