/** A fleet that lost a manager is led on in slots: who waits, for how long, and who does not. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import type { Health } from '../../src/health/judge.ts';
import { clientDefaults } from '../../src/list/parse-list.ts';
import { admissionWaitMs } from '../../src/sidecar/relay-choice.ts';
import type { RankedList } from '../../src/sidecar/seen.ts';
import { eventually } from '../fakes/processes.ts';
import { loopbackList } from '../sidecar/scene.ts';
import { RelayWorld } from './world.ts';

let world: RelayWorld;
beforeEach(() => {
  world = new RelayWorld();
});
afterEach(() => world.close());

/** On manager `a`, which can be made to fail, with `b` behind it. */
async function onFailing(settings: { readonly maxHoldMs?: number } = {}) {
  const sockets: Socket[] = [];
  const failing = await world.manager('a', (socket) => {
    sockets.push(socket);
    socket.on('data', (bytes: Buffer) => socket.write(bytes));
  });
  world.managers = [failing, await world.echo('b')];
  const { relay, port } = await world.open(settings);
  await world.agent(port, 'x').hears('x');
  const fail = async (): Promise<void> => {
    for (const socket of sockets) socket.resetAndDestroy();
    await eventually('the loss is told', () => world.of('suspect').length > 0);
  };
  return { relay, port, fail };
}

test('the agent of a manager that failed is led on when its slot has come', async () => {
  const { port, fail, relay } = await onFailing();
  world.admissionMs = 1_500;
  await fail();
  const startMs = performance.now();
  const agent = world.agent(port, 'again');
  await eventually('it waits', () => relay.admitsInMs !== undefined);
  await agent.hears('b\nagain');
  assert.ok(performance.now() - startMs >= 1_495, `${performance.now() - startMs} ms`);
  assert.equal(relay.admitsInMs, undefined);
});

test('nobody is kept waiting for longer than a handshake lasts', async () => {
  const { port, fail } = await onFailing({ maxHoldMs: 100 });
  world.admissionMs = 3_600_000;
  await fail();
  await world.agent(port, 'again').hears('b\nagain');
});

test('it is asked again when its slot has come, where fewer managers answer by then', async () => {
  const { port, fail, relay } = await onFailing();
  const answers = true as const;
  const [failed, next] = world.managers;
  assert.ok(failed !== undefined && next !== undefined);
  const other = await world.echo('c');
  world.managers = [failed, { ...next, answers }, { ...other, answers }];
  world.admissionMs = 100;
  world.againMs = 400;
  await fail();
  const startMs = performance.now();
  const agent = world.agent(port, 'again');
  await eventually('it waits', () => relay.admitsInMs !== undefined);
  world.managers = [{ ...other, answers }, next, failed];
  await agent.hears('c\nagain');
  assert.ok(performance.now() - startMs >= 495, `${performance.now() - startMs} ms`);
});

test('a planned switch and a new agent wait for nobody', async () => {
  const { relay, port } = await onFailing();
  world.admissionMs = 3_600_000;
  relay.switchAway('a', 'planned');
  await world.agent(port, 'again').hears('b\nagain');
});

test('the relay closes although an agent waits', async () => {
  const { relay, port, fail } = await onFailing();
  world.admissionMs = 3_600_000;
  await fail();
  world.agent(port, 'again');
  await eventually('it waits', () => relay.admitsInMs !== undefined);
  await relay.close();
});

const nowMs = 1_800_000_000_000;
const up: Health = {
  verdict: 'up',
  streak: 9,
  lastKind: 'alive',
  sinceAtMs: nowMs - 900_000,
  probedAtMs: nowMs,
  tookMs: 1,
  seen: '',
  ips: [],
};
const down: Health = { ...up, verdict: 'down', lastKind: 'dead', sinceAtMs: nowMs };

function ranked(agents: number): RankedList {
  const list = { ...loopbackList(), client: { ...clientDefaults, agents } };
  return { list, hash: 'sha256:0', acceptedAtMs: 0, ranking: list.managers };
}

function waitOf(agentId: string, agents: number, first: Health): number {
  const list = ranked(agents);
  const ids = list.ranking.map(({ id }) => id);
  const health = new Map(ids.map((id, place) => [id, place === 0 ? first : up]));
  return admissionWaitMs({ agentId, list, health, nowMs }, ids[0] ?? '', 0);
}

test('in a small fleet the slot is now, in a big one the agents spread over the window', () => {
  assert.equal(waitOf('001', 0, down), 0);
  const waits = Array.from({ length: 200 }, (_, id) => waitOf(String(id), 20_000, down));
  const longest = Math.max(...waits);
  assert.ok(longest > 20_000, `${longest}`);
  const early = waits.filter((wait) => wait < longest / 2).length;
  assert.ok(early > 70 && early < 130, `${early} of 200 in the first half`);
});

test('where the manager answers all the same nobody else has lost anything: no wait', () => {
  assert.equal(waitOf('001', 20_000, up), 0);
});
