/** Calls, daemons and the local socket over whole nodes of ours: real sockets, a real database. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { LocalClient } from '../../../src/cluster/local/local-client.ts';
import type { Master } from '../../../src/cluster/master/master.ts';
import { encodeFrame, FrameDecoder } from '../../../src/cluster/wire/frame.ts';
import type { CallResult } from '../../../src/cluster/wire/result-json.ts';
import type { Worker } from '../../../src/cluster/worker/worker.ts';
import type { JsonObject } from '../../../src/guards.ts';
import { dialUnix, localSocketPath } from '../../../src/host/cluster-local-socket.ts';
import { systemClock, systemRandom } from '../../../src/host/system-clock.ts';
import { echo, startDaemon } from './daemon.ts';
import { AgentDatabase } from './database.ts';
import { Home, type Running, startMaster, startWorker, until } from './nodes.ts';

const ends: (() => unknown)[] = [];
const t = { after: (end: () => unknown) => void ends.push(end) };
const rules = { 'etc/rules/local_rules.xml': '<group/>' };
const homes = { m: new Home(t, rules), w: new Home(t), w2: new Home(t) };
const database = new AgentDatabase([
  { id: 1, node: 'w' },
  { id: 2, node: 'w2', group: 'default,linux' },
  { id: 3, node: 'm' },
  { id: 4, node: 'gone', status: 'disconnected' },
]);
const cluster = {
  intervals: {
    master: { recalculate_integrity: 0.3 },
    worker: { sync_integrity: 0.3, connection_retry: 0.3 },
  },
};
let master: Running<Master>;
let workers: readonly Running<Worker>[];

before(async () => {
  const more = { agents: database };
  master = await startMaster(t, homes.m, { more, cluster });
  const { port } = master;
  workers = (['w', 'w2'] as const).map((name) =>
    startWorker(t, homes[name], { name, port, more, cluster }),
  );
  await startDaemon(t, homes.m.path, 'queue/sockets/auth', echo('authd'));
  await until('both are connected', () => workers.every(({ role }) => role.status().isConnected));
});

after(async () => {
  for (const end of ends.reverse()) await end();
});

type Name = keyof typeof homes;

function client(at: Name): LocalClient {
  const path = localSocketPath(homes[at].path);
  const dial = (signal: AbortSignal) => dialUnix(systemClock, path, signal);
  return new LocalClient({ clock: systemClock, random: systemRandom, dial });
}

function request(name: string, kwargs: JsonObject, more: JsonObject = {}): JsonObject {
  const [module, qualname] = name.split(':');
  const callable = {
    __name__: qualname ?? '',
    __module__: module ?? '',
    __qualname__: qualname ?? '',
    __type__: 'function',
  };
  return {
    f: { __callable__: callable },
    f_kwargs: kwargs,
    rbac_permissions: { rbac_mode: 'black' },
    ...more,
  };
}

function told(result: CallResult): string {
  if (result.kind === 'fault') return `fault ${result.fault.code}`;
  if (result.kind === 'document') return JSON.stringify(result.document);
  const failed = result.failed.map((one) => `${one.fault.code}:${[...one.ids].sort().join('+')}`);
  const shown = result.items.map((item) => {
    const { id, name, node } = item as JsonObject;
    return id ?? name ?? node ?? 'one';
  });
  return [...shown, ...failed].join(' ');
}

for (const at of ['m', 'w', 'w2'] as const) {
  test(`programs beside ${at} see all nodes and their health`, async () => {
    const list = await client(at).nodes();
    const { connectedNodes, nodes } = await client(at).health(null);

    assert.deepEqual(list.items.map(({ name }) => name).sort(), ['m', 'w', 'w2']);
    assert.equal(list.items[0]?.type, 'master');
    assert.equal(connectedNodes, 2);
    const agents = Object.fromEntries(nodes.map((node) => [node.name, node.activeAgents]));
    assert.deepEqual(agents, { m: 1, w: 1, w2: 1 });
  });
}

const calls: readonly (readonly [string, JsonObject, JsonObject, string])[] = [
  ['wazuh.agent:get_agents', { agent_list: ['001', '099'] }, {}, '001 1701:099'],
  ['wazuh.agent:get_agents', { filters: { node_name: ['w2', 'm'] } }, {}, '002 003'],
  ['wazuh.agent:get_agents', { filters: { group: 'linux' }, select: ['name'] }, {}, '002'],
  ['wazuh.agent:get_agents', { limit: 2, offset: 1 }, {}, '001 002'],
  ['wazuh.agent:get_agents', { filters: { older_than: '1d' } }, {}, '001 002 003 004'],
  ['wazuh.agent:get_agents', { filters: { bogus: 1 } }, {}, 'fault 1408'],
  ['wazuh.agent:get_agents', { q: 'id=1,group=linux;status=active' }, {}, '001 002'],
  ['wazuh.agent:get_agents', { q: 'id=1', filters: { node_name: 'm' } }, {}, ''],
  ['wazuh.agent:get_agents', { q: 'id' }, {}, 'fault 1407'],
  ['wazuh.agent:get_agents_in_group', { group_list: ['linux'], q: 'id>2' }, {}, ''],
  ['wazuh.agent:get_distinct_agents', { fields: ['name'], q: 'id=2' }, {}, 'agent00002'],
  ['wazuh.agent:get_agent_groups', { q: 'name~lin' }, {}, 'linux'],
  ['wazuh.cluster:get_nodes_info', { q: 'type=worker;name!=w' }, {}, 'w2'],
  ['wazuh.cluster:get_nodes_info', { q: 'type=worker', offset: 1, limit: 1 }, {}, 'w2'],
  ['wazuh.agent:get_agents_in_group', { group_list: ['linux'] }, {}, '002'],
  ['wazuh.agent:get_agents_in_group', { group_list: ['nosuch'] }, {}, 'fault 1710'],
  ['wazuh.agent:get_agent_groups', {}, {}, 'default linux'],
  ['wazuh.agent:get_agent_groups', { group_list: ['linux', 'x'] }, {}, 'linux 1710:x'],
  ['wazuh.agent:get_agents_summary_os', {}, {}, 'one'],
  ['wazuh.cluster:get_nodes_info', { filter_node: ['w', 'x'] }, {}, 'w 1730:x'],
  ['wazuh.cluster:get_status_json', {}, {}, '{"data":{"enabled":"yes","running":"yes"}}'],
  ['wazuh.agent:add_agent', { name: 'x' }, {}, 'fault 1000'],
  [
    'wazuh.agent:get_agents',
    { agent_list: ['001', '002'] },
    { rbac_permissions: { rbac_mode: 'white', 'agent:read': { 'agent:id:002': 'allow' } } },
    '002 4000:001',
  ],
  [
    'wazuh.agent:get_agents',
    { agent_list: ['001'] },
    { rbac_permissions: { rbac_mode: 'white' } },
    'fault 4000',
  ],
  [
    'wazuh.cluster:get_node_wrapper',
    { node_list: '*' },
    { request_type: 'distributed_master', broadcasting: true },
    'm w w2',
  ],
  [
    'wazuh.cluster:get_node_wrapper',
    { node_list: ['w', 'x'] },
    { request_type: 'distributed_master' },
    'w 1730:x',
  ],
  [
    'wazuh.cluster:get_node_wrapper',
    { node_list: ['m', 'w'] },
    {
      request_type: 'distributed_master',
      rbac_permissions: { rbac_mode: 'white', 'cluster:read': { 'node:id:w': 'allow' } },
    },
    'w 4000:m',
  ],
  [
    'wazuh.agent:get_agents',
    { agent_list: ['001', '002', '003'] },
    { request_type: 'distributed_master' },
    '001 002 003',
  ],
  [
    'wazuh.agent:get_agents',
    { agent_list: ['004', '003'] },
    { request_type: 'distributed_master' },
    '003 3022:gone',
  ],
  ['wazuh.manager:get_config', {}, { request_type: 'local_any' }, 'fault 1000'],
];

for (const [verb, kwargs, more, expected] of calls) {
  test(`${verb} ${JSON.stringify({ ...kwargs, ...more })} gives ${expected} from any node`, async () => {
    const asked = request(verb, kwargs, more);

    const results = await Promise.all([client('m').call(asked), client('w').call(asked)]);

    assert.deepEqual(results.map(told), [expected, expected]);
  });
}

test('the key never leaves with a call, whatever the caller claims to be allowed', async () => {
  const all = {
    'cluster:update_config': { 'node:id:*': 'allow' },
    'cluster:read': { 'node:id:*': 'allow' },
  };
  const asked = request(
    'wazuh.cluster:read_config_wrapper',
    { node_list: '*' },
    {
      request_type: 'distributed_master',
      broadcasting: true,
      rbac_permissions: { rbac_mode: 'white', ...all },
    },
  );

  const result = await client('w').call(asked);

  assert.equal(result.kind, 'items');
  const text = JSON.stringify(result);
  assert.equal(text.match(/"key":"\*\*\*\*\*"/g)?.length, 3);
  assert.ok(!text.includes('c98b62a9'));
});

test('the ruleset of a worker equals the master’s once its files do', async () => {
  const hashes = await client('m').call(
    request('wazuh.core.cluster.control:get_node_ruleset_integrity', {}),
  );
  assert.equal(hashes.kind, 'document');
  const kwargs = { master_md5: (hashes as { document: JsonObject }).document, node_list: '*' };
  const asked = request('wazuh.cluster:get_ruleset_sync_status', kwargs, {
    request_type: 'distributed_master',
    broadcasting: true,
  });
  await until('the rule is at w2', () =>
    Object.keys(homes.w2.tree()).some((name) => name.includes('rules')),
  );

  let synced: readonly unknown[] = [];
  for (let turn = 0; turn < 60 && synced.length < 3; turn++) {
    const result = await client('m').call(asked);
    synced =
      result.kind === 'items' ? result.items.filter((one) => (one as JsonObject).synced) : [];
    if (synced.length < 3) await new Promise((resolve) => setTimeout(resolve, 100));
  }

  assert.deepEqual(
    synced.map((one) => (one as JsonObject).name),
    ['m', 'w', 'w2'],
  );
});

test('dapi_fwd reaches the named worker; an unknown one is 3022', async () => {
  const asked = request('wazuh.cluster:get_node_wrapper', {}, { from_cluster: true });

  assert.equal(told(await client('m').callTo('w2', asked)), 'w2');
  await assert.rejects(client('m').callTo('nosuch', asked), /Error 3022/);
});

/** As authd asks: one frame out, one frame in, hang up. */
async function askAsDaemon(at: Name, body: string, word = 'sendsync'): Promise<[string, string]> {
  const socket = connect(localSocketPath(homes[at].path));
  socket.on('error', () => undefined);
  socket.write(encodeFrame({ counter: 77, word, role: 'whole' }, Buffer.from(body)));
  const decoder = new FrameDecoder();
  for await (const chunk of socket) {
    decoder.push(chunk as Buffer);
    const frame = decoder.next(65_536);
    if (frame === undefined) continue;
    socket.destroy();
    return [frame.word, frame.payload.toString()];
  }
  return ['closed', ''];
}

