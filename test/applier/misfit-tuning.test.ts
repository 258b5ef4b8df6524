/** What a list asks beside its managers keeps no agent on a dead one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply } from '../../src/applier/apply.ts';
import type { ListClient } from '../../src/list/model.ts';
import { signedList } from '../list/documents.ts';
import { addressOf, configOf, HostInMemory, list, request } from './host-in-memory.ts';

function tuned(client: Partial<ListClient>, version = 4211): Uint8Array {
  const base = list({ version });
  return signedList({ ...base, client: { ...base.client, ...client } });
}

const misfits: readonly (readonly [string, Partial<ListClient>, string])[] = [
  ['a retry interval that no editor writes', { retryInterval: 900 }, ''],
  ['a keepalive that no editor writes', { notifyTime: 3 }, ''],
  [
    'a reconnect time below the keepalive of this file',
    { timeReconnect: 60 },
    '<notify_time>60</notify_time>',
  ],
  ['a keepalive not below the reconnect time of this file', { notifyTime: 60 }, ''],
];
for (const [what, client, line] of misfits) {
  test(`${what} is left out and noted, and the agent leaves its dead manager`, async () => {
    const config = configOf('10.0.0.1').replace('<client>', `<client>\n    ${line}`);
    const host = await HostInMemory.make({}, config);
    host.up = host.up.filter((one) => one !== '10.0.0.1');
    const listEnvelope = tuned(client);
    const result = await apply(host.world(), request({ listEnvelope, urgent: true }));
    assert.deepEqual([result.outcome, host.connectedTo], ['moved', addressOf('wm-01')]);
    assert.match(result.notes.join(), /tuning left as it is/);
  });
}

test('where tuning is all that a request would change, its misfit is refused', async () => {
  const host = await HostInMemory.make();
  await apply(host.world(), request());
  const { config } = host;
  const listEnvelope = tuned({ retryInterval: 900 }, 4212);
  const result = await apply(host.world(), request({ listEnvelope, move: false }));
  assert.deepEqual([result.outcome, result.reason?.name], ['refused', 'config_invalid']);
  assert.equal(host.config, config);
});
