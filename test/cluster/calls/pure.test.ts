/** The rules of calls as values: permissions, rows, merging, routes, queues. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentsFromDb } from '../../../src/cluster/calls/agents-from-db.ts';
import { CallDesk } from '../../../src/cluster/calls/call-desk.ts';
import { CallQueue } from '../../../src/cluster/calls/call-queue.ts';
import { parseCallRequest } from '../../../src/cluster/calls/call-request.ts';
import { parseDaemonRequest } from '../../../src/cluster/calls/daemon-request.ts';
import { mayForward } from '../../../src/cluster/calls/known-verbs.ts';
import { mergeResults } from '../../../src/cluster/calls/merge.ts';
import { queryNodes } from '../../../src/cluster/calls/node-query.ts';
import type { NodeView } from '../../../src/cluster/calls/node-view.ts';
import { PendingCalls } from '../../../src/cluster/calls/pending-calls.ts';
import { DeniedError, Permissions } from '../../../src/cluster/calls/rbac.ts';
import { routeOf, shareKwargs, solversOf } from '../../../src/cluster/calls/route.ts';
import { nested, selectRows } from '../../../src/cluster/calls/select-rows.ts';
import { itemsResult } from '../../../src/cluster/calls/verb.ts';
import { verbNames } from '../../../src/cluster/calls/verbs.ts';
import { fault } from '../../../src/cluster/wire/fault.ts';
import type { CallResult } from '../../../src/cluster/wire/result-json.ts';
import type { JsonObject, JsonValue } from '../../../src/guards.ts';
import { HandClock, random } from '../links.ts';
import { AgentDatabase } from '../system/database.ts';

const ids = ['001', '002', '003'];
const groups: Readonly<Record<string, readonly string[]>> = {
  '001': ['default'],
  '002': ['default', 'web'],
  '003': ['web'],
};

/** Permissions, and which of the agents 001 to 003 remain; `denied`: 4000. */
const rbac: readonly (readonly [string, JsonValue | undefined, string])[] = [
  ['none at all', undefined, '001 002 003'],
  ['black without rules', { rbac_mode: 'black' }, '001 002 003'],
  ['white without rules', { rbac_mode: 'white' }, ''],
  ['all', { rbac_mode: 'white', 'agent:read': { 'agent:id:*': 'allow' } }, '001 002 003'],
  ['one', { rbac_mode: 'white', 'agent:read': { 'agent:id:002': 'allow' } }, '002'],
  ['another action', { rbac_mode: 'white', 'agent:delete': { 'agent:id:*': 'allow' } }, ''],
  ['another resource', { rbac_mode: 'white', 'agent:read': { 'group:id:*': 'allow' } }, ''],
  [
    'all but one',
    { rbac_mode: 'white', 'agent:read': { 'agent:id:*': 'allow', 'agent:id:003': 'deny' } },
    '001 002',
  ],
  [
    'the later rule wins',
    { rbac_mode: 'white', 'agent:read': { 'agent:id:003': 'deny', 'agent:id:*': 'allow' } },
    '001 002 003',
  ],
  ['black denies', { rbac_mode: 'black', 'agent:read': { 'agent:id:001': 'deny' } }, '002 003'],
  ['a group', { rbac_mode: 'white', 'agent:read': { 'agent:group:web': 'allow' } }, '002 003'],
  [
    'an agent that is not there',
    { rbac_mode: 'white', 'agent:read': { 'agent:id:9': 'allow' } },
    '',
  ],
  ['an unknown mode', { rbac_mode: 'grey' }, 'denied'],
  ['no mode', {}, 'denied'],
  ['a list', [], 'denied'],
  ['an unknown effect', { rbac_mode: 'black', 'agent:read': { 'agent:id:1': 'maybe' } }, 'denied'],
  ['an unreadable resource', { rbac_mode: 'black', 'agent:read': { nonsense: 'allow' } }, 'denied'],
  ['rules that are no rules', { rbac_mode: 'black', 'agent:read': 'all' }, 'denied'],
  [
    'a denial of pairs',
    { rbac_mode: 'black', 'agent:read': { 'agent:id:1&group:id:2': 'deny' } },
    'denied',
  ],
  [
    'a pair grants nothing',
    { rbac_mode: 'white', 'agent:read': { 'agent:id:*&group:id:*': 'allow' } },
    '',
  ],
];

for (const [what, permissions, expected] of rbac) {
  test(`permissions with ${what} leave: ${expected}`, () => {
    const left = (): string => {
      const wanted = { action: 'agent:read', resource: 'agent:id', ids } as const;
      const groupsOf = (id: string): readonly string[] => groups[id] ?? [];
      return [...Permissions.parse(permissions).allowed({ ...wanted, groupsOf })].sort().join(' ');
    };

    if (expected === 'denied') assert.throws(left, isDenied);
    else assert.equal(left(), expected);
  });
}

