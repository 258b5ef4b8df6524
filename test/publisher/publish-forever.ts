/** A child of `crash.test.ts`: publishes without end and says each version after it is durable. */
import { writeSync } from 'node:fs';
import { ConfigError } from '../../src/errors.ts';
import { openHistory } from '../../src/host/history-database.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import { drainOrder, publishConfigured, undrainOrder } from '../../src/publisher/orders.ts';
import { publish } from '../../src/publisher/publish.ts';
import { configuredOf, listKey, rootOf, verifiedRoot } from './fixture.ts';

const history = openHistory(process.argv[2] ?? '');
const desk = { history, root: await verifiedRoot(rootOf()), listKey, clock: systemClock };
const configured = configuredOf('a', 'b', 'c');
const orders = [
  publishConfigured(configured),
  drainOrder(configured, 'b'),
  undrainOrder(configured, 'b'),
];
for (let index = 0; ; index += 1) {
  const order = orders[index % orders.length];
  if (order === undefined) break;
  const done = await publish(desk, order).catch((error: unknown) => {
    if (error instanceof ConfigError && error.reason === 'conflict') return undefined; // the other one's word
    throw error;
  });
  if (done !== undefined) writeSync(1, `${done.entry.version}\n`);
}
