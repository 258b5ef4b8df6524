import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { nowS, TestStore } from './stores.ts';

const set = (mode: string, data: unknown, status = 'syncreq'): string =>
  `global set-agent-groups ${JSON.stringify({ mode, sync_status: status, data })}`;

test('groups keep their order, their hash and the hash of the whole table', async (t) => {
  const store = new TestStore(t, false, ['linux']);
  store.addAgent(1);
  store.addAgent(2);
  assert.equal(await store.ask(set('override', [{ id: 1, groups: ['linux', 'default'] }])), 'ok');
  assert.equal(await store.ask(set('append', [{ id: 2, groups: ['default'] }])), 'ok');
  const row = await store.ask('global sql select `group`, group_hash from agent where id = 1');
  assert.equal(row, 'ok [{"group":"linux,default","group_hash":"3896ccb4"}]');
  const hash = createHash('sha1').update('3896ccb437a8eec1').digest('hex');
  assert.equal(
    await store.ask('global sync-agent-groups-get {"get_global_hash": true}'),
    `ok [{"data":[],"hash":"${hash}"}]`,
  );
  assert.equal(await store.ask(`global get-groups-integrity ${hash}`), 'ok ["syncreq"]');
});

test('changes are told once when they are marked, and again and again when they are not', async (t) => {
  const store = new TestStore(t);
  store.addAgent(3);
  await store.ask(set('override', [{ id: 3, groups: ['default'] }]));
  const peek = 'global sync-agent-groups-get {"condition":"sync_status"}';
  const take = 'global sync-agent-groups-get {"condition":"sync_status","set_synced":true}';
  const page = 'ok [{"data":[{"id":3,"name":"agent00003","groups":["default"]}]}]';
  assert.equal(await store.ask(peek), page);
  assert.equal(await store.ask(peek), page);
  assert.equal(await store.ask(take), page);
  assert.equal(await store.ask(take), 'ok [{"data":[]}]');
});

test('an agent added in this second is left out, as wazuh-db does', async (t) => {
  const store = new TestStore(t);
  store.addAgent(1, { date_add: nowS });
  store.addAgent(2, { date_add: nowS - 30 });
  const all = await store.ask('global sync-agent-groups-get {"condition":"all"}');
  assert.match(all, /"id":2/);
  assert.doesNotMatch(all, /"id":1\b/);
  const delayed = '{"condition":"all","agent_registration_delta":60}';
  assert.equal(await store.ask(`global sync-agent-groups-get ${delayed}`), 'ok [{"data":[]}]');
});

test('pages end before 65 024 bytes, and together name every agent once', async (t) => {
  const store = new TestStore(t);
  for (let id = 1; id <= 3_000; id++) store.addAgent(id);
  const seen: number[] = [];
  for (let lastId = 0; ; ) {
    const wish = { condition: 'all', last_id: lastId, get_global_hash: true };
    const answer = await store.ask(`global sync-agent-groups-get ${JSON.stringify(wish)}`);
    assert.ok(Buffer.byteLength(answer) <= 65_024 + 4);
    const [page] = JSON.parse(answer.slice(answer.indexOf(' ') + 1));
    seen.push(...page.data.map(({ id }: { id: number }) => id));
    lastId = seen.at(-1) ?? 0;
    if (answer.startsWith('ok')) break;
    assert.equal('hash' in page, false);
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 3_000 }, (_, index) => index + 1),
  );
});

test('one bad element is refused before anything of its agent changes; others are stored', async (t) => {
  const store = new TestStore(t, true);
  store.addAgent(1);
  await store.ask(set('override', [{ id: 1, name: 'a', groups: ['default'] }], 'synced'));
  const bad = [
    { id: 1, name: 'a', groups: ['../../etc'] },
    { id: 1, name: 'a', groups: ['..'] },
    { id: 1, name: 'a', groups: 'default' },
    { id: '1; drop table agent', name: 'a', groups: [] },
    { id: 1, groups: ['default'] },
    { id: 1, name: 'a', groups: Array.from({ length: 129 }, () => 'default') },
    null,
  ];
  const answer = await store.ask(
    set('override', [...bad, { id: 5, name: 'b', groups: ['default'] }]),
  );
  assert.equal(answer, 'err An error occurred during the set of the groups');
  assert.equal(
    await store.ask('global sql select id, name, `group` from agent where id > 0'),
    'ok [{"id":1,"name":"agent00001","group":"default"},{"id":5,"name":"b","group":"default"}]',
  );
});

test('a group that exists nowhere is an error, one with a folder is made', async (t) => {
  const store = new TestStore(t, false, ['web']);
  store.addAgent(1);
  assert.equal(await store.ask(set('override', [{ id: 1, groups: ['web'] }])), 'ok');
  assert.match(await store.ask(set('override', [{ id: 1, groups: ['nosuch', 'web'] }])), /^err/);
  assert.match(await store.ask('global select-groups'), /web/);
  assert.doesNotMatch(await store.ask('global select-groups'), /nosuch/);
});

