/** A child of `crash.test.ts`: publishes without end and says each version after it is durable. */
import { writeSync } from 'node:fs';
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
  const { entry } = await publish(desk, order);
  writeSync(1, `${entry.version}\n`);
}
