/** A manager that vanishes or hangs while events flow is noticed from the data connection itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Blackhole, canBlackhole } from '../fakes/blackhole.ts';
import { freePort } from '../fakes/processes.ts';
import { Stage } from '../fakes/stage.ts';

const relayProgram = fileURLToPath(new URL('relay-program.ts', import.meta.url));

/** An agent with 500 events a second behind a relay in front of the stage's manager. */
async function flowing(stage: Stage, eventBytes: number) {
  const manager = await stage.manager(stage.b);
  const port = await freePort(stage.a);
  const relay = stage.standIns.start(process.execPath, [
    relayProgram,
    `${stage.a}:${port}`,
    `${stage.b}:1514`,
  ]);
  await relay.waitFor({ event: 'mode' });
  const home = stage.home({ servers: [{ address: stage.a, port }], enrollment: 'no' });
  const agent = stage.standIns.startAgent(home.path, [
    ...['--events-per-second', '500', '--event-bytes', String(eventBytes)],
  ]);
  await agent.waitFor({ event: 'connected', index: 0 });
  await manager.waitFor({ event: 'events' });
  return { manager, relay };
}

test('a manager that vanishes is suspect after two retransmissions, long before any time-out', {
  skip: canBlackhole() ?? false,
}, async (context) => {
  const stage = new Stage(context);
  const { relay } = await flowing(stage, 800);
  const blackhole = new Blackhole(stage.b);
  context.after(() => blackhole.close());
  const startAtMs = Date.now();
  blackhole.open();
  const suspect = await relay.waitFor({ event: 'suspect', why: 'not_acking' });
  const tookMs = suspect.atMs - startAtMs;
  context.diagnostic(`noticed after ${tookMs} ms`);
  assert.ok(tookMs < 8_000, `noticed after ${tookMs} ms`);
});

test('a manager that comes back hears that the agent has left it, and would take it in again', {
  skip: canBlackhole() ?? false,
}, async (context) => {
  const stage = new Stage(context);
  const { manager, relay } = await flowing(stage, 800);
  const blackhole = new Blackhole(stage.b);
  context.after(() => blackhole.close());
  blackhole.open();
  relay.signal('SIGUSR2'); // what the sidecar does about a dead manager
  await relay.waitFor({ event: 'closed' });
  const { mark } = manager;
  blackhole.close();
  await manager.waitFor({ event: 'agent_lost' }, { after: mark });
});

test('a manager that hangs is suspect once its kernel has no room left', async (context) => {
  const stage = new Stage(context);
  const { manager, relay } = await flowing(stage, 8_000);
  manager.stop();
  await relay.waitFor({ event: 'suspect', why: 'not_draining' }, { withinMs: 30_000 });
});