function isDenied(error: unknown): boolean {
  return error instanceof DeniedError && error.fault.code === 4000;
}

const nodes = [
  { name: 'm', type: 'master', version: '4.14.8', address: '127.0.0.1' },
  { name: 'w', type: 'worker', version: '4.14.8', address: '127.0.0.2' },
  { name: 'w2', type: 'worker', version: '4.14.8', address: '127.0.0.3' },
];

const questions: readonly (readonly [JsonValue, string])[] = [
  [{}, 'm w w2 of 3'],
  [{ filter_node: null, offset: 1, limit: 1 }, 'w of 3'],
  [{ filter_node: 'w' }, 'w of 1'],
  [{ filter_type: 'worker' }, 'w w2 of 2'],
  [{ sort: { fields: ['name'], order: 'desc' } }, 'w2 w m of 3'],
  [{ search: { value: 'W2', negation: false } }, 'w2 of 1'],
  [{ search: { value: 'w2', negation: true } }, 'm w of 2'],
  [{ select: ['name'], distinct: true }, 'm w w2 of 3'],
  [{ filter_node: ['nosuch'] }, 'code 1730'],
  [{ filter_type: 'bogus' }, 'code 1728'],
  [{ select: ['name', 'bogus'] }, 'code 1724'],
  [{ sort: { fields: ['bogus'] } }, 'code 1403'],
  [{ bad_arg: 1 }, 'code 1000'],
  [{ limit: 0 }, 'code 1406'],
  [{ limit: -1 }, 'code 1401'],
  [{ offset: -1 }, 'code 1400'],
  [{ limit: 1e9 }, 'code 1405'],
  [[1], 'code 1000'],
  [{ filter_node: [1] }, 'code 1000'],
];

for (const [asked, expected] of questions) {
  test(`get_nodes ${JSON.stringify(asked)} gives ${expected}`, () => {
    const answer = (): string => {
      try {
        const { items, totalItems } = queryNodes(nodes, asked);
        const names = (items as readonly JsonObject[]).map(({ name }) => name);
        return `${names.join(' ')} of ${totalItems}`;
      } catch (error) {
        return `code ${(error as { fault?: { code: number } }).fault?.code}`;
      }
    };

    assert.equal(answer(), expected);
  });
}

test('rows are nested, and a selected object brings its members', () => {
  const row = { id: '001', 'os.name': 'Debian', 'os.version': '12', name: 'a' };
  const query = { fields: Object.keys(row), required: ['id'], select: ['os'] };

  const { items } = selectRows([row], query);

  assert.deepEqual(items.map(nested), [{ id: '001', os: { name: 'Debian', version: '12' } }]);
});

function items(values: readonly JsonValue[], more: Partial<CallResult> = {}): CallResult {
  const made = itemsResult({ items: values, all: 'all', some: 'some', none: 'none' });
  return { ...made, ...more } as CallResult;
}

function merged(left: CallResult, right: CallResult): string {
  const result = mergeResults(left, right);
  if (result.kind === 'fault') return `fault ${result.fault.code}`;
  if (result.kind === 'document') return JSON.stringify(result.document);
  const failed = result.failed.map((one) => `${one.fault.code}:${one.ids.join('+')}`);
  return [JSON.stringify(result.items), result.totalItems, ...failed].join(' ');
}

const about: CallResult = {
  kind: 'fault',
  fault: { ...fault(3022), class: 'WazuhError', ids: ['w2'] },
};
const byName = { sortFields: ['name'], sortCasting: ['str'], sortAscending: [true] } as const;
const merges: readonly (readonly [string, CallResult, CallResult, string])[] = [
  ['numbers in order', items([1, 3, 5]), items([2, 4]), '[1,2,3,4,5] 5'],
  [
    'numbers downwards',
    items([5, 1], { sortAscending: [false] } as never),
    items([4]),
    '[5,4,1] 3',
  ],
  [
    'by a field',
    items([{ name: 'a' }, { name: 'c' }], byName as never),
    items([{ name: 'b' }]),
    '[{"name":"a"},{"name":"b"},{"name":"c"}] 3',
  ],
  ['objects that stock cannot merge', items([{ a: 1 }]), items([{ a: 2 }]), '[{"a":1},{"a":2}] 2'],
  ['an error about a node', items([1]), about, '[1] 1 3022:w2'],
  ['an error about a node first', about, items([1]), '[1] 1 3022:w2'],
  ['an error about nothing', items([1]), { kind: 'fault', fault: fault(1000) }, 'fault 1000'],
  [
    'documents',
    { kind: 'document', document: { n: 1, s: 'a', l: [1, 2], o: { x: 1 } } },
    { kind: 'document', document: { n: 2, s: 'b', l: [2, 3], o: { x: 2 }, more: true } },
    '{"n":3,"s":"a|b","l":[1,2,3],"o":{"x":3},"more":true}',
  ],
  [
    'one oldest',
    { kind: 'document', document: { older_than: '7d' } },
    { kind: 'document', document: { older_than: '1d' } },
    '{"older_than":"7d"}',
  ],
];