test('a worker’s program asks a daemon of the master and gets its raw answer', async () => {
  const message = { function: 'add', arguments: { name: 'a1', ip: 'any' } };

  const good = await askAsDaemon('w', JSON.stringify({ daemon_name: 'authd', message }));
  const absent = await askAsDaemon('w', JSON.stringify({ daemon_name: 'remoted', message }));
  const unknown = await askAsDaemon('w', JSON.stringify({ daemon_name: 'nosuch', message }));
  const onMaster = await askAsDaemon('m', JSON.stringify({ daemon_name: 'authd', message }));

  const answer = { error: 0, message: 'ok', data: { daemon: 'authd', echo: message } };
  assert.deepEqual([good[0], JSON.parse(good[1])], ['ok', answer]);
  assert.equal(absent[0], 'err');
  assert.match(absent[1], /^Error 1013 - Unable to connect with socket/);
  assert.deepEqual(unknown, ['err', "Error 1014 - Error communicating with socket: 'nosuch'"]);
  assert.deepEqual(onMaster, ['err', "unknown command 'b'sendsync''"]);
});

const words: readonly (readonly [string, string])[] = [
  ['{"filter_node": "w2"}', 'w2'],
  ['get_nodes {"filter_type": "master"}', 'm'],
  ['get_nodes', 'm w w2'],
  ['null', 'health m w w2'],
  ['get_health ["w"]', 'health w'],
  ['get_nodes {"filter_node": "x"}', 'code 1730'],
  ['nonsense', 'code 1000'],
];

