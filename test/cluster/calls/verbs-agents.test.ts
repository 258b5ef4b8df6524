/** What verbs about agents tell to somebody who may not know. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeView } from '../../../src/cluster/calls/node-view.ts';
import { Permissions } from '../../../src/cluster/calls/rbac.ts';
import { runVerb } from '../../../src/cluster/calls/verbs.ts';
import type { JsonObject } from '../../../src/guards.ts';

const view = {
  agents: { agents: async () => [], groups: async () => new Map([['secret', 1]]) },
} as unknown as NodeView;

async function codeOf(group: string, rules: JsonObject): Promise<number | undefined> {
  const result = await runVerb('wazuh.agent.get_agents_in_group', {
    kwargs: { group_list: [group] },
    permissions: Permissions.parse({ rbac_mode: 'white', ...rules }),
    ...{ nodes: [], isBroadcast: false, view, nowMs: 0 },
    signal: new AbortController().signal,
  });
  return result.kind === 'fault' ? result.fault.code : undefined;
}

test('who may not read groups does not learn which there are', async () => {
  const rules = { 'agent:read': { 'agent:id:*': 'allow' } };

  assert.equal(await codeOf('secret', rules), 4000);
  assert.equal(await codeOf('nosuch', rules), 4000);
});

test('who may read groups is told that there is no such group', async () => {
  const rules = { 'group:read': { 'group:id:*': 'allow' } };

  assert.equal(await codeOf('nosuch', rules), 1710);
});
