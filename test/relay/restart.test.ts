/** What the death, restart or upgrade of the sidecar costs an agent that reports through the relay. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort, type StandInProcess } from '../fakes/processes.ts';
import { Stage } from '../fakes/stage.ts';

const relayProgram = fileURLToPath(new URL('relay-program.ts', import.meta.url));

/**
 * What a service manager does with a socket unit: it holds the listening socket, hands it on as
 * descriptor 3, and starts the service again when it ends. (A Node process that listens accepts.)
 */
const serviceManager = `
use Socket; $^F = 9; my ($ip, $port, @service) = @ARGV;
socket(my $held, PF_INET, SOCK_STREAM, 0); setsockopt($held, SOL_SOCKET, SO_REUSEADDR, 1);
bind($held, sockaddr_in($port, inet_aton($ip))) or die "bind: $!"; listen($held, 32);
require POSIX; POSIX::dup2(fileno($held), 3) if fileno($held) != 3;
while (1) { my $pid = fork; if (!$pid) { exec @service; die "exec: $!" } waitpid($pid, 0); select(undef, undef, undef, 0.2) }
`;

interface Scene {
  readonly agent: StandInProcess;
  readonly relay: StandInProcess;
}

async function relayed(context: TestContext, isHeld: boolean): Promise<Scene> {
  const stage = new Stage(context);
  await stage.manager(stage.b);
  const port = await freePort(stage.a);
  const service = [process.execPath, relayProgram];
  const relay = isHeld
    ? stage.standIns.start('perl', [
        '-e',
        serviceManager,
        stage.a,
        `${port}`,
        ...service,
        'fd',
        `${stage.b}:1514`,
      ])
    : stage.standIns.start(process.execPath, [
        relayProgram,
        `${stage.a}:${port}`,
        `${stage.b}:1514`,
      ]);
  await relay.waitFor({ event: 'mode' });
  const home = stage.home({
    servers: [{ address: stage.a, port, maxRetries: 1, retryIntervalS: 1 }, { address: stage.b }],
    enrollmentPort: await freePort(stage.a),
  });
  const agent = stage.standIns.startAgent(home.path, [
    '--tick-ms',
    '50',
    '--state-interval-ms',
    '50',
  ]);
  await agent.waitFor({ event: 'connected', index: 0 });
  return { agent, relay };
}

function of(agent: StandInProcess, name: string) {
  return agent.events.filter(({ event }) => event === name);
}

describe('a restart of the sidecar', { concurrency: 3 }, () => {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    test(`a sidecar ended by ${signal} and started again costs one reconnect when its socket is held`, async (context) => {
      const { agent, relay } = await relayed(context, true);
      const first = await relay.waitFor({ event: 'mode' });
      const mark = agent.mark;
      process.kill(Number(first.pid), signal);
      await agent.waitFor({ event: 'connected', index: 0 }, { after: mark });
      assert.equal(of(agent, 'lost').length, 1);
      assert.equal(of(agent, 'failed').length, 0);
      assert.equal(of(agent, 'connected').length, 2);
    });

    test(`a sidecar that dies by ${signal} and stays dead leaves the agent to its own list within seconds`, async (context) => {
      const { agent, relay } = await relayed(context, false);
      const mark = agent.mark;
      relay.signal(signal);
      const lost = await agent.waitFor({ event: 'lost' }, { after: mark });
      const moved = await agent.waitFor({ event: 'connected', index: 1 }, { after: mark });
      assert.equal(of(agent, 'lost').length, 1);
      assert.ok(moved.atMs - lost.atMs < 20_000, `back after ${moved.atMs - lost.atMs} ms`);
    });
  }
});
