/** A host that comes back starts what was left stopped there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SimEvent } from '../../src/simulation/event-queue.ts';
import { agentState } from '../../src/simulation/fleet.ts';
import { wakeHost } from '../../src/simulation/inject.ts';
import { productLogic } from '../../src/simulation/logic.ts';
import { defaultWorld } from '../../src/simulation/settings.ts';
import { eventKind, World } from '../../src/simulation/world.ts';

const constraints = {
  hosts: [],
  cidrs: [],
  ports: [1514],
  protocols: ['tcp'],
  minServers: 1,
  maxServers: 16,
  maxListValidFor: 86_400,
  maxRemovedPct: 34,
  minApplyInterval: 60,
} as const;

test('power that returns while a cut write still keeps the sidecar down: its agent starts after that', () => {
  const settings = { ...defaultWorld, agents: 1 };
  const parts = { settings, logic: productLogic, faults: [], replaceOps: [], constraints };
  const world = new World({ ...parts, maxViolations: 1 });
  const { fleet, queue } = world;
  world.nowMs = 1_000;
  fleet.state[0] = agentState.stopped;
  fleet.isUnfinished[0] = 1;
  fleet.pausedUntilMs[0] = 1_000;
  fleet.downUntilMs[0] = 1_007;

  wakeHost(world, 0);

  const event: SimEvent = { atMs: 0, kind: 0, subject: 0, detail: 0 };
  assert.ok(queue.pop(event));
  assert.deepEqual([event.atMs, event.kind, event.subject], [1_007, eventKind.wakeHost, 0]);
});
