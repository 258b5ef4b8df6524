/**
 * The stand-in agent keeps the measured behaviour of the real one, at a faster clock: the shape is
 * held against agent-timing.ts, which is held against the laboratory's table.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { AgentHomeOptions, StandInHome } from './agent-home.ts';
import { detectionS, leaveS, type NativeTiming, tunedTiming } from './agent-timing.ts';
import { eventually, type StandInProcess } from './processes.ts';
import { Stage } from './stage.ts';

const secondMs = 12;
const fast = [
  ['--retry-interval-unit-ms', secondMs],
  ['--notify-unit-ms', 50],
  ['--tick-ms', 50],
  ['--state-interval-ms', 50],
]
  .flat()
  .map(String);
/** Waiting for a process on a busy machine; never part of what is measured. */
/** What a busy machine may add; that waits are no shorter than they should be is exact. */
const slackMs = 15_000;

interface Scene {
  readonly stage: Stage;
  readonly first: StandInProcess;
  readonly second: StandInProcess;
  readonly agent: StandInProcess;
  readonly home: StandInHome;
}

/** Both managers up, the agent connected to the first. */
async function connectedPair(
  stage: Stage,
  options: Partial<AgentHomeOptions> = {},
  flags: readonly string[] = [],
): Promise<Scene> {
  const first = await stage.manager(stage.a);
  const second = await stage.manager(stage.b);
  const home = stage.home(options);
  const agent = stage.standIns.startAgent(home.path, [...fast, ...flags]);
  await agent.waitFor({ event: 'connected', index: 0 });
  return { stage, first, second, agent, home };
}

