/**
 * The main job on a real agent and real managers of this machine, where the environment names them:
 * PILOTFISH_TEST_AGENT_HOME=/var/ossec PILOTFISH_TEST_MANAGERS=127.0.0.2:1514,127.0.0.3:1514
 * The managers must run here (one is stopped and continued by signal) and know the agent's key.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { outsideServers, serverAddresses } from '../../scripts/demonstration/outside.ts';
import { Stage } from '../../scripts/demonstration/stage.ts';
import { openUnixAgent } from '../../src/host/agent-files.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import { agentHome } from '../../src/wazuh/agent-home.ts';
import { StandInHome } from '../fakes/agent-home.ts';

const home = process.env.PILOTFISH_TEST_AGENT_HOME ?? '';
const managers = (process.env.PILOTFISH_TEST_MANAGERS ?? '').split(',').filter((one) => one !== '');
const skip =
  home === '' || managers.length < 2
    ? 'PILOTFISH_TEST_AGENT_HOME and two PILOTFISH_TEST_MANAGERS are not set'
    : false;

/** The process that listens at `endpoint`, `127.0.0.2:1514`. */
function listenerPid(endpoint: string): number {
  const told = execFileSync('ss', ['-Hltnp', 'src', endpoint], { encoding: 'utf8' });
  const pid = /pid=(\d+)/.exec(told)?.[1];
  assert.ok(pid, `nothing listens at ${endpoint}`);
  return Number(pid);
}

test('a real agent gets the list, leaves a hung manager and gets its file back', {
  skip,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'pilotfish-real-'));
  const stage = Stage.around({ directory, home: new StandInHome(home), endpoints: managers });
  const agent = openUnixAgent(agentHome('linux', home), systemClock);
  const original = readFileSync(stage.home.configPath);
  const peer = async (): Promise<string | undefined> => {
    const { peers } = await agent.readFacts();
    return peers
      .map(({ address, port }) => `${address}:${port}`)
      .find((one) => managers.includes(one));
  };
  const awaitPeer = async (isWanted: (peer: string) => boolean): Promise<string> => {
    const endAtMs = Date.now() + 120_000;
    for (;;) {
      const found = await peer();
      if (found !== undefined && isWanted(found)) return found;
      assert.ok(Date.now() < endAtMs, `the agent is not where it should be: ${found}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  let stopped: number | undefined;
  try {
    await stage.startPublisher();
    stage.writeSidecarConfig({
      agent: { home },
      stateDir: `${directory}/state`,
      apply: {
        control: existsSync('/run/systemd/system') ? 'systemd' : 'wazuh-control',
        cooldown: '0s',
        minInterval: '0s',
        spread: '0s',
      },
    });
    stage.join();
    stage.startSidecar();
    const current = await awaitPeer(() => true);
    stopped = listenerPid(current);
    process.kill(stopped, 'SIGSTOP');
    await awaitPeer((one) => one !== current);
    assert.equal(serverAddresses(readFileSync(stage.home.configPath)).length, managers.length);
    assert.equal(outsideServers(readFileSync(stage.home.configPath)), outsideServers(original));
  } finally {
    if (stopped !== undefined) process.kill(stopped, 'SIGCONT');
    await stage.stopPrograms();
    writeFileSync(stage.home.configPath, original);
    rmSync(directory, { recursive: true, force: true, maxRetries: 9 });
  }
});
