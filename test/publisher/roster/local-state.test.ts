/** What Wazuh's own files beside the publisher say decides alone: daemons, queues; and the guard holds. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readManagerHome } from '../../../src/host/manager-home.ts';
import { initPublisherDirectory } from '../../cli/publisher-fixture.ts';
import { eventually, ownAddress } from '../../fakes/processes.ts';
import { scratchDirectory } from '../fixture.ts';
import { PongManager } from './pong.ts';

const waitMs = 60_000;
const daemons = ['wazuh-remoted', 'wazuh-analysisd', 'wazuh-db'] as const;

/** A home whose daemons are this process. */
class ManagerHome {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    mkdirSync(join(path, 'var/run'), { recursive: true });
    for (const daemon of daemons) this.runs(daemon, true);
    this.queue(0.1);
  }

  runs(daemon: (typeof daemons)[number], isRunning: boolean): void {
    const pidFile = join(this.path, 'var/run', `${daemon}-${process.pid}.pid`);
    if (isRunning) writeFileSync(pidFile, `${process.pid}\n`);
    else rmSync(pidFile);
  }

  queue(usage: number): void {
    const state = join(this.path, 'var/run/wazuh-analysisd.state');
    writeFileSync(state, `# State\nevent_queue_usage='${usage}'\n`);
  }
}

test('daemons, queues and disk are read from the home; no home says nothing', async (t) => {
  const home = new ManagerHome(join(scratchDirectory(t), 'ossec'));
  home.queue(0.97);
  home.runs('wazuh-db', false);
  writeFileSync(join(home.path, 'var/run/wazuh-db-999999999.pid'), ''); // it died and left this
  const seen = await readManagerHome(home.path);
  assert.deepEqual(seen?.missingDaemons, ['wazuh-db']);
  assert.equal(seen?.queueUsage, 0.97);
  assert.ok((seen?.diskFree ?? 0) > 0 && (seen?.diskFree ?? 2) <= 1);
  assert.equal(await readManagerHome(join(home.path, 'none')), undefined);
});

test('a full queue, and a daemon that is gone, take the manager out of the list and let it in again', async (t) => {
  const managers = [170, 171].map((at) => new PongManager(t, ownAddress(at)));
  await Promise.all(managers.map((manager) => manager.come()));
  const home = new ManagerHome(join(scratchDirectory(t), 'ossec'));
  const names = managers.map(({ address }, at) => `wm${at + 1}=${address}:1514`);
  const publisher = await initPublisherDirectory(t, names);
  const roster = `roster:\n  enabled: true\n  interval: 100ms\n  home: ${home.path}\n  local: wm1\n`;
  publisher.edit(/^list:/m, `${roster}probe:\n  interval: 200ms\nlist:`);
  await publisher.start();
  const becomes = (state: string) =>
    eventually(`wm1 is ${state}`, async () => (await publisher.states()).wm1 === state, waitMs);
  await becomes('up');
  home.queue(0.99);
  await becomes('down');
  assert.match((await publisher.run('status')).out, /wm1 .*a queue is 99 % full/);
  home.queue(0.2);
  await becomes('up');
  home.runs('wazuh-remoted', false);
  await becomes('down');
  assert.match((await publisher.run('status')).out, /not running: wazuh-remoted/);
  home.runs('wazuh-remoted', true);
  await becomes('up');

  publisher.edit('  local: wm1\n', '  local: wm1\n  minReady: 2\n');
  publisher.reload();
  await eventually('the new settings hold', async () => {
    home.queue(0.99);
    const { running } = await publisher.json('status');
    return /the list stays/.test(running?.roster?.guarded ?? '');
  });
  assert.deepEqual(await publisher.states(), { wm1: 'up', wm2: 'up' });
});
