/** Two hundred hostile sockets beside a good client: it is answered, they are bounded. No timing. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { askAll } from '../../scripts/flood/good.ts';
import type { RunningStatus } from '../../src/publisher/status/running.ts';
import { runPublisher } from '../cli/publisher-fixture.ts';
import { eventually, freePort } from '../fakes/processes.ts';
import { scratchDirectory } from '../publisher/fixture.ts';
import { type Fleet, makeFleet, mintToken, serveFleet } from './fixture.ts';

const hostilePath = fileURLToPath(new URL('../../scripts/flood/hostile.ts', import.meta.url));

/** `limits.maxConnectionsPerIp`, as it comes. */
const perAddress = 64;

interface State {
  readonly open: number;
  readonly opened: number;
  readonly cut: number;
}

test('a good client is answered beside 200 hostile sockets, and none of those stays', async (t) => {
  const port = await freePort('127.0.0.1');
  const fleet = await makeFleet(join(scratchDirectory(t), 'p'), { port, managers: 3, agents: 100 });
  const serving = await serveFleet(fleet);
  t.after(() => serving.stop());
  const token = await mintToken(fleet, 'read');
  // From one address: more than it may hold.
  const child = fork(hostilePath, [`${port}`, '200', '1']);
  t.after(() => child.kill('SIGKILL'));
  let state: State = { open: 0, opened: 0, cut: 0 };
  child.on('message', (message) => {
    state = message as State;
  });
  await eventually('they are there', () => state.opened >= 200);
  const answers = await askAll({ port, token, questions: 60, pauseMs: 10 });
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  await eventually('all of them were cut off once', () => state.cut >= 200);
  const { connections, refused } = await runningOf(fleet);
  assert.ok(connections <= perAddress, `${connections} connections stand`);
  assert.ok((refused['connection full_for_ip'] ?? 0) > 0, 'nobody was over the cap of its address');
});

/** As the publisher itself counts. */
async function runningOf({ directory }: Fleet): Promise<RunningStatus> {
  const { out } = await runPublisher(['status', '--dir', directory, '--json']);
  return JSON.parse(out).running;
}
