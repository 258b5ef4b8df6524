/** Calls while the database of this host does not answer: whoever asked hears something, in time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AgentsFromDb,
  askedDatabase,
  type QueryPort,
} from '../../../src/cluster/calls/agents-from-db.ts';
import { buildNodeView } from '../../../src/cluster/calls/build-view.ts';
import { CallDesk } from '../../../src/cluster/calls/call-desk.ts';
import { parseCallRequest } from '../../../src/cluster/calls/call-request.ts';
import type { ManagerFacts, NodeView } from '../../../src/cluster/calls/node-view.ts';
import type { ClusterConfig } from '../../../src/cluster/config.ts';
import { fault } from '../../../src/cluster/wire/fault.ts';
import type { CallResult } from '../../../src/cluster/wire/result-json.ts';
import { HandClock } from '../links.ts';

/** Takes questions and answers none; what it is told to give up, it gives up. */
const hung: QueryPort = {
  query: (_: string, signal: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    }),
};
const hungSocket = askedDatabase({ exchange: () => new Promise(() => undefined) });
const never = new AbortController().signal;

const config: ClusterConfig = {
  ...{ disabled: false, nodeType: 'master', name: 'wazuh', nodeName: 'm', key: 'k'.repeat(32) },
  ...{ port: 1516, bindAddress: '::1', nodes: ['::1'], hidden: 'no' },
  ...{ haproxyHelper: undefined, extras: {} },
};

function masterView(clock: HandClock, db = hung): NodeView {
  return buildNodeView({
    config,
    version: '4.14.8',
    agents: new AgentsFromDb(db),
    files: undefined,
    facts: {} as ManagerFacts,
    jobs: { hashes: async () => ({}) },
    tellsActiveAgents: true,
    workers: () => [],
    clock,
  });
}

test('a call for every node ends in time when the master cannot read which nodes have agents', async () => {
  const clock = new HandClock();
  const ask = (): Promise<CallResult> => assert.fail('nobody else is asked');
  const view = masterView(clock);
  const desk = new CallDesk({ clock, view, isDistributed: true, callTimeoutMs: 200_000, ask });
  const name = { __name__: 'restart', __module__: 'wazuh.agent', __qualname__: 'restart_agents' };
  const body = JSON.stringify({
    f: { __callable__: { ...name, __type__: 'function' } },
    request_type: 'distributed_master',
  });

  const running = desk.run(parseCallRequest(Buffer.from(body)), never);
  clock.advance(200_001);
  const result = await running;

  assert.ok(result.kind === 'fault' && result.fault.code === fault(3021).code);
  assert.equal(clock.timers, 0);
});

for (const [what, db] of [
  ['the database', hung],
  ['its socket', hungSocket],
] as const) {
  test(`health is told without the number of agents while ${what} does not answer`, async () => {
    const clock = new HandClock();
    const view = masterView(clock, db);

    const asking = view.health(null, never);
    clock.advance(5_001);
    const { nodes } = await asking;

    assert.deepEqual(
      nodes.map((node) => [node.name, node.activeAgents]),
      [['m', 0]],
    );
    assert.equal(clock.timers, 0);
  });
}
