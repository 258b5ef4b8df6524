/** Leaving a dead manager never waits for the budget of chosen moves, and still has a bound. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply } from '../../src/applier/apply.ts';
import { judgeBudget, judgeUrgentBudget, type Restart } from '../../src/applier/budget.ts';
import { isLost } from '../../src/applier/lost.ts';
import { encodeMemory, parseMemory } from '../../src/applier/memory.ts';
import { encodeApplyRequest, parseApplyRequest } from '../../src/applier/request.ts';
import type { AgentFacts } from '../../src/wazuh/agent-facts.ts';
import { failsWith } from '../host/config-fixture.ts';
import { addressOf, HostInMemory, names, request } from './host-in-memory.ts';

const hourMs = 3_600_000;
const limits = { restartsPerHour: 3, restartsPerDay: 6, urgentRestartsPerHour: 12 };
const spent = (count: number, urgent: boolean): readonly Restart[] =>
  Array.from({ length: count }, (_, index) => ({
    atMs: index,
    kind: 'agentd',
    blindMs: 0,
    ...(urgent ? { urgent } : {}),
  }));
const turned = (turn: number): readonly string[] =>
  turn % 2 === 0 ? [...names] : [...names].reverse();

test('the two allowances add up and do not eat each other', () => {
  const both = [...spent(3, false), ...spent(11, true)];
  assert.equal(judgeBudget(both, limits, 100).kind, 'used_up');
  assert.deepEqual(judgeUrgentBudget(both, limits, 100), { kind: 'allowed', purse: 'urgent' });
  assert.equal(judgeBudget(spent(12, true), limits, 100).kind, 'allowed');
  assert.equal(judgeUrgentBudget(spent(12, true), limits, 100).purse, 'normal');
  const empty = judgeUrgentBudget([...spent(3, false), ...spent(12, true)], limits, 100);
  assert.deepEqual([empty.kind, empty.kind === 'used_up' && empty.untilMs], ['used_up', hourMs]);
});

test('an urgent order is done with the normal budget used up, and spends none of it', async () => {
  const host = await HostInMemory.make({ restartsPerHour: 1 });
  await apply(host.world(), request());
  const order = turned(1);
  assert.equal((await apply(host.world(), request({ order }))).reason?.code, 'E602');
  const urgent = await apply(host.world(), request({ order, urgent: true }));
  assert.deepEqual([urgent.outcome, host.connectedTo], ['moved', addressOf('wm-03')]);
  assert.deepEqual(
    host.remembered.restarts.map((restart) => restart.urgent === true),
    [false, true],
  );
});

test('whoever claims emergencies for ever gets 15 restarts an hour and not one more', async () => {
  const host = await HostInMemory.make();
  const startedAt = host.now;
  let restarts = 0;
  for (let turn = 0; host.now - startedAt < hourMs; turn += 1) {
    const result = await apply(host.world(), request({ order: turned(turn), urgent: true }));
    restarts += result.restarts;
    host.now += 20_000;
  }
  assert.equal(restarts, 15);
});

test('an agent on the first entry is restarted only where its connection leads nowhere', async () => {
  const host = await HostInMemory.make();
  await apply(host.world(), request());
  const idle = await apply(host.world(), request());
  assert.deepEqual([idle.outcome, idle.restarts], ['unchanged', 0]);
  const renewed = await apply(host.world(), request({ urgent: true, renew: true }));
  assert.deepEqual([renewed.outcome, renewed.restarts], ['moved', 1]);
  const write = await apply(host.world(), request({ move: false, renew: true }));
  assert.deepEqual([write.outcome, write.restarts], ['unchanged', 0]);
});

test('a freed connection spends from the emergency allowance, and no more than that has', async () => {
  const host = await HostInMemory.make({ restartsPerHour: 1, urgentRestartsPerHour: 2 });
  const startedAt = host.now;
  let restarts = 0;
  while (host.now - startedAt < hourMs) {
    restarts += (await apply(host.world(), request({ urgent: true, renew: true }))).restarts;
    host.now += 60_000;
  }
  assert.equal(restarts, 3);
});

test('renew travels through the spool; anything but true or false is refused', () => {
  const sent = encodeApplyRequest(request({ renew: true }));
  assert.equal(parseApplyRequest(sent).renew, true);
  assert.equal('renew' in parseApplyRequest(encodeApplyRequest(request())), false);
  const bent = Buffer.from(Buffer.from(sent).toString().replace('"renew":true', '"renew":"yes"'));
  assert.throws(() => parseApplyRequest(bent), /'renew' must be true or false/);
});

test('an agent that lost its manager moves although the budget is used up and nobody says urgent', async () => {
  const host = await HostInMemory.make({ restartsPerHour: 1 });
  await apply(host.world(), request({ order: ['wm-01', 'wm-02'] }));
  host.up = [addressOf('wm-03')];
  const result = await apply(host.world(), request({ order: turned(1) }));
  assert.deepEqual([result.outcome, host.connectedTo], ['moved', addressOf('wm-03')]);
});

const now = 10 ** 12;
const facts = (changes: Partial<AgentFacts>): AgentFacts => ({
  installed: true,
  version: '4.14.8',
  running: true,
  pids: [7],
  status: 'connected',
  waiting: false,
  lastAckAtMs: now - 10_000,
  peers: [],
  upgrade: undefined,
  ...changes,
});
const states: readonly (readonly [string, Partial<AgentFacts>, number | undefined, boolean])[] = [
  ['connected and acknowledged', {}, undefined, false],
  ['reconnecting', { waiting: true }, undefined, true],
  ['disconnected', { status: 'disconnected' }, undefined, true],
  ['never connected', { status: 'pending' }, undefined, true],
  ['unacknowledged for two keepalives', { lastAckAtMs: now - 45_001 }, undefined, true],
  ['unacknowledged for less', { lastAckAtMs: now - 45_000 }, undefined, false],
  ['with a slow keepalive of its own', { lastAckAtMs: now - 120_000 }, 60, false],
  ['before 4.13, with a faster one', { version: '4.9.2', lastAckAtMs: now - 25_001 }, 0, true],
  ['stopped', { running: false, waiting: true }, undefined, false],
];
for (const [what, changes, notifySec, lost] of states) {
  test(`an agent ${what} is ${lost ? 'lost' : 'not lost'}`, () => {
    assert.equal(isLost(facts(changes), notifySec, now), lost);
  });
}

test('urgency survives its travel in request and memory; a word is no urgency', async () => {
  const travelled = parseApplyRequest(encodeApplyRequest(request({ urgent: true })));
  assert.equal(travelled.urgent, true);
  assert.ok(!('urgent' in parseApplyRequest(encodeApplyRequest(request()))));
  const document = JSON.parse(Buffer.from(encodeApplyRequest(request())).toString());
  const word = Buffer.from(JSON.stringify({ ...document, urgent: 'yes' }));
  assert.throws(() => parseApplyRequest(word), failsWith('usage', /urgent/));
  const { remembered } = await HostInMemory.make();
  const memory = { ...remembered, restarts: [...spent(1, true), ...spent(1, false)] };
  assert.deepEqual(parseMemory(encodeMemory(memory)).restarts, memory.restarts);
});

test('an agent in need tries an order that failed again after an hour, one of choice after a day', async () => {
  const host = await HostInMemory.make({ maxConfirmMs: 3_000, restartsPerDay: 100 });
  host.up = ['10.0.0.1'];
  const old = host.config.toString();
  assert.equal((await apply(host.world(), request())).outcome, 'restored');
  host.up = names.map(addressOf);
  host.loaded = [{ address: '10.0.0.1', port: 1514 }];
  const ask = async (afterMs: number, urgent: boolean) => {
    host.now += afterMs;
    return (await apply(host.world(), request({ urgent }))).outcome;
  };
  assert.equal(await ask(0.9 * hourMs, true), 'held');
  assert.equal(await ask(0.2 * hourMs, false), 'held');
  assert.equal(host.config.toString(), old);
  assert.equal(await ask(0, true), 'moved');
  assert.equal(host.connectedTo, addressOf('wm-01'));
});
