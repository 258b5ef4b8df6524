/** What a clock that was ahead has stamped holds nobody longer than it was meant to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply } from '../../src/applier/apply.ts';
import { encodeMemory } from '../../src/applier/memory.ts';
import { configOf, HostInMemory, names, request } from './host-in-memory.ts';

const dayMs = 24 * 3_600_000;
const yearMs = 365 * dayMs;

test('restarts stamped by a clock that was a year ahead are forgotten in a day', async () => {
  const host = await HostInMemory.make();
  const stamp = { atMs: host.now + yearMs, kind: 'agentd', blindMs: 0 } as const;
  const restarts = Array.from({ length: host.settings.restartsPerDay }, () => stamp);
  host.memory = encodeMemory({ ...host.remembered, restarts });
  assert.equal((await apply(host.world(), request())).reason?.name, 'restart_budget');
  host.now += dayMs + 1;
  const next = await apply(host.world(), request({ order: [...names].reverse() }));
  assert.equal(next.outcome, 'moved');
});

test('a choice marked bad by a clock that was a year ahead is free again in a day', async () => {
  const host = await HostInMemory.make();
  const old = configOf('10.0.0.1');
  const right = host.now;
  await apply(host.world(), request({ move: false })); // known before the clock jumps
  host.config = Buffer.from(old);
  const { written: _written, ...memory } = host.remembered;
  host.memory = encodeMemory(memory);
  host.now = right + yearMs;
  host.exitsWith = (config) => config.toString() !== old;
  assert.equal((await apply(host.world(), request())).outcome, 'restored');
  host.exitsWith = () => false;
  host.now = right;
  assert.equal((await apply(host.world(), request())).reason?.name, 'not_connected');
  host.now = right + dayMs + 1;
  assert.equal((await apply(host.world(), request())).outcome, 'moved');
});