for (const [what, left, right, expected] of merges) {
  test(`merging ${what} gives ${expected}`, () => {
    assert.equal(merged(left, right), expected);
  });
}

const routes = [
  ['local_any', false, 'worker', true, 'here'],
  ['local_any', false, 'master', true, 'here'],
  ['local_master', false, 'master', true, 'here'],
  ['local_master', false, 'worker', true, 'to_master'],
  ['distributed_master', false, 'master', true, 'fan_out'],
  ['distributed_master', true, 'master', true, 'here'],
  ['distributed_master', true, 'worker', true, 'here'],
  ['distributed_master', false, 'worker', true, 'to_master'],
  ['distributed_master', false, 'worker', false, 'here'],
] as const;

for (const [requestType, isFromCluster, type, isDistributed, expected] of routes) {
  const from = isFromCluster ? 'forwarded' : 'fresh';
  test(`${requestType}, ${from}, on a ${type} goes ${expected} (distributed: ${isDistributed})`, () => {
    assert.equal(routeOf({ requestType, isFromCluster }, { type, isDistributed }), expected);
  });
}

const agents = new AgentDatabase([
  { id: 1, node: 'w' },
  { id: 2, node: 'w2' },
  { id: 3, node: 'm' },
]);
const solvers: readonly (readonly [JsonObject, boolean, string])[] = [
  [{ node_id: 'w' }, false, 'w'],
  [{ node_list: ['w', 'w2', 'w'] }, false, 'w w2'],
  [{ node_list: '*' }, true, 'm w w2'],
  [{}, true, 'm w w2'],
  [{}, false, 'm w w2'],
  [{ agent_list: ['001', '002', '099'] }, false, 'w[001] w2[002] m[099]'],
  [{ agent_id: '001' }, false, 'w[001]'],
  [{ agent_list: '*' }, false, 'm[000+003] w[001] w2[002]'],
  [{ agent_list: ['001', '002'], node_id: 'w' }, false, 'w[001]'],
];

for (const [kwargs, isBroadcast, expected] of solvers) {
  test(`${JSON.stringify(kwargs)} is solved by ${expected}`, async () => {
    const never = new AbortController().signal;
    const shares = await solversOf({
      kwargs,
      isBroadcast,
      self: 'm',
      nodes: ['m', 'w', 'w2'],
      agents: () => new AgentsFromDb(agents).agents(never),
    });
    const shown = shares.map((one) => one.node + (one.agents ? `[${one.agents.join('+')}]` : ''));

    assert.equal(shown.join(' '), expected);
  });
}

test('a share keeps its agents and loses the choice of nodes', () => {
  const kwargs = { agent_list: ['1', '2'], node_list: ['w'], limit: 5 };

  assert.deepEqual(shareKwargs(kwargs, { node: 'w', agents: ['1'] }), {
    agent_list: ['1'],
    limit: 5,
  });
  assert.deepEqual(shareKwargs(kwargs, { node: 'w', agents: undefined }), {
    agent_list: ['1', '2'],
    limit: 5,
  });
});