test('the last group of an agent cannot be taken away', async (t) => {
  const store = new TestStore(t, false, ['web']);
  store.addAgent(1);
  await store.ask(set('override', [{ id: 1, groups: ['web'] }]));
  assert.equal(await store.ask(set('remove', [{ id: 1, groups: ['web'] }])), 'ok');
  assert.match(await store.ask('global select-agent-group 1'), /"default"/);
  assert.equal(await store.ask(set('empty_only', [{ id: 1, groups: ['web'] }])), 'ok');
  assert.match(await store.ask('global select-agent-group 1'), /"default"/);
});

test('agent-info leaves once, in three parts, without empty members', async (t) => {
  const store = new TestStore(t);
  const state = { group_config_status: 'synced', connection_status: 'active' };
  store.addAgent(1, { ...state, sync_status: 'syncreq', os_name: 'Debian' });
  store.addAgent(2, { ...state, sync_status: 'syncreq_keepalive', version: 'v1' });
  store.addAgent(3, { sync_status: 'syncreq_status', connection_status: 'disconnected' });
  store.sql.run("INSERT INTO labels VALUES (1, 'env', 'a\"b')");
  const body = await store.get('/v1/agents/sync');
  assert.deepEqual(JSON.parse(body.slice(4)), {
    syncreq: [
      {
        ...{ id: 1, name: 'agent00001', os_name: 'Debian', node_name: 'unknown' },
        ...{ connection_status: 'active', disconnection_time: 0, group_config_status: 'synced' },
        ...{ status_code: 0, labels: [{ key: 'env', value: 'a"b' }] },
      },
    ],
    syncreq_keepalive: [{ id: 2, version: 'v1' }],
    syncreq_status: [
      { id: 3, connection_status: 'disconnected', disconnection_time: 0, status_code: 0 },
    ],
  });
  assert.equal(await store.get('/v1/agents/sync'), '200 {}');
});

test('agents of several pages leave with their own labels, each once', async (t) => {
  const store = new TestStore(t);
  store.sql.transaction(() => {
    for (let id = 1; id <= 2_500; id++) {
      store.addAgent(id, { sync_status: id % 5 === 0 ? 'synced' : 'syncreq' });
      if (id % 2 === 0) store.sql.run("INSERT INTO labels VALUES (?, 'n', ?)", id, `of ${id}`);
    }
  });
  const { syncreq } = JSON.parse((await store.get('/v1/agents/sync')).slice(4));
  const ids = Array.from({ length: 2_500 }, (_, n) => n + 1).filter((id) => id % 5 !== 0);
  assert.deepEqual(
    syncreq.map(({ id, labels }: { id: number; labels?: unknown }) => ({ id, labels })),
    ids.map((id) => ({
      id,
      labels: id % 2 === 0 ? [{ key: 'n', value: `of ${id}` }] : undefined,
    })),
  );
  assert.equal(await store.get('/v1/agents/sync'), '200 {}');
});

test('a group that is named twice stands where it is named last, in every column', async (t) => {
  const store = new TestStore(t, false, ['web', 'db']);
  store.addAgent(1);
  const asked = set('override', [{ id: 1, groups: ['web', 'db', 'web'] }]);
  assert.equal(await store.ask(asked), 'ok');
  assert.match(await store.ask('global select-agent-group 1'), /"db,web"/);
  const members = `select g.name from belongs join \`group\` g on g.id = id_group where id_agent = 1 order by priority`;
  assert.equal(await store.ask(`global sql ${members}`), 'ok [{"name":"db"},{"name":"web"}]');
});

test('agent-info is stored whole or not at all; unknown agents change nothing', async (t) => {
  const store = new TestStore(t);
  store.addAgent(1);
  const good = { id: 1, os_name: "x'; DROP TABLE agent; --", connection_status: 'active' };
  const whole = { ...good, group_config_status: 'synced', labels: [{ key: 'k', value: 'v' }] };
  const post = (body: unknown) => store.post('/v1/agents/sync', JSON.stringify(body));
  assert.match(await post({ syncreq: [whole, { ...whole, connection_status: 'gone' }] }), /^500/);
  assert.match(await post({ syncreq: [whole, { ...whole, os_name: 7 }] }), /^500/);
  assert.match(await store.post('/v1/agents/sync', '{"syncreq":'), /^500/);
  assert.doesNotMatch(await store.ask('global get-agent-info 1'), /DROP/);
  assert.equal(await post({ syncreq: [whole, { ...whole, id: 77 }] }), '200 ');
  assert.match(await store.ask('global get-agent-info 1'), /DROP TABLE agent/);
  assert.equal(await post({ syncreq_keepalive: [{ id: 1 }] }), '200 ');
  assert.match(await store.ask('global get-agent-info 1'), new RegExp(`"last_keepalive":${nowS}`));
});