describe('the stand-in agent', { concurrency: 4 }, () => {
  test('a refused manager is left after R x I, the next in order is taken, and nobody fails back', async (context) => {
    const { stage, first, second, agent } = await connectedPair(new Stage(context));
    const defaults: NativeTiming = { ...tunedTiming, maxRetries: 5, retryIntervalS: 10 };
    const leaveMs = leaveS('refused', defaults) * secondMs;

    await first.kill();
    const lost = await agent.waitFor({ event: 'lost', reason: 'closed' });
    const moved = await agent.waitFor({ event: 'connected', index: 1 });
    assert.ok(moved.atMs - lost.atMs >= leaveMs - 20, `left after ${moved.atMs - lost.atMs} ms`);
    assert.ok(
      moved.atMs - lost.atMs <= leaveMs + slackMs,
      `left after ${moved.atMs - lost.atMs} ms`,
    );
    const tries = agent.events
      .filter((event) => event.event === 'trying')
      .map(({ index }) => index);
    assert.deepEqual(tries, [0, 0, 0, 0, 0, 0, 1]);

    await stage.manager(stage.a);
    const mark = agent.mark;
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.deepEqual(agent.events.slice(mark), [], 'no move while B is fine');
    await second.kill();
    const back = await agent.waitFor({ event: 'connected', index: 0 }, { after: mark });
    const lostAgain = await agent.waitFor({ event: 'lost' }, { after: mark });
    assert.ok(back.atMs - lostAgain.atMs >= leaveMs - 20, 'B, the current one, is tried first');
  });

  test('after a loss the current manager is tried first again', async (context) => {
    const slow = ['--retry-interval-unit-ms', '100'];
    const { first, agent } = await connectedPair(new Stage(context), {}, slow);

    const mark = agent.mark;
    first.send('mode closed');
    await agent.waitFor({ event: 'failed', index: 0 }, { after: mark });
    first.send('mode normal');

    await agent.waitFor({ event: 'connected', index: 0 }, { after: mark });
    assert.ok(!agent.events.some((event) => event.index === 1));
  });

  test('a hung manager is noticed T after its last answer and left after R x V + R x I', async (context) => {
    const stage = new Stage(context);
    const { first, agent } = await connectedPair(stage, stage.tuned(), [
      '--recv-timeout-ms',
      '300',
    ]);
    const noticed = detectionS('hung', tunedTiming);

    first.stop();
    const stoppedAtMs = Date.now();
    const lost = await agent.waitFor({ event: 'lost', reason: 'silent' });
    const moved = await agent.waitFor({ event: 'connected', index: 1 });

    const noticedMs = lost.atMs - stoppedAtMs;
    assert.ok(noticedMs >= noticed.min * 50 - 50, `noticed after ${noticedMs} ms`);
    assert.ok(noticedMs <= noticed.max * 50 + slackMs, `noticed after ${noticedMs} ms`);
    const leaveMs = moved.atMs - lost.atMs;
    assert.ok(leaveMs >= 300 + secondMs - 20, `left after ${leaveMs} ms`);
    assert.ok(leaveMs <= 300 + secondMs + slackMs, `left after ${leaveMs} ms`);
  });

  test('recv_timeout comes from local_internal_options.conf', async (context) => {
    const stage = new Stage(context);
    const first = await stage.manager(stage.a, ['--mode', 'hung-app']);
    await stage.manager(stage.b);
    assert.ok(first.isRunning);

    const agent = stage.standIns.startAgent(
      stage.home({ ...stage.tuned(), recvTimeoutS: 1 }).path,
      fast,
    );

    const tried = await agent.waitFor({ event: 'trying', index: 0 });
    const moved = await agent.waitFor({ event: 'connected', index: 1 });
    assert.ok(moved.atMs - tried.atMs >= 990, `${moved.atMs - tried.atMs} ms`);
    assert.ok(
      moved.atMs - tried.atMs <= 1000 + secondMs + slackMs,
      `${moved.atMs - tried.atMs} ms`,
    );
  });

  test('with no manager up it walks the list round and round', async (context) => {
    const stage = new Stage(context);
    const agent = stage.standIns.startAgent(stage.home(stage.tuned()).path, fast);

    await eventually('two rounds', () => agent.events.filter((e) => e.event === 'trying')[4]);

    const tries = agent.events
      .filter((event) => event.event === 'trying')
      .map(({ index }) => index);
    assert.deepEqual(tries.slice(0, 5), [0, 1, 0, 1, 0]);
  });

  test('state file, .wait and pid file follow the connection and go with a clean stop', async (context) => {
    const stage = new Stage(context);
    const made = stage.home(stage.tuned());
    const agent = stage.standIns.startAgent(made.path, fast);
    const pidPath = `${made.path}/var/run/wazuh-agentd-${agent.pid}.pid`;
    await agent.waitFor({ event: 'trying' });
    await eventually('pending', () => made.readState('status') === 'pending');
    assert.ok(existsSync(made.waitPath));
    assert.ok(existsSync(pidPath));

    const manager = await stage.manager(stage.a);
    await eventually('connected', () => made.readState('status') === 'connected');
    assert.ok(!existsSync(made.waitPath));
    await eventually('an ack', () => made.readState('last_ack') !== '');

    await manager.kill();
    await eventually('.wait', () => existsSync(made.waitPath));
    await eventually('disconnected', () => made.readState('status') === 'disconnected');

    agent.signal('SIGTERM');
    assert.deepEqual(await agent.ended, { code: 0, signal: null });
    assert.ok(!existsSync(made.statePath));
    assert.ok(!existsSync(pidPath));
  });

  test('SIGKILL leaves the state file saying connected, and the pid file', async (context) => {
    const { agent, home: made } = await connectedPair(new Stage(context));
    await eventually('connected', () => made.readState('status') === 'connected');

    await agent.kill();

    assert.equal(made.readState('status'), 'connected');
    assert.ok(existsSync(`${made.path}/var/run/wazuh-agentd-${agent.pid}.pid`));
  });

  test('the log has the lines a sidecar looks for, in the order of the real agent', async (context) => {
    const stage = new Stage(context);
    const { first, agent, home: made } = await connectedPair(stage, stage.tuned());
    // Not a kill: a dying process may accept once more before its port is gone.
    first.send('mode closed');
    await agent.waitFor({ event: 'connected', index: 1 });
    await eventually('the last line', () => made.readLog().includes('Server responded'));

    const lines = made
      .readLog()
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d wazuh-agentd: /, ''));

    assert.deepEqual(lines, [
      `INFO: Trying to connect to server ([${stage.a}]:1514/tcp).`,
      `INFO: (4102): Connected to the server ([${stage.a}]:1514/tcp).`,
      'ERROR: (1137): Lost connection with manager. Setting lock.',
      `INFO: Trying to connect to server ([${stage.a}]:1514/tcp).`,
      `ERROR: (1216): Unable to connect to '[${stage.a}]:1514/tcp': 'Transport endpoint is not connected'.`,
      `INFO: Requesting a key from server: ${stage.a}`,
      `WARNING: (4101): Waiting for server reply (not started). Tried: '${stage.a}'.`,
      `INFO: Trying next server ip in the line: '${stage.b}'.`,
      `INFO: Trying to connect to server ([${stage.b}]:1514/tcp).`,
      `INFO: (4102): Connected to the server ([${stage.b}]:1514/tcp).`,
      'INFO: Server responded. Releasing lock.',
    ]);
  });

  test('buffered events survive a failover: all but the one in flight reach the other manager', async (context) => {
    const stage = new Stage(context);
    const flags = ['--events-per-second', '200'];
    const { first, second, agent } = await connectedPair(stage, stage.tuned(), flags);
    await first.waitFor({ event: 'events' });

    // Its connection and its port end; it stays to tell how much it took before.
    first.send('mode closed');
    await agent.waitFor({ event: 'connected', index: 1 });
    const arrived = await eventually('300 events', () =>
      second.events.findLast((event) => event.event === 'events' && Number(event.total) > 300),
    );

    // The count of the first lags its report interval: it may grow once more.
    await eventually('all but what was in flight', () => {
      const before = first.events.findLast((event) => event.event === 'events');
      return Number(arrived.lastSeq) - Number(arrived.total) - Number(before?.total) <= 40;
    });
  });

  test('SIGUSR1 re-reads no servers, and a broken file ends the agent', async (context) => {
    const stage = new Stage(context);
    const { agent, home: made } = await connectedPair(stage, stage.tuned());
    const mark = agent.mark;

    agent.signal('SIGUSR1');
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.deepEqual(agent.events.slice(mark), []);
    made.writeConfig('<ossec_config><client></ossec_config>');
    agent.signal('SIGUSR1');

    assert.equal((await agent.ended).code, 1);
    assert.match(made.readLog(), /ERROR: \(1226\): .*ERROR: \(1215\): No client configured/s);
  });
});
