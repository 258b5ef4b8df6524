/** The query language `q`: what it reads, what it refuses, and what each clause means. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { agentFields, agentJson, filterAgents } from '../../../src/cluster/calls/agent-rows.ts';
import { CallFault } from '../../../src/cluster/calls/call-fault.ts';
import { likeTest } from '../../../src/cluster/calls/like.ts';
import type { AgentRow } from '../../../src/cluster/calls/node-view.ts';
import { agentQuery } from '../../../src/cluster/calls/query-agents.ts';
import { parseQuery, type Query } from '../../../src/cluster/calls/query-language.ts';
import { queryRows } from '../../../src/cluster/calls/query-rows.ts';
import { selectRows } from '../../../src/cluster/calls/select-rows.ts';

const nowMs = 1_700_000_000_000;
const nowS = nowMs / 1000;

const agents: readonly AgentRow[] = [
  {
    id: 0,
    name: 'manager',
    columns: { connection_status: 'active', date_add: 1, last_keepalive: 253_402_300_799 },
  },
  {
    id: 1,
    name: 'Web-1',
    columns: {
      ip: '10.0.0.1',
      connection_status: 'active',
      os_name: 'Debian',
      os_version: '12',
      version: 'Wazuh v4.14.8',
      group: 'default,web',
      date_add: nowS - 86_400,
      last_keepalive: nowS - 30,
    },
  },
  {
    id: 2,
    name: 'db(main)',
    columns: {
      register_ip: '10.0.0.2',
      connection_status: 'disconnected',
      os_name: 'Ubuntu',
      group: 'database',
      date_add: nowS - 3_600,
      last_keepalive: nowS - 7_200,
    },
  },
  { id: 10, name: 'a[x,y]', columns: { connection_status: 'never_connected', date_add: nowS } },
];

function codeOf(act: () => string): string {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof CallFault)) throw error;
    const { class: name, code, extra } = error.fault;
    assert.equal(name, 'WazuhError');
    return `${code} ${extra}`;
  }
}

function found(q: string): string {
  return codeOf(() =>
    agents
      .filter(agentQuery(q, nowMs))
      .map(({ id }) => id)
      .join(' '),
  );
}

const questions: readonly (readonly [string, string])[] = [
  ['', '0 1 2 10'],
  ['status=active', '0 1'],
  ['status=ACTIVE;id!=000', '1'],
  ['status!=active', '2 10'],
  ['id=001,id=10', '1 10'],
  ['id>1', '2 10'],
  ['id<2;id>0', '1'],
  ['id~1', '1 10'],
  ['id>abc', ''],
  ['id<abc', '0 1 2 10'],
  ['name~WEB', '1'],
  ['name=web-1', '1'],
  ['name=db(main)', '2'],
  ['(name=db(main))', '2'],
  ['name=a[x,y],id=0', '0 10'],
  ['name=w%', ''],
  ['name~w%1', '1'],
  ["name='b-1", ''],
  ["name=W'b-1", '1'],
  ['os.name=debian', '1'],
  ['os.name!=debian', '2'],
  ['os.name=null', '0 10'],
  ['os.version=12', '1'],
  ['ip=10.0.0.2', '2'],
  ['version=Wazuhv4.14.8', '1'],
  ['group=web', '1'],
  ['group!=web', '2'],
  ['group=data', ''],
  ['group~data', '2'],
  ['group=null', '0 10'],
  ['group~web,default', '1407 group~web,default'],
  ['status=all', '0 1 2 10'],
  ['status=all;id=1', '1'],
  ['id=1,status=disconnected;id=2', '1 2'],
  ['(id=1,status=disconnected);id=2', '2'],
  ['((id=1);((status=active)))', '1'],
  ['lastKeepAlive<60', '1'],
  ['lastKeepAlive<1m30s', '1'],
  ['lastKeepAlive>1h', '2'],
  ['lastKeepAlive=3h', '1 2'],
  ['dateAdd>12h', '1'],
  ['dateAdd<2023-11-14', '1'],
  ['dateAdd>2023-11-14 22:00:00', '10'],
  ['dateAdd=2023-11-14T22:13:20Z', '10'],
  ['dateAdd>2023-11-14T21:13:20.5Z', '10'],
  ['dateAdd>2023-11-14T21:13:19.000000Z', '2 10'],
];

for (const [q, expected] of questions) {
  test(`q=${q} finds ${expected}`, () => assert.equal(found(q), expected));
}

const refused: readonly (readonly [string, RegExp])[] = [
  ['status', /^1407 status$/],
  ['status=', /^1407 status=$/],
  ['=x', /^1407/],
  ['status=active;', /^1407/],
  ['status=active,,id=1', /^1407/],
  ['(status=active', /^1407/],
  ['status=active)', /^1407/],
  ['()', /^1407/],
  ['status=a*b', /^1407/],
  ['status=active id', /^$/],
  [`${'('.repeat(20)}id=1${')'.repeat(20)}`, /^1407/],
  [Array(300).fill('id=1').join(','), /^1407/],
  [`name=${'x'.repeat(9_000)}`, /^1407 name=x{251}$/],
  ["name!='x", /^1407/],
  ['bogus=1', /^1408 Available fields: configSum, dateAdd, .*version\. Field: bogus$/],
  ['internal_key~a', /^1408/],
  ['id==1', /^1409 Valid operators: =, !=, <, >, ~\. Used operator: ==$/],
  ['id>=1', /^1409/],
  ['group<a', /^1409 Valid operators for 'group' field: =, !=, ~\. Used operator: <$/],
  ['dateAdd<7d5x', /^1411 7d5x$/],
  ['dateAdd<yesterday', /^1412 yesterday$/],
  ['dateAdd<2023-13-01', /^1412/],
  ['dateAdd=null', /^1412/],
];

for (const [q, expected] of refused) {
  test(`q=${q.slice(0, 60)} is answered ${expected}`, () => assert.match(found(q), expected));
}

test('a query that is no text is refused', () => {
  assert.match(
    codeOf(() => String(agentQuery({ a: 1 }, nowMs))),
    /^1407/,
  );
  assert.match(
    codeOf(() => String(queryRows([], [1]))),
    /^1407/,
  );
});

const rows = [
  { name: 'default', count: 3, os: { name: 'x' } },
  { name: 'web', count: 10, list: ['a', 'b'] },
];

const rowQuestions: readonly (readonly [string, string])[] = [
  ['', 'default web'],
  ['name=web', 'web'],
  ['name=WEB', ''],
  ['name~e;name!=web', 'default'],
  ['count>5', 'web'],
  ['count=3,name=web', 'default web'],
  ['count~1', 'web'],
  ['os.name=x', 'default'],
  ['os.bogus=x', ''],
  ['list=b', 'web'],
  ['bogus=1', ''],
  ['toString~a', ''],
  ['(name=web,count<5);count>5', 'web'],
  ['name', "1407 Parameter 'q' is not valid: 'name'"],
  ['count=many', "1407 Parameter 'q' is not valid: 'count=many'"],
  ['name==web', '1409 Valid operators: =, !=, <, >, ~. Used operator: =='],
];

for (const [q, expected] of rowQuestions) {
  test(`q=${q} over rows finds ${expected}`, () => {
    const names = codeOf(() =>
      queryRows(rows, q)
        .map(({ name }) => name)
        .join(' '),
    );
    assert.equal(names, expected);
  });
}

const clause = fc.record({
  kind: fc.constant('clause' as const),
  field: fc.constantFrom('id', 'os.name', 'a_b'),
  operator: fc.constantFrom('=' as const, '!=' as const, '<' as const, '>' as const, '~' as const),
  value: fc.constantFrom('x', '1', 'a b', 'f(x)', 'g[1,2]', 'a=b', '(p)q', '[a][b'),
});

const queries = fc.letrec<{ query: Query }>((tie) => ({
  query: fc.oneof(
    { maxDepth: 3 },
    clause,
    fc.record({
      kind: fc.constantFrom('and' as const, 'or' as const),
      parts: fc.array(tie('query'), { minLength: 2, maxLength: 3 }),
    }),
  ),
})).query;

function print(query: Query): string {
  if (query.kind === 'clause') return `${query.field}${query.operator}${query.value}`;
  const inner = query.parts.map((part) =>
    part.kind === 'clause' ? print(part) : `(${print(part)})`,
  );
  return inner.join(query.kind === 'and' ? ';' : ',');
}

test('what is printed is read back as it was', () => {
  fc.assert(
    fc.property(queries, (query) => {
      assert.equal(JSON.stringify(parseQuery(print(query))), JSON.stringify(query));
    }),
    { numRuns: 300 },
  );
});

test('call-query: any text is read or refused, soon', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'()[],;=!<>~a1. '), maxLength: 400 }), (q) => {
      found(q);
    }),
    { numRuns: 500 },
  );
});

test('LIKE does not take exponential time', () => {
  assert.equal(likeTest(`${'%a'.repeat(40)}%b`)('a'.repeat(4_000)), false);
});

const often = Array.from({ length: 10_000 }, () => 'status');
const rowQuery = { fields: agentFields, required: ['id'] };
const manyAgents: readonly AgentRow[] = Array.from({ length: 10_000 }, (_, id) => ({
  ...{ id, name: `agent-${id}` },
  columns: { connection_status: 'active', os_name: 'Debian', date_add: nowS, version: '4.14.8' },
}));
const someAgents = manyAgents.slice(0, 100);
const flat = manyAgents.map(agentJson);

const longQuestions: readonly (readonly [string, () => unknown])[] = [
  ['digits that are no number', () => someAgents.filter(agentQuery(`id=${'1'.repeat(8e3)}x`, 0))],
  ['a filter of many values', () => filterAgents(flat, { name: 'x,'.repeat(50_000) }, 0)],
  [
    'one field to sort by, again and again',
    () => selectRows(flat, { ...rowQuery, sort: { fields: often, order: 'asc' } }),
  ],
  ['one field to show, again and again', () => selectRows(flat, { ...rowQuery, select: often })],
];

for (const [what, ask] of longQuestions) {
  test(`a long question holds up nobody: ${what}`, () => {
    const before = process.cpuUsage();
    ask();
    const { user, system } = process.cpuUsage(before);
    assert.ok(user + system < 2e6, `${user + system} µs`);
  });
}
