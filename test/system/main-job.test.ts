/**
 * The whole line with real programs: publisher, sidecar, stand-in agent and managers as processes
 * of their own. What the demo shows people is asserted here, with Windows line ends.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { currentSession, sessionSince } from '../../scripts/demonstration/acts.ts';
import { outsideServers, serverAddresses } from '../../scripts/demonstration/outside.ts';
import { Stage } from '../../scripts/demonstration/stage.ts';
import { control } from '../fakes/agent-home.ts';
import { eventually, ownAddress } from '../fakes/processes.ts';

const run = promisify(execFile);
const demo = fileURLToPath(new URL('../../scripts/demonstration/main.ts', import.meta.url));

interface DemoAnswer {
  readonly ok: boolean;
  readonly unchangedOutside: boolean;
  readonly results: readonly { readonly fault: string; readonly awayMs: number }[];
}

describe('side by side', { concurrency: 2 }, () => {
  test('the demo moves an agent off killed, hung and drained managers and changes nothing else', async () => {
    const { stdout } = await run(process.execPath, [demo, '--crlf', '--json'], {
      timeout: 180_000,
    });
    const answer = JSON.parse(stdout) as DemoAnswer;
    assert.equal(answer.ok, true);
    assert.equal(answer.unchangedOutside, true);
    assert.deepEqual(
      answer.results.map(({ fault }) => fault),
      ['none', 'killed', 'hung', 'drained'],
    );
    // Native agents need 50 s and 399 s; far below is enough here, figures are for the bench.
    for (const { fault, awayMs } of answer.results)
      assert.ok(awayMs < 30_000, `${fault}: ${awayMs}`);
  });

  describe('one stage, one agent', { concurrency: 1 }, () => {
    const addresses = [61, 62, 63].map(ownAddress);
    const stage = Stage.make({
      addresses,
      servers: addresses.map((address) => ({ address })),
      agentFlags: ['--retry-interval-unit-ms', '100'],
    });
    const original = stage.home.readConfig();

    before(async () => {
      await stage.startManagers();
      await stage.startPublisher();
      control(stage.home, 'start');
      await currentSession(stage);
      stage.writeSidecarConfig(stage.livelyConfig());
      stage.join();
      stage.startSidecar();
      await stage.allSeenUp();
    });
    after(() => stage.stop());

    test('a second sidecar on the host is refused with its code and changes nothing', () => {
      const second = stage.sidecarRun('once', '--json');
      assert.equal(second.status, 1);
      const { error } = JSON.parse(second.stdout) as { error: { code: string; name: string } };
      assert.deepEqual(
        { ...error, message: '', fix: '' },
        { code: 'E030', name: 'second_instance', message: '', fix: '' },
      );
    });

    test('plan says nothing would change once everything is as the list wants it', () => {
      assert.equal(stage.sidecarRun('plan').status, 0);
    });

    test('without any publisher a dead manager is left all the same', async () => {
      await stage.publisher?.kill();
      const { manager } = await currentSession(stage);
      const sinceMs = Date.now();
      await manager.process.kill();
      const found = await eventually(
        'another manager',
        () => sessionSince(stage, sinceMs, manager),
        30_000,
      );
      assert.notEqual(found.manager.id, manager.id);
      await stage.revive(manager);
      await stage.seenAs(manager, 'up');
    });

    test('without any sidecar the agent still finds a manager by its own loop', async () => {
      await stage.sidecar?.kill();
      const { manager } = await currentSession(stage);
      const sinceMs = Date.now();
      const others = serverAddresses(stage.home.readConfig()).filter(
        (one) => one !== manager.address,
      );
      assert.equal(others.length, 2);
      await manager.process.kill();
      // Five attempts, as shipped; this agent's seconds are tenths.
      await eventually('the native loop', () => sessionSince(stage, sinceMs, manager), 80_000);
      await stage.revive(manager);
    });

    test('restore --original brings the file back to its first bytes', () => {
      const restored = stage.sidecarRun('restore', '--original');
      assert.equal(restored.status, 0, restored.stderr);
      assert.equal(outsideServers(stage.home.readConfig()), outsideServers(original));
      assert.deepEqual(stage.home.readConfig(), original);
    });
  });
});
