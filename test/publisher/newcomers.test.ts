/** What hosts without any list are given while a rollout goes on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildConnectionLedger } from '../../src/publisher/connection-ledger.ts';
import { listExpiresAtMs } from '../../src/publisher/history.ts';
import { buildListService } from '../../src/publisher/list-service.ts';
import { publishConfigured } from '../../src/publisher/orders.ts';
import { publish } from '../../src/publisher/publish.ts';
import { configuredOf, listKey, openDesk } from './fixture.ts';
import { looseLimits } from './server-fixture.ts';

test('a host joins by the list before the rollout, and by the newest when that has expired', async (t) => {
  const desk = await openDesk(t);
  const { clock } = desk;
  const service = buildListService({
    ...{ clock, listKey, ledger: buildConnectionLedger(looseLimits) },
    ...{ maxReceiptsPerSecond: 10, isBusy: () => false },
  });
  const { entry: stable } = await publish(desk, publishConfigured(configuredOf('a', 'b')));
  clock.atMs = listExpiresAtMs(stable) - 60_000;
  const { entry } = await publish(desk, publishConfigured(configuredOf('a', 'b', 'c')));
  service.serve(entry, stable);
  const joined = (): number | undefined => {
    const poll = { ip: '127.0.0.1', knownTags: '', nonce: undefined, waitMs: 0 };
    const answer = service.answerNow(poll);
    return answer?.kind === 'list' ? answer.served.entry.version : undefined;
  };
  assert.equal(joined(), 1);
  clock.atMs = listExpiresAtMs(stable);
  assert.equal(joined(), 2); // the publisher serves anew at a change, and there was none
});
