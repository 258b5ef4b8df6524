/** A choice that turned out dead while it was tried is left for another one at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply } from '../../src/applier/apply.ts';
import type { ApplierWorld } from '../../src/applier/world.ts';
import { addressOf, HostInMemory, names, request } from './host-in-memory.ts';

/** Aborts when the agent is looked at for the n-th time. */
function abortAtLook(world: ApplierWorld, look: number, stop: AbortController): ApplierWorld {
  let looks = 0;
  const readFacts = async () => {
    looks += 1;
    if (looks === look) stop.abort();
    return world.agent.readFacts();
  };
  return { ...world, agent: { readFacts } };
}

test('a choice that is given up while it is watched is written, not marked bad, and left at once', async () => {
  const host = await HostInMemory.make({ restartsPerHour: 1 });
  host.up = ['10.0.0.1', addressOf('wm-03')];
  const stop = new AbortController();
  const startedAt = host.now;
  const world = abortAtLook(host.world(), 10, stop);
  const result = await apply(world, request({ order: ['wm-01', 'wm-02'] }), stop.signal);
  assert.deepEqual([result.outcome, result.reason?.name], ['written', 'not_connected']);
  assert.match(result.notes.join(), /given up for another choice/);
  assert.ok(host.now - startedAt < 2_000, `${host.now - startedAt} ms`);
  assert.deepEqual(host.remembered.badChoices, []);
  assert.equal(host.remembered.unfinishedSinceMs, undefined);
  const next = await apply(host.world(), request({ order: ['wm-03', 'wm-01'] }));
  assert.deepEqual([next.outcome, host.connectedTo], ['moved', addressOf('wm-03')]);
  const again = await apply(host.world(), request({ order: ['wm-01', 'wm-02'], move: false }));
  assert.equal(again.outcome, 'written');
});

test('an abort before anything was done interrupts no step: write and restart are whole', async () => {
  const host = await HostInMemory.make();
  const result = await apply(host.world(), request(), AbortSignal.abort());
  assert.deepEqual([result.outcome, result.restarts], ['written', 1]);
  assert.deepEqual(host.servers, names.map(addressOf));
  assert.equal(host.running, true);
  assert.deepEqual(
    host.steps.map(({ kind }) => kind),
    ['stop', 'run', 'await_start', 'join_cgroup'],
  );
});

test('an agent that does not stay up is put back although the asker gave up', async () => {
  const host = await HostInMemory.make();
  host.exitsWith = (config) => config.includes('10.20.0.1');
  const result = await apply(host.world(), request(), AbortSignal.abort());
  assert.deepEqual([result.outcome, host.connectedTo], ['restored', '10.0.0.1']);
});
