/** The wedge of real-agent-lab.md 3b: a manager that hangs or vanishes while events flow. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StandInHome } from './agent-home.ts';
import { Blackhole, canBlackhole } from './blackhole.ts';
import { eventually, type StandInProcess } from './processes.ts';
import { Stage } from './stage.ts';

const fast = [
  ['--retry-interval-unit-ms', 20],
  ['--notify-unit-ms', 100],
  ['--tick-ms', 50],
  ['--state-interval-ms', 20],
  ['--recv-timeout-ms', 300],
]
  .flat()
  .map(String);

const silence = 'a manager that is silent for T is noticed, unless the agent is wedged';

interface Scene {
  readonly stage: Stage;
  readonly first: StandInProcess;
  readonly agent: StandInProcess;
  readonly home: StandInHome;
}

/** Both managers up, the agent on the first, events flowing. T is 1.5 s. */
async function busyAgent(context: TestContext, flags: readonly string[]): Promise<Scene> {
  const stage = new Stage(context);
  const first = await stage.manager(stage.a);
  await stage.manager(stage.b);
  const home = stage.home(stage.tuned());
  const agent = stage.standIns.startAgent(home.path, [...fast, ...flags]);
  await agent.waitFor({ event: 'connected', index: 0 });
  await first.waitFor({ event: 'events' });
  return { stage, first, agent, home };
}

// A smaller buffer of the hung manager's kernel than measured, so that the wedge comes sooner.
// T is 4.5 s here: on a loaded machine too the buffer is full long before.
const heavy = [
  ['--notify-unit-ms', 300],
  ['--events-per-second', 400],
  ['--event-bytes', 4000],
  ['--hung-buffer-bytes', 150_000],
]
  .flat()
  .map(String);

/** Waits for the wedge, then for longer than T: nothing but frozen numbers shows it. */
async function assertWedged({ agent, home }: Scene): Promise<void> {
  await agent.waitFor({ event: 'send_blocked' });
  const sent = home.readState('msg_sent');
  await sleep(5000);
  assert.equal(home.readState('status'), 'connected');
  assert.ok(!existsSync(home.waitPath));
  assert.equal(home.readState('msg_sent'), sent);
  assert.ok(Number(home.readState('msg_buffer')) > 0);
  assert.ok(!agent.events.some((event) => event.event === 'lost'), silence);
}

const skip = canBlackhole() ?? false;

// By itself: it moves megabytes.
test('a hung manager and its kernel take megabytes before the agent is wedged, and then no more', async (context) => {
  const flags = ['--events-per-second', '480', '--event-bytes', '8000', '--notify-unit-ms', '1000'];
  const { first, agent, home } = await busyAgent(context, flags);
  const before = Number(home.readState('msg_sent'));

  first.stop();
  await agent.waitFor({ event: 'send_blocked' });
  await sleep(100);

  const takenBytes = (Number(home.readState('msg_sent')) - before) * 8000;
  // 1.6 to 2.2 MB were measured; a loaded machine sees the full queue a little later.
  assert.ok(takenBytes > 1_600_000 && takenBytes < 6_000_000, `${takenBytes} bytes`);
});

describe('the wedge', { concurrency: 3 }, () => {
  test('hung while events flow: it stays connected for ever and ignores SIGTERM until its socket dies', async (context) => {
    const scene = await busyAgent(context, heavy);
    const { first, agent, home } = scene;

    first.stop();
    await assertWedged(scene);
    agent.signal('SIGTERM');
    await agent.waitFor({ event: 'stopping' });
    await sleep(500);
    assert.ok(agent.isRunning);
    assert.ok(existsSync(home.statePath));

    await first.kill();
    assert.deepEqual(await agent.ended, { code: 0, signal: null });
    assert.ok(!existsSync(home.statePath));
  });

  test('a wedged agent whose socket dies goes on to the next manager', async (context) => {
    const scene = await busyAgent(context, heavy);

    scene.first.stop();
    await assertWedged(scene);
    await scene.first.kill();

    await scene.agent.waitFor({ event: 'send_freed' });
    await scene.agent.waitFor({ event: 'lost' });
    await scene.agent.waitFor({ event: 'connected', index: 1 });
  });

  test('few events do not wedge it: the silence is noticed', async (context) => {
    const { first, agent } = await busyAgent(context, ['--events-per-second', '20']);

    first.stop();

    await agent.waitFor({ event: 'lost', reason: 'silent' });
    await agent.waitFor({ event: 'connected', index: 1 });
    assert.ok(!agent.events.some((event) => event.event === 'send_blocked'));
  });

  test('--no-wedge keeps noticing while the socket is full', async (context) => {
    const { first, agent } = await busyAgent(context, [...heavy, '--no-wedge']);

    first.stop();

    await agent.waitFor({ event: 'lost', reason: 'silent' });
    await agent.waitFor({ event: 'connected', index: 1 });
  });

  test('blackholed while small events flow it wedges once 69 KB are on the way', {
    skip,
  }, async (context) => {
    const scene = await busyAgent(context, [
      '--events-per-second',
      '200',
      '--notify-unit-ms',
      '4000',
    ]);
    const blackhole = new Blackhole(scene.stage.a);
    const sentAt = (): number => Number(scene.home.readState('msg_sent'));

    await eventually('some events', () => sentAt() > 20);
    const before = sentAt();
    blackhole.open();
    await scene.agent.waitFor({ event: 'send_blocked' });
    await sleep(100);
    const lostBytes = (sentAt() - before) * 334;
    blackhole.close();

    assert.ok(lostBytes > 50_000 && lostBytes < 1_000_000, `${lostBytes} bytes went into the void`);
    assert.equal(scene.home.readState('status'), 'connected');
  });

  test('blackholed it spends C on each attempt and C on enrollment, then I', {
    skip,
  }, async (context) => {
    const scene = await busyAgent(context, [
      '--connect-timeout-ms',
      '400',
      '--events-per-second',
      '5',
    ]);
    const { first, agent } = scene;
    const blackhole = new Blackhole(scene.stage.a);

    blackhole.open();
    const lost = await agent.waitFor({ event: 'lost', reason: 'silent' });
    const moved = await agent.waitFor({ event: 'connected', index: 1 });
    blackhole.close();

    const leaveMs = moved.atMs - lost.atMs;
    assert.ok(first.isRunning);
    assert.ok(leaveMs >= 2 * 400 && leaveMs <= 2 * 400 + 15_000, `${leaveMs} ms`);
  });

  test('without a limit of ours a blackholed connect() ends when the kernel ends it', {
    skip,
  }, async (context) => {
    const stage = new Stage(context);
    const blackhole = new Blackhole(stage.a, [1514]);
    const home = stage.home();
    blackhole.open();

    const agent = stage.standIns.startAgent(home.path, fast);
    await agent.waitFor({ event: 'trying', index: 0 });
    await sleep(600);

    assert.ok(!agent.events.some((event) => event.event === 'failed'));
    blackhole.close();
    // Whoever waits for the kernel meets the refusal at its next SYN.
    await agent.waitFor({ event: 'failed', index: 0, step: 'connect' });
  });
});
