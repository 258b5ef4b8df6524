/** The wedge of real-agent-lab.md 3b: a manager that hangs or vanishes while events flow. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeAgentHome, type StandInHome } from './agent-home.ts';
import { Blackhole, canBlackhole } from './blackhole.ts';
import { eventually, ownAddress, type StandInProcess, StandIns } from './processes.ts';

const [a, b] = [ownAddress(0), ownAddress(1)];
const standIns = new StandIns();
const homes: StandInHome[] = [];
afterEach(async () => {
  await standIns.stopAll();
  for (const home of homes.splice(0)) home.remove();
});

const fast = [
  ['--retry-interval-unit-ms', 20],
  ['--notify-unit-ms', 60],
  ['--tick-ms', 50],
  ['--state-interval-ms', 20],
  ['--recv-timeout-ms', 300],
]
  .flat()
  .map(String);

const silence = 'a manager that is silent for 0.9 s is noticed, unless the agent is wedged';

interface Scene {
  readonly first: StandInProcess;
  readonly agent: StandInProcess;
  readonly home: StandInHome;
}

/** Both managers up, the agent on the first, events flowing. T is 0.9 s. */
async function busyAgent(flags: readonly string[]): Promise<Scene> {
  const first = await standIns.startManager(`${a}:1514`, ['--report-interval-ms', '50']);
  await standIns.startManager(`${b}:1514`);
  const servers = [a, b].map((address) => ({ address, maxRetries: 1, retryIntervalS: 1 }));
  const home = makeAgentHome({ servers, notifyS: 5, reconnectS: 15 });
  homes.push(home);
  const agent = standIns.startAgent(home.path, [...fast, ...flags]);
  await agent.waitFor({ event: 'connected', index: 0 });
  await first.waitFor({ event: 'events' });
  return { first, agent, home };
}

const heavy = ['--events-per-second', '480', '--event-bytes', '20000'];

/** Waits for the wedge, then for twice T: nothing but frozen numbers shows it. */
async function assertWedged({ agent, home }: Scene): Promise<void> {
  await agent.waitFor({ event: 'send_blocked' });
  const sent = home.readState('msg_sent');
  await sleep(1500);
  assert.equal(home.readState('status'), 'connected');
  assert.ok(!existsSync(home.waitPath));
  assert.equal(home.readState('msg_sent'), sent);
  assert.ok(Number(home.readState('msg_buffer')) > 0);
  assert.ok(!agent.events.some((event) => event.event === 'lost'), silence);
}

test('hung while events flow: it stays connected for ever and ignores SIGTERM until its socket dies', async () => {
  const scene = await busyAgent(heavy);
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

test('a wedged agent whose socket dies goes on to the next manager', async () => {
  const scene = await busyAgent(heavy);

  scene.first.stop();
  await assertWedged(scene);
  await scene.first.kill();

  await scene.agent.waitFor({ event: 'send_freed' });
  await scene.agent.waitFor({ event: 'lost' });
  await scene.agent.waitFor({ event: 'connected', index: 1 });
});

test('a hung manager and its kernel take between 1.6 and 2.2 MB before the agent is wedged', async () => {
  const flags = ['--events-per-second', '480', '--event-bytes', '8000', '--notify-unit-ms', '300'];
  const { first, agent, home } = await busyAgent(flags);
  const before = Number(home.readState('msg_sent'));

  first.stop();
  await agent.waitFor({ event: 'send_blocked' });
  await sleep(100);

  const takenBytes = (Number(home.readState('msg_sent')) - before) * 8000;
  assert.ok(takenBytes > 1_600_000 && takenBytes < 2_200_000, `${takenBytes} bytes`);
});

test('few events do not wedge it: the silence is noticed', async () => {
  const { first, agent } = await busyAgent(['--events-per-second', '20']);

  first.stop();

  await agent.waitFor({ event: 'lost', reason: 'silent' });
  await agent.waitFor({ event: 'connected', index: 1 });
  assert.ok(!agent.events.some((event) => event.event === 'send_blocked'));
});

test('--no-wedge keeps noticing while the socket is full', async () => {
  const { first, agent } = await busyAgent([...heavy, '--no-wedge']);

  first.stop();

  await agent.waitFor({ event: 'lost', reason: 'silent' });
  await agent.waitFor({ event: 'connected', index: 1 });
});

const skip = canBlackhole() ?? false;

test('blackholed while small events flow it wedges once 69 KB are on the way', {
  skip,
}, async () => {
  const scene = await busyAgent(['--events-per-second', '200', '--notify-unit-ms', '400']);
  const blackhole = new Blackhole(a);
  const sentAt = (): number => Number(scene.home.readState('msg_sent'));

  await eventually('some events', () => sentAt() > 20);
  const before = sentAt();
  blackhole.open();
  await scene.agent.waitFor({ event: 'send_blocked' });
  await sleep(100);
  const lostBytes = (sentAt() - before) * 334;
  blackhole.close();

  assert.ok(lostBytes > 50_000 && lostBytes < 90_000, `${lostBytes} bytes went into the void`);
  assert.equal(scene.home.readState('status'), 'connected');
});

test('blackholed it spends C on each attempt and C on enrollment, then I', { skip }, async () => {
  const { first, agent } = await busyAgent([
    '--connect-timeout-ms',
    '400',
    '--events-per-second',
    '5',
  ]);
  const blackhole = new Blackhole(a);

  blackhole.open();
  const lost = await agent.waitFor({ event: 'lost', reason: 'silent' });
  const moved = await agent.waitFor({ event: 'connected', index: 1 });
  blackhole.close();

  const leaveMs = moved.atMs - lost.atMs;
  assert.ok(first.isRunning);
  assert.ok(leaveMs >= 2 * 400 && leaveMs <= 2 * 400 + 20 + 900, `${leaveMs} ms`);
});

test('without a limit of ours a blackholed connect() ends when the kernel ends it', {
  skip,
}, async () => {
  const blackhole = new Blackhole(a, [1514]);
  const home = makeAgentHome({ servers: [{ address: a }, { address: b }] });
  homes.push(home);
  blackhole.open();

  const agent = standIns.startAgent(home.path, fast);
  await agent.waitFor({ event: 'trying', index: 0 });
  await sleep(600);

  assert.ok(!agent.events.some((event) => event.event === 'failed'));
  blackhole.close();
  // Whoever waits for the kernel meets the refusal at its next SYN.
  await agent.waitFor({ event: 'failed', index: 0, step: 'connect' });
});