test('what waits to be sent only becomes more urgent', async (t) => {
  const store = new TestStore(t);
  store.addAgent(1, { sync_status: 'syncreq' });
  const alive = { id: 1, connection_status: 'active', sync_status: 'syncreq_keepalive' };
  await store.ask(`global update-keepalive ${JSON.stringify(alive)}`);
  assert.match(await store.get('/v1/agents/sync'), /^200 \{"syncreq":/);
  await store.ask(`global update-keepalive ${JSON.stringify(alive)}`);
  assert.match(await store.get('/v1/agents/sync'), /^200 \{"syncreq_keepalive":/);
});

test('statements of others reach data only, and answers are cut where wazuh-db cuts', async (t) => {
  const store = new TestStore(t);
  for (let id = 1; id <= 2_000; id++) store.addAgent(id);
  const refused = [
    'drop table agent',
    'pragma writable_schema = 1',
    "attach '/tmp/x.db' as x",
    'create table t (a)',
    'delete from metadata',
    'begin exclusive',
    'with recursive c(x) as (select 1 union all select x + 1 from c) select x from c',
    "select load_extension('/tmp/x.so')",
  ];
  for (const statement of refused) {
    assert.match(await store.ask(`global sql ${statement}`), /^err .*not authorized/, statement);
  }
  assert.match(await store.ask('global sql select 1 as n; drop table agent'), /^ok \[\{"n":1\}\]$/);
  const long = await store.ask('global sql select * from agent');
  assert.ok(long.length > 65_536 && long.length < 80_000);
  assert.equal(await store.ask('global sql delete from agent where id > 5'), 'ok []');
});

test('store-sql: a statement that would hold up the others is refused at once, what programs ask is not', async (t) => {
  const store = new TestStore(t);
  store.sql.transaction(() => {
    for (let id = 1; id <= 2_000; id++) {
      store.addAgent(id);
      store.sql.run('INSERT INTO belongs (id_group, id_agent, priority) VALUES (1, ?, 0)', id);
    }
  });
  const costly = [
    'select count(*) from agent a, agent b, agent c',
    'select count(*) from belongs a join belongs b using (id_group), belongs c',
    'select count(*) from agent a where name in (select a.name || b.name || c.name from agent b, agent c)',
    'update agent set name = (select count(*) from agent a, agent b where a.name < agent.name)',
    'select count(*) from (select a.id from agent a, agent b union all select 1), agent',
  ];
  for (const statement of costly) {
    assert.match(await store.ask(`global sql ${statement}`), /^err .*too many rows/, statement);
  }
  assert.match(await store.ask('global sql select hex(zeroblob(9000000)) as x'), /^err .*too big/);
  const select = "select value from json_each('[1]')";
  const deep = `global sql ${Array(40).fill(select).join(' union all ')}`;
  assert.match(await store.ask(deep), /^err /);
  const asked = [
    'SELECT COUNT(DISTINCT a.id) FROM agent a LEFT JOIN belongs b ON a.id = b.id_agent',
    "SELECT COUNT(*) FROM (SELECT id, name FROM agent WHERE (id IN (1, 2)) AND name LIKE '%a%')",
    'SELECT name, COUNT(id_agent) AS n FROM `group` LEFT JOIN belongs ON id = id_group GROUP BY name',
    'SELECT COUNT(*) FROM (SELECT DISTINCT os_platform FROM agent)',
    'select agent.id, value from agent left join labels on labels.id = agent.id where os_name > 0',
    'update agent set name = name where id in (select id_agent from belongs)',
    'select (select count(*) from belongs where id_agent = agent.id) as n from agent where id < 3',
  ];
  for (const statement of asked) {
    assert.match(await store.ask(`global sql ${statement}`), /^ok \[/, statement);
  }
});

test('what is not a command is told as wazuh-db tells it', async (t) => {
  const store = new TestStore(t);
  for (const text of ['', 'global', 'agent 001 sql x', 'global toString', 'global __proto__ x']) {
    assert.match(await store.ask(text), /^err Invalid DB query syntax, near '/, text);
  }
  assert.equal(
    await store.ask('global set-agent-groups {"mode":"nosuch","data":[]}'),
    "err Invalid mode 'nosuch' in set_agent_groups command",
  );
  assert.match(await store.ask('global set-agent-groups {"mode":"override"}'), /missing required/);
  assert.match(
    await store.ask('global sync-agent-groups-get {"last_id":-1}'),
    /alternative fields/,
  );
  assert.match(await store.ask('global get-groups-integrity abc'), /Expected \(40\) got \(3\)/);
});
