import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError, HostError } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import { runCycle } from '../../src/sidecar/cycle.ts';
import { encodeMemory, parseMemory } from '../../src/sidecar/memory.ts';
import { reportOf } from '../../src/sidecar/report.ts';
import { signedList, strangerKey } from '../list/documents.ts';
import { aResult, Crash, honest, joinedMemory, loopbackList, p1, Scene } from './scene.ts';

function joinedScene(servers?: readonly string[]): Scene {
  const list = loopbackList();
  const scene = new Scene(list, servers);
  scene.publishers.behaviours.set(p1, honest({ list }));
  scene.disk.bytes = encodeMemory(joinedMemory({ lastPublisher: p1 }));
  return scene;
}

function remembered(scene: Scene) {
  assert.ok(scene.disk.bytes);
  return parseMemory(scene.disk.bytes);
}

test('a published list moves an agent that is connected elsewhere; then all is quiet', async () => {
  const scene = joinedScene();
  const world = scene.world();
  const first = await runCycle(world);
  assert.equal(first.decision.step.kind, 'move');
  assert.equal(scene.agent.servers.length, 3);
  const second = await runCycle(world);
  assert.deepEqual(second.decision.step, { kind: 'stay', reason: 'current_is_up' });
  assert.equal(scene.agent.requests.length, 1);
});

test('the manager in use dies: the agent is elsewhere one cycle later', async () => {
  const scene = joinedScene();
  const world = scene.world();
  await runCycle(world);
  const left = scene.agent.connectedTo ?? '';
  scene.managers.dead.add(left);
  const { decision } = await runCycle(world);
  assert.equal(decision.step.kind, 'move');
  assert.notEqual(scene.agent.connectedTo, left);
  assert.equal(scene.agent.servers.at(-1), left);
});

test('a failed probe is repeated at once: one cycle is enough to know', async () => {
  const scene = joinedScene();
  scene.managers.dead.add('127.0.0.1');
  const { seen } = await runCycle(scene.world());
  assert.equal(seen?.health.get('wm-01')?.verdict, 'down');
  assert.equal(scene.managers.probes, 4);
});

test('a bad publication changes nothing: same file, same agent, same list, an alarm', async () => {
  const scene = joinedScene();
  await runCycle(scene.world());
  const before = remembered(scene).list;
  const list = loopbackList({ version: 5000 });
  const envelope = signedList(list, [strangerKey]);
  scene.publishers.behaviours.set(p1, honest({ list, envelope, receipts: false }));
  const report = await runCycle(scene.world());
  assert.deepEqual(remembered(scene).list, before);
  assert.equal(scene.agent.requests.length, 1);
  assert.equal(reportOf(report, '001').faults[0]?.error.code, 'E205');
});

test('persist-before-check: nothing of an unproven list or root ever reaches the disk', async () => {
  const scene = joinedScene();
  await runCycle(scene.world());
  const list = loopbackList({ version: 5000 });
  const envelope = signedList(list, [strangerKey]);
  scene.publishers.behaviours.set(p1, honest({ list, envelope }));
  await runCycle(scene.world());
  const text = Buffer.from(scene.disk.bytes ?? []).toString();
  assert.ok(!text.includes(Buffer.from(envelope).toString('base64url').slice(20, 200)));
  assert.equal(remembered(scene).list?.position.version, 4211);
});

for (const crash of ['before', 'after'] as const) {
  test(`killed ${crash} the applier did its work: the next process ends in the same place`, async () => {
    const scene = joinedScene();
    scene.agent.crash = crash;
    await assert.rejects(runCycle(scene.world()), Crash);
    assert.equal(remembered(scene).attempts.at(-1)?.outcome, 'begun');
    scene.agent.crash = undefined;
    const world = scene.world();
    await runCycle(world);
    const { decision } = await runCycle(world);
    assert.deepEqual(decision.step, { kind: 'stay', reason: 'current_is_up' });
    assert.equal(scene.agent.connectedTo, scene.agent.servers[0]);
  });
}

test('killed at every write of the memory: the list is never lost and the agent ends connected', async () => {
  for (let failsAt = 1; failsAt <= 3; failsAt += 1) {
    const scene = joinedScene();
    scene.disk.failsAt = failsAt;
    await assert.rejects(runCycle(scene.world()), Crash);
    scene.disk.failsAt = Number.POSITIVE_INFINITY;
    const world = scene.world();
    await runCycle(world);
    const { decision } = await runCycle(world);
    assert.deepEqual(decision.step, { kind: 'stay', reason: 'current_is_up' }, `write ${failsAt}`);
    assert.equal(remembered(scene).list?.position.version, 4211);
  }
});

test('the intent is on disk before the applier is asked', async () => {
  const scene = joinedScene();
  scene.agent.next = () => {
    assert.equal(remembered(scene).attempts.at(-1)?.outcome, 'begun');
    return aResult('moved');
  };
  await runCycle(scene.world());
  assert.equal(remembered(scene).attempts.at(-1)?.outcome, 'done');
});

test('what the applier holds is not asked again before its time, then it is', async () => {
  const scene = joinedScene();
  scene.agent.next = () => aResult('held', new HostError('lock_held', 'another apply'));
  const world = scene.world();
  await runCycle(world);
  const { decision } = await runCycle(world);
  assert.equal(decision.step.kind === 'hold' && decision.step.reason, 'apply_held');
  assert.equal(scene.agent.requests.length, 1);
  await scene.clock.pass(5_001);
  assert.equal((await runCycle(world)).decision.step.kind, 'move');
});