test('a queue runs a few calls of each asker at once, keeps a few, refuses the rest', async () => {
  const queue = new CallQueue({ atOncePerAsker: 2, waitingPerAsker: 3, total: 100 });
  const ends: (() => void)[] = [];
  const work = (): Promise<void> => new Promise((resolve) => ends.push(resolve));

  const taken = Array.from({ length: 8 }, () => queue.push('a', work));
  const other = queue.push('b', work);

  assert.deepEqual(taken, [true, true, true, true, true, false, false, false]);
  assert.ok(other, 'another asker is not held up');
  assert.equal(ends.length, 3);
  while (queue.size > 0) {
    for (const end of ends.splice(0)) end();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(queue.push('a', async () => undefined));
});

test('an asker that is gone leaves nothing waiting', () => {
  const queue = new CallQueue({ atOncePerAsker: 1, waitingPerAsker: 3, total: 3 });
  for (let turn = 0; turn < 3; turn++) queue.push('a', () => new Promise(() => undefined));

  queue.drop('a');

  assert.equal(queue.size, 1);
});

test('an answer counts only from who was asked, and only in time', async () => {
  const clock = new HandClock();
  const pending = new PendingCalls(clock, random);
  const [asked, other] = [{}, {}];
  let id = '';
  const ask = async (one: string): Promise<void> => {
    id = one;
  };

  const answer = pending.run(asked, 1000, ask);
  await Promise.resolve();
  assert.equal(pending.settle(other, id, Buffer.from('forged')), false);
  assert.equal(pending.settle(asked, id, Buffer.from('real')), true);
  assert.equal((await answer).toString(), 'real');

  const late = pending.run(asked, 1000, ask);
  await Promise.resolve();
  clock.advance(1001);
  await assert.rejects(late, { fault: fault(3021) });
  assert.equal(pending.settle(asked, id, Buffer.from('late')), false);

  const lost = pending.run(asked, 1000, ask);
  await Promise.resolve();
  pending.left(asked);
  await assert.rejects(lost, { fault: fault(3032) });
  assert.equal(pending.size, 0);
});

const asks: readonly (readonly [string, string])[] = [
  ['{"daemon_name":"authd","message":{"function":"add"}}', 'authd {"function": "add"}'],
  ['{"daemon_name":"remoted","message":"{\\"a\\":1}"}', 'remoted {"a":1}'],
  [
    '{"daemon_name":"nosuch","message":"x"}',
    "Error 1014 - Error communicating with socket: 'nosuch'",
  ],
  ['{"daemon_name":"wazuh-db","message":"x"}', "'wazuh-db'"],
  ['{"daemon_name":"__proto__","message":"x"}', "'__proto__'"],
  ['{"daemon_name":"../../etc/passwd","message":"x"}', "'../../etc/passwd'"],
  ['{"daemon_name":["authd"],"message":"x"}', 'not a text'],
  ['{"daemon_name":"authd","message":7}', 'neither a text'],
  ['{"daemon_name":"authd"}', 'neither a text'],
  ['{"daemon_name":"authd","message":"x","path":"/x"}', 'unexpected argument "path"'],
  ['{"daemon_name":"authd","message":{"__callable__":{}}}', 'not allowed here'],
  [`{"daemon_name":"authd","message":"${'x'.repeat(65_537)}"}`, 'more than 65536 bytes'],
  ['x', 'Expecting value'],
];

for (const [body, expected] of asks) {
  test(`a daemon is asked as ${body.slice(0, 60)}: ${expected}`, () => {
    const told = (): string => {
      try {
        const allowed = ['authd', 'task-manager', 'remoted'] as const;
        const { daemon, message } = parseDaemonRequest(Buffer.from(body), allowed);
        return `${daemon} ${message}`;
      } catch (error) {
        return (error as Error).message;
      }
    };

    assert.ok(told().includes(expected), told());
  });
}

test('a directory of many agents comes in pages that fit, each agent once', async () => {
  const wanted = Array.from({ length: 3000 }, (_, index) => ({ id: index + 1 }));
  const database = new AgentDatabase(wanted);

  const rows = await new AgentsFromDb(database).agents(new AbortController().signal);

  assert.deepEqual(
    rows.map(({ id }) => id),
    Array.from({ length: 3001 }, (_, index) => index),
  );
  assert.ok(database.asked.length < 80, `${database.asked.length} questions`);
});

test('a database that tells the same agents for ever is given up', async () => {
  const row = JSON.stringify([{ id: 1, name: 'a' }]);
  const db = { query: async () => ({ status: 'ok', payload: row }) as const };

  const asking = new AgentsFromDb(db).agents(new AbortController().signal);

  await assert.rejects(asking, /does not come to an end/);
});

test('whatever is served may be forwarded, and nothing that nobody knows', () => {
  for (const verb of verbNames()) assert.ok(mayForward(verb), verb);
  assert.ok(mayForward('wazuh.manager.get_config'));
  for (const verb of ['wazuh.os.system', 'os.system', 'wazuh.agent.__init__', '']) {
    assert.equal(mayForward(verb), false);
  }
});

test('a call that is refused before it runs leaves no timer behind', async () => {
  const clock = new HandClock();
  const view = { self: { type: 'master' } } as NodeView;
  const ask = (): Promise<CallResult> => assert.fail('nobody else is asked');
  const desk = new CallDesk({ clock, view, isDistributed: true, callTimeoutMs: 200_000, ask });
  const f = `{"__callable__": {"__name__": "get_agents", "__module__": "wazuh.agent", "__qualname__": "get_agents", "__type__": "function"}}`;
  const body = `{"f": ${f}, "wait_for_complete": true, "rbac_permissions": {"rbac_mode": "grey"}}`;

  const result = await desk.run(parseCallRequest(Buffer.from(body)), new AbortController().signal);

  assert.equal(result.kind, 'fault');
  assert.equal(clock.timers, 0);
});
