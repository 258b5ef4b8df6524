/** A publisher.yml whose change was not published: those of the list are looked after all the same. */
import { test } from 'node:test';
import { initPublisherDirectory } from '../../cli/publisher-fixture.ts';
import { eventually, ownAddress } from '../../fakes/processes.ts';
import { PongManager } from './pong.ts';

const waitMs = 60_000;

test('a manager that is configured and cannot be published keeps no dead one in the list', async (t) => {
  const managers = [112, 113, 114].map((at) => new PongManager(t, ownAddress(at)));
  await Promise.all(managers.map((manager) => manager.come()));
  const names = managers.map(({ address }, at) => `wm${at + 1}=${address}:1514`);
  const publisher = await initPublisherDirectory(t, names);
  const roster = 'roster:\n  enabled: true\n  interval: 100ms\n';
  publisher.edit(/^list:/m, `${roster}probe:\n  interval: 200ms\nlist:`);
  await publisher.start();
  publisher.edit(/^roster:/m, '  - id: wm4\n    address: 192.0.2.4\n    port: 1514\nroster:');
  publisher.reload();
  const isRefused = async () => (await publisher.run('status')).out.includes('192.0.2.4');
  await eventually('the root refuses it', isRefused, waitMs);
  await managers[2]?.leave();
  await eventually('wm3 left', async () => (await publisher.states()).wm3 === 'down', waitMs);
});