test('a target whose order the applier knows to have failed keeps no agent from another one', async () => {
  const scene = joinedScene();
  const world = scene.world();
  await runCycle(world);
  const left = scene.agent.connectedTo ?? '';
  scene.managers.dead.add(left);
  scene.agent.next = () => aResult('held', new AgentError('not_connected', 'tried and undone'));
  const refused = (await runCycle(world)).decision.step;
  assert.equal(scene.agent.connectedTo, left);
  const { step } = (await runCycle(world)).decision;
  assert.ok(refused.kind === 'move' && step.kind === 'move');
  assert.notEqual(step.to, refused.to);
  assert.notEqual(scene.agent.connectedTo, left);
});

test('a target that did not take the agent is tried last the next time', async () => {
  const scene = joinedScene();
  const world = scene.world();
  scene.agent.next = () => aResult('restored', new AgentError('not_connected', 'not in time'));
  const first = (await runCycle(world)).decision.step;
  const second = (await runCycle(world)).decision.step;
  assert.ok(first.kind === 'move' && second.kind === 'move');
  assert.notEqual(second.to, first.to);
});

test('a quiet cycle writes nothing to the disk but what a receipt proved', async () => {
  const scene = joinedScene();
  const world = scene.world();
  await runCycle(world);
  const writes = scene.disk.writes;
  await runCycle({ ...world, source: { news: async () => [] } });
  assert.equal(scene.disk.writes, writes);
});

test('before the first list the agent keeps its own configuration', async () => {
  const scene = joinedScene();
  scene.publishers.behaviours.clear();
  const { decision, seen } = await runCycle(scene.world());
  assert.deepEqual(decision.step, { kind: 'stay', reason: 'nothing_known' });
  assert.equal(seen, undefined);
  assert.deepEqual(scene.agent.servers, ['127.0.0.9']);
});

test('an expired list warns and goes on working', async () => {
  const scene = joinedScene();
  await runCycle(scene.world());
  scene.publishers.behaviours.clear();
  await scene.clock.pass(10 * 86_400_000);
  scene.managers.dead.add(scene.agent.connectedTo ?? '');
  const report = await runCycle(scene.world());
  assert.equal(report.decision.step.kind, 'move');
  const alarms = reportOf(report, '001').alarms.map(({ text }) => text);
  assert.ok(
    alarms.some((text) => text.includes('expired')),
    alarms.join(),
  );
});

test('what was held by a clock that was ahead is asked again when the clock is right', async () => {
  const scene = joinedScene();
  const world = scene.world();
  await runCycle(world);
  const left = scene.agent.connectedTo ?? '';
  const right = scene.clock.nowMs();
  scene.managers.dead.add(left);
  scene.clock.jumpTo(right + 365 * 86_400_000);
  scene.agent.next = () => aResult('held', new AgentError('upgrade_running', 'apt'));
  assert.equal((await runCycle(world)).decision.step.kind, 'move');
  scene.clock.jumpTo(right);
  assert.equal((await runCycle(world)).decision.step.kind, 'move');
  assert.notEqual(scene.agent.connectedTo, left);
});

test('a clock that leaps forward while the agent dials anew does not have it restarted', async () => {
  const scene = joinedScene();
  const world = scene.world();
  await runCycle(world);
  scene.agent.connectedTo = undefined;
  await runCycle(world);
  await scene.clock.pass(2_000);
  scene.clock.jumpTo(scene.clock.nowMs() + 86_400_000);
  const { step } = (await runCycle(world)).decision;
  assert.equal('reason' in step && step.reason, 'agent_reconnecting');
  await scene.clock.pass(20_000);
  assert.equal((await runCycle(world)).decision.step.kind, 'move');
});

test('a disk that takes nothing keeps no agent on a dead manager, and is told of once', async () => {
  const scene = joinedScene();
  const warned: string[] = [];
  const log = { ...silentLog, warn: (event: string) => void warned.push(event) };
  const world = { ...scene.world(), log };
  await runCycle(world);
  const left = scene.agent.connectedTo ?? '';
  const write = scene.disk.write.bind(scene.disk);
  scene.disk.write = () => Promise.reject(new HostError('write_failed', 'the disk is full'));
  scene.managers.dead.add(left);
  for (const _ of ['moves', 'counts', 'counts']) {
    await scene.clock.pass(5_000);
    await runCycle(world);
  }
  assert.notEqual(scene.agent.connectedTo, left);
  assert.equal(warned.filter((event) => event === 'memory.kept_in_mind').length, 1);
  scene.disk.write = write;
  await scene.clock.pass(5_000);
  const { memory } = await runCycle(world);
  assert.deepEqual(remembered(scene).attempts, memory.attempts);
});

test('a list that no disk takes is not followed; by the old one a dead manager is left', async () => {
  const scene = joinedScene();
  const world = scene.world();
  await runCycle(world);
  const left = scene.agent.connectedTo ?? '';
  scene.managers.dead.add(left);
  scene.publishers.behaviours.set(p1, honest({ list: loopbackList({ version: 5000 }) }));
  scene.disk.write = () => Promise.reject(new HostError('write_failed', 'the disk is full'));
  await assert.rejects(runCycle(world), { reason: 'write_failed' });
  assert.equal(scene.agent.requests.length, 1);
  scene.publishers.behaviours.clear(); // the poller has backed off
  const { list } = await runCycle(world);
  assert.equal(list?.list.version, 4211);
  assert.notEqual(scene.agent.connectedTo, left);
});

test('a step of choice waits for the disk that is to remember it', async () => {
  const scene = joinedScene();
  const world = scene.world();
  await runCycle(world);
  scene.agent.servers = scene.agent.servers.slice(0, 1);
  scene.disk.write = () => Promise.reject(new HostError('write_failed', 'the disk is full'));
  await assert.rejects(runCycle(world), { reason: 'write_failed' });
  assert.equal(scene.agent.requests.length, 1);
});
