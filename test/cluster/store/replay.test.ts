/** Recorded questions of the stock daemon, asked of our store: the answers are the recorded ones. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { parseGroupsPage } from '../../../src/cluster/store/agent-groups-body.ts';
import { partsOf } from '../../../src/cluster/store/agent-info-body.ts';
import {
  decodeGroupsEnvelope,
  decodeInfoEnvelope,
  encodeGroupsEnvelope,
  encodeInfoEnvelope,
} from '../../../src/cluster/store/data-envelope.ts';
import { recordedFrames } from '../recording.ts';
import { TestStore } from './stores.ts';

interface Asked {
  readonly sock: 'wdb' | 'wdb-http';
  readonly req: string;
  readonly resp: string;
}

function recorded(name: string): readonly Asked[] {
  const path = new URL(`../../fixtures/wazuh-db/${name}.jsonl.gz`, import.meta.url);
  const lines = gunzipSync(readFileSync(path)).toString('utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line)).filter(({ req }) => !req.startsWith('fake '));
}

interface Member {
  readonly id: number;
  readonly groups: readonly string[];
}

/** Agents as the recorded database had them at its start. */
function fill(store: TestStore, asked: readonly Asked[]): void {
  const pages = asked.filter(({ resp }) => /^(?:ok|due) \[\{"data":\[\{"id"/.test(resp));
  const first = pages.filter(({ req }) => req.includes('"all"'));
  const members = (first.length > 0 ? first : pages.slice(0, 1)).flatMap(
    ({ resp }): readonly Member[] => JSON.parse(resp.slice(resp.indexOf(' ')))[0].data,
  );
  for (const { id, groups } of members) {
    store.addAgent(id);
    for (const [priority, name] of groups.entries()) {
      store.sql.run('INSERT OR IGNORE INTO "group" (name) VALUES (?)', name);
      store.sql.run(
        'INSERT INTO belongs SELECT ?, id, ? FROM "group" WHERE name = ?',
        id,
        priority,
        name,
      );
    }
    store.sql.run('UPDATE agent SET "group" = NULL WHERE id = ?', id);
  }
}

for (const { name, status } of [
  { name: '06-agent-groups.m', status: 'syncreq' },
  { name: '07-agent-groups-full.m', status: 'synced' },
]) {
  test(`${name}: a stock master gets the recorded answers`, async (t) => {
    const asked = recorded(name);
    const store = new TestStore(t, false, ['linux']);
    fill(store, asked);
    await store.ask('global recalculate-agent-group-hashes');
    store.sql.run('UPDATE agent SET group_sync_status = ? WHERE id > 0', status);
    for (const { sock, req, resp } of asked) {
      if (sock === 'wdb') assert.equal(await store.ask(req), resp, req.slice(0, 120));
    }
  });
}

for (const name of ['06-agent-groups.w', '07-agent-groups-full.w', '05-agent-info.w']) {
  test(`${name}: a stock worker gets the recorded answers`, async (t) => {
    const store = new TestStore(t, true, ['linux']);
    const asked = recorded(name).filter(({ req }) => isGroups(req));
    const isEmpty = asked.some(({ resp }) => resp.includes('"hash":null'));
    const members = asked
      .filter(({ req }) => req.startsWith('global set-agent-groups'))
      .flatMap(({ req }): readonly Member[] => JSON.parse(req.slice(req.indexOf('{'))).data);
    if (!isEmpty) for (const id of new Set(members.map(({ id }) => id))) store.addAgent(id);
    const known = asked.filter(({ resp }) => !resp.includes('"hash":"9b606ea0'));
    for (const { req, resp } of known) assert.equal(await store.ask(req), resp, req.slice(0, 120));
    assert.ok(asked.length > 0);
  });
}

function isGroups(req: string): boolean {
  return /^global (?:set-agent-groups|sync-agent-groups-get|recalculate)/.test(req);
}

test('recorded agent-info comes out of our store and goes into it as recorded', async (t) => {
  const [read] = recorded('05-agent-info.w').filter(({ resp }) => resp.startsWith('{"syncreq"'));
  const [written] = recorded('05-agent-info.m').filter(({ req }) => req.startsWith('POST'));
  assert.ok(read && written);
  const master = new TestStore(t);
  const body = JSON.parse(read.resp);
  for (const agent of [...body.syncreq, ...body.syncreq_keepalive, ...body.syncreq_status]) {
    master.addAgent(agent.id);
  }
  const sent = written.req.slice('POST /v1/agents/sync '.length);
  assert.equal(await master.post('/v1/agents/sync', sent), '200 ');
  master.sql.run("UPDATE agent SET sync_status = 'syncreq' WHERE id IN (1, 2, 3)");
  const again = JSON.parse((await master.get('/v1/agents/sync')).slice(4));
  const named = ({ id, name, os_name, node_name, last_keepalive, labels }: typeof again) => ({
    ...{ id, name, os_name, node_name, last_keepalive, labels },
  });
  assert.deepEqual(again.syncreq.map(named), body.syncreq.map(named));
});

/** Strings of a recording that were announced under one of these commands. */
function strings(name: string, commands: readonly string[]): readonly Buffer[] {
  const byId = new Map<string, Buffer>();
  const found: Buffer[] = [];
  for (const { command, isRequest, payload } of recordedFrames(name)) {
    if (!isRequest || payload === undefined) continue;
    const end = payload.indexOf(' ');
    if (command === 'str_upd') {
      const id = payload.toString('latin1', 0, end);
      byId.set(id, Buffer.concat([byId.get(id) ?? Buffer.alloc(0), payload.subarray(end + 1)]));
    } else if (commands.includes(command)) {
      const string = byId.get(payload.toString('latin1'));
      if (string !== undefined) found.push(string);
    }
  }
  return found;
}

for (const name of ['05-agent-info', '06-agent-groups', '07-agent-groups-full', '31-two-workers']) {
  test(`${name}: groups as a stock master sends them are read, and written byte for byte`, () => {
    const all = strings(name, ['syn_g_m_w', 'syn_g_m_w_c']);
    assert.ok(all.length > 0);
    for (const string of all) {
      const pages = decodeGroupsEnvelope(string);
      assert.deepEqual(encodeGroupsEnvelope(pages), string);
      for (const page of pages) assert.deepEqual(parseGroupsPage(page).refused, []);
    }
  });
}

test('agent-info as a stock worker sends it is read, whole', () => {
  const [string] = strings('05-agent-info', ['syn_a_w_m']);
  assert.ok(string);
  const whole = JSON.parse(string.toString());
  const body = string.subarray(decodeInfoEnvelope(string));
  const parts = [...partsOf(Buffer.from(JSON.stringify(whole.chunks)), 1)];
  const agents = Object.values(whole.chunks).flat();
  assert.equal(parts.length, agents.length);
  assert.deepEqual(JSON.parse(body.toString().replace(/\}$/, '')), whole.chunks);
  const sent = encodeInfoEnvelope(JSON.stringify(whole.chunks));
  assert.deepEqual(JSON.parse(sent.toString()), whole);
});
