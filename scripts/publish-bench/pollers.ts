/** What many waiting polls cost without sockets: the service, its timers and its promises. */
import { systemClock } from '../../src/host/system-clock.ts';
import { signingKeyFromSeed } from '../../src/list/sign.ts';
import { buildConnectionLedger } from '../../src/publisher/connection-ledger.ts';
import { buildListService } from '../../src/publisher/list-service.ts';

const wide = 1_000_000;

/** Bytes of memory that `count` waiting polls hold. */
export function memoryOfPollers(count: number): number {
  const ledger = buildConnectionLedger({
    maxConnections: wide,
    maxConnectionsPerIp: wide,
    maxConnectionsPerNetwork: wide,
    maxHandshakesPerSecond: wide,
    maxLongPolls: wide,
    maxLongPollsPerIp: wide,
  });
  const service = buildListService({
    clock: systemClock,
    listKey: signingKeyFromSeed(Buffer.alloc(32, 2)),
    ledger,
    maxReceiptsPerSecond: wide,
    isBusy: () => false,
  });
  const before = process.memoryUsage.rss();
  const answers = Array.from({ length: count }, (_, index) =>
    service.answer({
      ip: `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`,
      knownTags: '"x"',
      nonce: 'A'.repeat(22),
      waitMs: 55_000,
      signal: new AbortController().signal,
    }),
  );
  const used = process.memoryUsage.rss() - before;
  if (service.waiting() !== count) throw new Error(`${service.waiting()} wait`);
  service.stop();
  void Promise.all(answers);
  return used;
}
