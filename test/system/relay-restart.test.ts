/**
 * The sidecar itself dies, is restarted, is replaced, while its socket is kept by a service manager:
 * the agent loses one connection, is not restarted, and comes back to the relay.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { currentSession } from '../../scripts/demonstration/acts.ts';
import { serverAddresses } from '../../scripts/demonstration/outside.ts';
import { Stage } from '../../scripts/demonstration/stage.ts';
import { control } from '../fakes/agent-home.ts';
import { eventually, ownAddress } from '../fakes/processes.ts';

const relay = { address: ownAddress(93), port: 514 };
const sidecarMain = fileURLToPath(new URL('../../src/sidecar-main.ts', import.meta.url));

/**
 * What systemd does with a socket unit (sd_listen_fds(3)): it holds the listening socket, hands it
 * on as descriptor 3 with three variables, and starts the service again when it ends.
 */
const serviceManager = `
use Socket; use POSIX; $^F = 9; my ($ip, $port, @service) = @ARGV;
socket(my $held, PF_INET, SOCK_STREAM, 0); setsockopt($held, SOL_SOCKET, SO_REUSEADDR, 1);
bind($held, sockaddr_in($port, inet_aton($ip))) or die "bind: $!"; listen($held, 32);
POSIX::dup2(fileno($held), 3) if fileno($held) != 3;
while (1) {
  my $pid = fork;
  if (!$pid) {
    $ENV{LISTEN_PID} = $$; $ENV{LISTEN_FDS} = 1; $ENV{LISTEN_FDNAMES} = 'pilotfish-relay.socket';
    exec @service; die "exec: $!";
  }
  $| = 1; print qq({"event":"started","pid":$pid}\\n);
  waitpid($pid, 0); select(undef, undef, undef, 0.1);
}
`;

describe('a restart of the sidecar behind a kept socket', () => {
  const addresses = [90, 91, 92].map(ownAddress);
  const stage = Stage.make({
    addresses,
    servers: addresses.map((address) => ({ address })),
    enrollment: 'no',
  });
  // The service dies with its manager: nothing of this test is left behind.
  const dying = ['setpriv', '--pdeathsig', 'KILL', process.execPath, sidecarMain];
  const argv = [...dying, 'run', '--config', stage.configPath];
  const managing = ['perl', '-e', serviceManager, relay.address, String(relay.port), ...argv];

  before(async () => {
    await stage.startManagers();
    await stage.startPublisher();
    control(stage.home, 'start');
    await currentSession(stage);
    const config = stage.livelyConfig({ mode: 'relay' });
    stage.writeSidecarConfig({ ...config, relay });
    stage.join();
    stage.sidecar = stage.startProgram(managing);
    await stage.connectedThrough(relay.address);
    await stage.allSeenUp();
  });
  after(() => stage.stop());

  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    test(`${signal}: one reconnect, no restart, back in the relay`, async () => {
      const pids = stage.home.pids.join();
      const sinceMs = Date.now();
      const last = stage.sidecar?.events.findLast(({ event }) => event === 'started');
      process.kill(Number(last?.pid), signal);
      await eventually('the agent is back', () => connections(stage, sinceMs) > 0, 90_000);
      await stage.allSeenUp(); // a cycle of the new process has looked at everything
      assert.equal(connections(stage, sinceMs), 1);
      assert.equal(stage.home.pids.join(), pids, 'no restart');
      assert.match(stage.home.readLog().split('(4102)').at(-1) ?? '', new RegExp(relay.address));
      assert.equal(serverAddresses(stage.home.readConfig())[0], relay.address);
    });
  }
});

function connections(stage: Stage, sinceMs: number): number {
  return stage.managers
    .flatMap(({ process: manager }) => manager.events)
    .filter(({ event, atMs }) => event === 'agent_connected' && atMs >= sinceMs).length;
}
