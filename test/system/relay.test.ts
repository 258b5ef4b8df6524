/**
 * Relay mode with real programs: the agent dials this host and is led to a live manager. What it
 * costs the agent is counted: restarts, reconnects, seconds.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { currentSession, sessionSince } from '../../scripts/demonstration/acts.ts';
import { serverAddresses } from '../../scripts/demonstration/outside.ts';
import { Stage } from '../../scripts/demonstration/stage.ts';
import { control } from '../fakes/agent-home.ts';
import { eventually, ownAddress } from '../fakes/processes.ts';

const relayPort = 514;

type Session = Awaited<ReturnType<typeof currentSession>>;

interface RelayStatus {
  readonly relay?: { readonly kind: string; readonly managerId?: string; readonly why?: string };
  readonly alarms: readonly { readonly text: string }[];
  readonly step: { readonly kind: string };
}

function build(
  first: number,
  enrollment: 'yes' | 'no',
  managers: readonly number[] = [0, 1, 2],
): { stage: Stage; relay: string } {
  const addresses = managers.map((place) => ownAddress(first + place));
  const stage = Stage.make({
    addresses,
    servers: addresses.map((address) => ({ address })),
    enrollment,
    agentFlags: ['--retry-interval-unit-ms', '100'],
  });
  return { stage, relay: ownAddress(first + 3) };
}

async function raise(stage: Stage, relay: string): Promise<void> {
  await stage.startManagers();
  await stage.startPublisher();
  control(stage.home, 'start');
  await currentSession(stage);
  const config = stage.livelyConfig({ mode: 'relay' });
  stage.writeSidecarConfig({ ...config, relay: { address: relay, port: relayPort } });
  stage.join();
  stage.startSidecar();
}

function reconnects(stage: Stage, sinceMs: number): number {
  return stage.managers
    .flatMap(({ process }) => process.events)
    .filter(({ event, atMs }) => event === 'agent_connected' && atMs >= sinceMs).length;
}

/** Until another manager has the agent: seconds, and that it cost one reconnect and no restart. */
async function leaves(stage: Stage, { manager }: Session, fault: () => unknown): Promise<number> {
  const pids = stage.home.pids.join();
  const sinceMs = Date.now();
  await fault();
  const found = await eventually(
    'another manager',
    () => sessionSince(stage, sinceMs, manager),
    90_000,
  );
  assert.equal(reconnects(stage, sinceMs), 1, 'one reconnect');
  assert.equal(stage.home.pids.join(), pids, 'no restart');
  return (found.atMs - sinceMs) / 1_000;
}

describe('side by side', { concurrency: 2 }, () => {
  describe('an agent behind the relay', { concurrency: 1 }, () => {
    const { stage, relay } = build(70, 'no');

    before(async () => {
      await raise(stage, relay);
      await stage.connectedThrough(relay);
      await stage.allSeenUp();
    });
    after(() => stage.stop());

    test('the relay stands first, the managers behind it, with one quick try of its own', () => {
      const text = stage.home.readConfig().toString();
      assert.equal(serverAddresses(stage.home.readConfig())[0], relay);
      assert.equal(serverAddresses(stage.home.readConfig()).length, 4);
      assert.match(text, /<max_retries>1<\/max_retries>\s*<retry_interval>1<\/retry_interval>/);
      assert.equal(stage.sidecarRun('plan').status, 0);
    });

    test('a killed manager is left at once, without a restart', async () => {
      const session = await currentSession(stage);
      const seconds = await leaves(stage, session, () => session.manager.process.kill());
      assert.ok(seconds < 15, `${seconds} s`); // the native loop: 50; the bench measures it
      await stage.revive(session.manager);
      await stage.seenAs(session.manager, 'up');
    });

    test('a hung manager is left in a few seconds, without a restart', async () => {
      const session = await currentSession(stage);
      const seconds = await leaves(stage, session, () => session.manager.process.stop());
      assert.ok(seconds < 30, `${seconds} s`); // the native loop: 399
      session.manager.process.cont();
      await stage.seenAs(session.manager, 'up');
    });

    test('a drained manager is left without a restart', async () => {
      const session = await currentSession(stage);
      const { id } = session.manager;
      const seconds = await leaves(stage, session, () => stage.publisherRun('drain', id));
      assert.ok(seconds < 60, `${seconds} s`);
      stage.publisherRun('undrain', id);
      await stage.seenAs(session.manager, 'up');
    });

    test('with a dead sidecar the agent goes on by its own list', async () => {
      const sinceMs = Date.now();
      await stage.sidecar?.kill();
      const found = await eventually('native failover', () => sessionSince(stage, sinceMs), 90_000);
      assert.ok(found.atMs - sinceMs < 45_000, `${found.atMs - sinceMs} ms`);
      assert.match(
        stage.home.readLog().split('(4102)').at(-1) ?? '',
        new RegExp(found.manager.address),
      );
    });

    test('when the sidecar is back the agent is led into the relay again, in its time', async () => {
      stage.startSidecar();
      await stage.connectedThrough(relay);
    });
  });

  describe('an agent whose only manager restarts', { concurrency: 1 }, () => {
    const { stage, relay } = build(74, 'no', [0]);

    before(async () => {
      await raise(stage, relay);
      await stage.connectedThrough(relay);
      await stage.allSeenUp(); // the cycle that led the agent into the relay has ended
    });
    after(() => stage.stop());

    test('is kept in the relay meanwhile, and is back without a restart or a walk through its list', async () => {
      const { manager } = await currentSession(stage);
      const pids = stage.home.pids.join();
      const logged = stage.home.readLog().length;
      const sinceMs = Date.now();
      await manager.process.kill();
      await stage.seenAs(manager, 'down');
      await stage.revive(manager);
      await eventually('it is back', () => sessionSince(stage, sinceMs), 90_000);
      assert.equal(stage.home.pids.join(), pids, 'no restart');
      const told = stage.home.readLog().slice(logged);
      assert.doesNotMatch(told, new RegExp(`Trying to connect.*${manager.address}`));
    });
  });

  describe('an agent that would enrol at whoever listens there', { concurrency: 1 }, () => {
    const { stage, relay } = build(80, 'yes');

    before(async () => {
      await raise(stage, relay);
    });
    after(() => stage.stop());

    test('gets no relay, is told why, and is kept connected by restarts as before', async () => {
      const status = await eventually('a status that tells of the relay', () => {
        const told = JSON.parse(stage.sidecarRun('status', '--json').stdout) as RelayStatus;
        // Until the first cycle has ended there is only a plan.
        return told.relay?.why?.includes('not running') === false ? told : undefined;
      });
      assert.equal(status.relay?.kind, 'refused');
      assert.match(status.relay?.why ?? '', /enrollment_open/);
      assert.ok(status.alarms.some(({ text }) => text.includes('E043')));
      assert.ok(!serverAddresses(stage.home.readConfig()).includes(relay));
      const { manager } = await currentSession(stage);
      const sinceMs = Date.now();
      await manager.process.kill();
      await eventually('another manager', () => sessionSince(stage, sinceMs, manager), 90_000);
    });
  });
});