for (const [body, expected] of words) {
  test(`the documented dapi_clus ${body} gives ${expected}`, async () => {
    const [, text] = await askAsDaemon('m', body, 'dapi_clus');

    const { items, nodes, __wazuh_exception__: failed } = JSON.parse(text);
    const names = (items ?? Object.values(nodes ?? {})).map(
      (one: JsonObject) => one.name ?? (one.info as JsonObject).name,
    );
    const told =
      failed === undefined ? [...names].sort().join(' ') : `code ${failed.__object__.code}`;
    assert.equal(nodes === undefined ? told : `health ${told}`, expected);
  });
}

test('a worker passes dapi_clus on by words that any master knows', async () => {
  const [, direct] = await askAsDaemon('w', 'get_nodes', 'dapi_clus');

  assert.equal(direct, 'Sent request to master node');
});

test('a hundred daemons’ questions at once are all answered, each with its own', async () => {
  const asked = Array.from({ length: 100 }, (_, index) => ({
    daemon_name: 'authd',
    message: { function: 'add', arguments: { name: `agent-${index}` } },
  }));

  const answers = await Promise.all(
    asked.map((body, index) => askAsDaemon(index % 2 === 0 ? 'w' : 'w2', JSON.stringify(body))),
  );

  for (const [index, [word, text]] of answers.entries()) {
    assert.equal(word, 'ok');
    assert.deepEqual(JSON.parse(text).data.echo, asked[index]?.message);
  }
});

test('a worker without its master says so at once, and answers what it can', async (test) => {
  const home = new Home(test);
  const alone = startWorker(test, home, {
    name: 'alone',
    port: 1,
    more: { agents: database },
    cluster,
  });
  const dial = (signal: AbortSignal) => dialUnix(systemClock, localSocketPath(home.path), signal);
  const lonely = new LocalClient({ clock: systemClock, random: systemRandom, dial });
  await until('it listens', () => alone.log.has('Serving on'));

  await assert.rejects(lonely.nodes(), /Error 3023/);
  await assert.rejects(lonely.call(request('wazuh.agent:get_agents', {})), /Error 3023/);
  const own = request('wazuh.cluster:get_node_wrapper', {}, { request_type: 'local_any' });
  assert.equal(told(await lonely.call(own)), 'alone');
  assert.ok(alone.log.has("Request 'dapi' could not be forwarded"));
});

test('a second node of one home is refused; the first keeps its socket', async () => {
  await assert.rejects(
    startMaster({ after: () => undefined }, homes.m, { more: { agents: database } }),
    {
      reason: 'listen_failed',
    },
  );
  assert.equal((await client('m').nodes()).totalItems, 3);
});
