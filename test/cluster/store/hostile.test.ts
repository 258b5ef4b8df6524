/** Agents' data of a hostile peer, both directions: judged before a database sees it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseGroupsPage, setCommands } from '../../../src/cluster/store/agent-groups-body.ts';
import { agentsOf, parseAgent, partsOf } from '../../../src/cluster/store/agent-info-body.ts';
import {
  decodeGroupsEnvelope,
  decodeInfoEnvelope,
  encodeInfoEnvelope,
} from '../../../src/cluster/store/data-envelope.ts';
import { requestAgainStatements } from '../../../src/cluster/store/request-again.ts';
import { PayloadError } from '../../../src/cluster/wire/payload.ts';

const refused = PayloadError;
const page = (...data: unknown[]): string => JSON.stringify([{ data }]);

test('data-command: no envelope names another command than the one of its kind', () => {
  const commands = [
    'global sql drop table agent',
    'agent 001 sql x',
    'wazuhdb remove 1',
    '',
    null,
    7,
  ];
  for (const command of commands) {
    const groups = { set_data_command: command, payload: {}, chunks: [] };
    assert.throws(
      () => decodeGroupsEnvelope(Buffer.from(JSON.stringify(groups))),
      /another command/,
    );
    const info = { set_data_command: command, payload: {}, chunks: {} };
    assert.throws(() => decodeInfoEnvelope(Buffer.from(JSON.stringify(info))), /another command/);
  }
  const mode = { mode: 'remove', sync_status: 'synced' };
  const envelope = { set_data_command: 'global set-agent-groups', payload: mode, chunks: [] };
  assert.throws(
    () => decodeGroupsEnvelope(Buffer.from(JSON.stringify(envelope))),
    /another command/,
  );
});

test('data-sql: text that looks like SQL stays text, and ids are numbers', () => {
  const text = "x'); DELETE FROM agent; --";
  assert.equal(parseAgent('syncreq', JSON.stringify({ id: 1, name: text })).name, text);
  for (const id of ['1', '1 or 1=1', 1.5, -1, 0, 2 ** 31, 1e300, null, [1], { a: 1 }]) {
    assert.throws(() => parseAgent('syncreq', JSON.stringify({ id })), /without a good id/);
  }
  const [command] = setCommands(parseGroupsPage(page({ id: 1, name: text, groups: [] })).agents);
  assert.equal(JSON.parse(command?.slice(command.indexOf('{')) ?? '').data[0].name, text);
  assert.throws(() => requestAgainStatements("w1' or '1'='1", 0), RangeError);
});

test('data-types: a wrong type costs its agent, never the round', () => {
  const bad = [
    { os_name: 7 },
    { last_keepalive: 'now' },
    { connection_status: 'gone' },
    { group_config_status: 1 },
    { labels: 'env' },
    { labels: [{ key: 1, value: 'x' }] },
    { labels: Array.from({ length: 1025 }, () => ({ key: 'a', value: 'b' })) },
    { os_name: 'x'.repeat(4097) },
    { os_name: 'a\0b' },
    { nested: { a: 1 } },
    { ['x'.repeat(300)]: 1 },
    { 'bad name': 'x' },
    Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`m${index}`, 1])),
  ];
  for (const members of bad) {
    const json = JSON.stringify({ id: 1, ...members });
    assert.throws(() => parseAgent('syncreq', json), /agent 1: /, json.slice(0, 80));
  }
  assert.deepEqual(parseAgent('syncreq', '{"id":1,"os_type":"linux","new_in_5":true}'), {
    ...{ id: 1, os_type: 'linux', new_in_5: true },
  });
});

test('data-groups: names that climb, are too long or are no names never reach a database', () => {
  const bad = ['..', '.', 'a/b', 'a b', '', 'x'.repeat(256), "a';--", 'ä', 7, null, ['a']];
  for (const group of bad) {
    const { agents, refused: why } = parseGroupsPage(page({ id: 1, name: 'a', groups: [group] }));
    assert.deepEqual(agents, [], JSON.stringify(group));
    assert.equal(why.length, 1);
  }
  const many = Array.from({ length: 129 }, () => 'default');
  assert.deepEqual(parseGroupsPage(page({ id: 1, name: 'a', groups: many })).agents, []);
  const kept = parseGroupsPage(page(null, { id: 2, name: 'b', groups: ['ok'] }, 'x')).agents;
  assert.deepEqual(kept, [{ id: 2, name: 'b', groups: ['ok'] }]);
});

test('data-malformed: what is no envelope, page or checksum is refused, whatever its shape', () => {
  const texts = ['', '{', '[]', 'null', '{"chunks"}', '{"chunks": }', '{"a":1,}', '"x"', '{"a" 1}'];
  for (const text of texts) {
    assert.throws(() => decodeGroupsEnvelope(Buffer.from(text)), refused, text);
    assert.throws(() => decodeInfoEnvelope(Buffer.from(text)), refused, text);
    assert.throws(() => parseGroupsPage(text), refused, text);
  }
  const hashes = ['x', 'A'.repeat(40), 5, ['a'.repeat(40)]];
  for (const hash of hashes) {
    assert.throws(() => parseGroupsPage(JSON.stringify([{ data: [], hash }])), /checksum/);
  }
  for (const chunks of [[7], [null], [[]], {}, 'x']) {
    const envelope = {
      set_data_command: 'global set-agent-groups',
      payload: { mode: 'override', sync_status: 'synced' },
      chunks,
    };
    assert.throws(() => decodeGroupsEnvelope(Buffer.from(JSON.stringify(envelope))), refused);
  }
});

test('data-deep: nesting ends early, a cut at any byte is refused or finds less', () => {
  const deep = Buffer.from(`{"syncreq":[${'['.repeat(100_000)}`);
  assert.throws(() => [...agentsOf(deep)], /nested deeper/);
  const whole = Buffer.from(
    '{"syncreq":[{"id":1,"a":"\\"}]"},{"id":2}],"syncreq_status":[{"id":3}]}',
  );
  assert.equal([...agentsOf(whole)].length, 3);
  for (let end = 0; end < whole.length; end++) {
    assert.throws(() => [...agentsOf(whole.subarray(0, end))], refused, String(end));
  }
});

test('data-oversized: a hundred thousand agents in one body are taken apart in bounded pieces', () => {
  const agents = Array.from({ length: 100_000 }, (_, index) => `{"id":${index + 1},"version":"v"}`);
  const body = Buffer.from(`{"syncreq_keepalive":[${agents}]}`);
  const parts = [...partsOf(body, 256 * 1024)];
  assert.ok(parts.every((part) => part.length < 300 * 1024));
  const envelope = encodeInfoEnvelope(parts[0] ?? '');
  const ranges = [...agentsOf(envelope, decodeInfoEnvelope(envelope))];
  assert.equal(envelope.toString('utf8', ranges[0]?.start, ranges[0]?.end), agents[0]);
  const names = Array.from({ length: 5_000 }, (_, id) => ({
    id,
    name: 'n'.repeat(200),
    groups: [],
  }));
  for (const command of setCommands(names)) assert.ok(Buffer.byteLength(command) <= 65_536);
});

test('parts say what the body says, whatever stands between its agents', () => {
  const between = fc.constantFrom(',', ' ,', ', ', '\n,\t');
  const kind = fc.constantFrom('syncreq', 'syncreq_keepalive', 'syncreq_status', 'other');
  const members = fc.array(fc.tuple(kind, fc.array(fc.tuple(fc.nat(), between), { minLength: 1 })));
  const agentsIn = (bodies: readonly string[]) =>
    bodies.flatMap((body) => {
      const bytes = Buffer.from(body);
      return [...agentsOf(bytes)].map(({ kind, start, end }) => [
        kind,
        JSON.parse(bytes.toString('utf8', start, end)),
      ]);
    });
  fc.assert(
    fc.property(members, fc.integer({ min: 1, max: 60 }), (lists, partBytes) => {
      const texts = lists.map(([name, agents]) => {
        const items = agents.map(([id, comma], n) => `${n === 0 ? '' : comma}{"id":${id}}`);
        return `"${name}":[${items.join('')}]`;
      });
      const body = `{${texts.join(',')}}`;
      const parts = [...partsOf(Buffer.from(body), partBytes)];
      for (const part of parts) JSON.parse(part);
      const sorted = (all: readonly unknown[]) => all.map((one) => JSON.stringify(one)).sort();
      assert.deepEqual(sorted(agentsIn(parts)), sorted(agentsIn([body])));
    }),
  );
});
