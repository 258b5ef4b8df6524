/** A worker of ours tells its master where agents reach its manager; over real sockets. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeSaid, parseSaid } from '../../../src/cluster/tasks/said-addresses.ts';
import { addressesWord } from '../../../src/cluster/wire/command.ts';
import { eventually } from '../../fakes/processes.ts';
import { refusedAs } from '../../list/documents.ts';
import { Home, startMaster, startWorker } from './nodes.ts';

const waitMs = 60_000;

test('what a worker says reaches its master, follows a change of labels, and ends with the link', async (t) => {
  const master = await startMaster(t, new Home(t), { name: 'm' });
  const { role } = master;
  const home = new Home(t, { labels: 'address.pilotfish/dmz="203.0.113.7"\n' });
  const named = [{ zone: 'lan', address: '10.1.2.3', port: 1515 }];
  const advertise = { named, networks: [], labels: join(home.path, 'labels') };
  const worker = startWorker(t, home, { name: 'w', port: master.port, more: { advertise } });
  const said = () => JSON.stringify(role.said().get('w'));
  const lan = '{"zone":"lan","address":"10.1.2.3","port":1515}';
  const dmz = (address: string) => `{"zone":"dmz","address":"${address}"}`;
  await eventually('the first word', () => said() === `[${lan},${dmz('203.0.113.7')}]`, waitMs);
  home.write('labels', 'address.pilotfish/dmz="203.0.113.8"\n');
  await eventually('the second word', () => said() === `[${lan},${dmz('203.0.113.8')}]`, waitMs);
  await worker.stop();
  await eventually('silence', () => said() === undefined, waitMs);
});

test('what a hostile node says is not believed, and costs it nothing else', async (t) => {
  const master = await startMaster(t, new Home(t), { name: 'm' });
  const { role } = master;
  const { role: worker } = startWorker(t, new Home(t), { name: 'w', port: master.port });
  await eventually('a peer of ours', () => worker.connection?.peer === 'ours', waitMs);
  const { signal } = new AbortController();
  await worker.tell(encodeSaid([{ zone: 'dmz', address: '203.0.113.7' }]), signal);
  const good = '[{"zone":"dmz","address":"203.0.113.7"}]';
  const said = () => JSON.stringify(role.said().get('w'));
  await eventually('the good word', () => said() === good, waitMs);
  for (const text of hostile) {
    await worker.tell(Buffer.concat([addressesWord, Buffer.from(text)]), signal);
  }
  await eventually('complaints', () => master.log.count(/addresses is not readable/) > 0, waitMs);
  assert.equal(said(), good);
  assert.equal(worker.connection?.link.isOpen, true);
});

const hostile: readonly string[] = [
  '',
  '{',
  '{"addresses":{}}',
  '{"addresses":[{"zone":"dmz","address":"x</address><command>"}]}',
  '{"addresses":[{"zone":"../x","address":"203.0.113.7"}]}',
  '{"addresses":[{"zone":"dmz","address":"203.0.113.7","port":0}]}',
  '{"addresses":[{"zone":"dmz","address":"203.0.113.7","via":"x"}]}',
  `{"addresses":[${Array.from({ length: 9 }, (_, at) => `{"zone":"z${at}","address":"10.0.0.1"}`).join()}]}`,
  `{"addresses":[],"x-${'a'.repeat(5_000)}":1}`,
];

test('every hostile word is refused by the parser itself; of one zone twice the first counts', () => {
  for (const text of hostile.filter((one) => one.length < 4_000)) {
    assert.throws(
      () => parseSaid(Buffer.concat([addressesWord, Buffer.from(text)])),
      (error) => refusedAs('list_invalid')(error),
    );
  }
  const twice = ['10.0.0.1', '10.0.0.2'].map((address) => ({ zone: 'dmz', address }));
  assert.deepEqual(parseSaid(encodeSaid(twice)), twice.slice(0, 1));
});
