/** Beside a cluster of our own nodes, asked over the local socket; managers that are real sockets. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { LocalClient } from '../../../src/cluster/local/local-client.ts';
import type { Health } from '../../../src/health/judge.ts';
import { dialUnix } from '../../../src/host/cluster-local-socket.ts';
import { systemClock, systemRandom } from '../../../src/host/system-clock.ts';
import { type Log, silentLog } from '../../../src/log.ts';
import { Complaints } from '../../../src/publisher/complaints.ts';
import { type RosterParts, rosterRound } from '../../../src/publisher/roster/keep-roster.ts';
import { defaultReadiness, knownReadiness } from '../../../src/publisher/roster/readiness.ts';
import { initPublisherDirectory } from '../../cli/publisher-fixture.ts';
import { Home, startMaster, startWorker } from '../../cluster/system/nodes.ts';
import { ownAddress } from '../../fakes/processes.ts';
import { Stage } from '../../fakes/stage.ts';
import { managersOf, scratchDirectory } from '../fixture.ts';

async function until<Found>(look: () => Promise<Found | undefined>, what: string): Promise<Found> {
  const endAtMs = performance.now() + 60_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > endAtMs) throw new Error(`it did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/**
 * How long this process, and with it the publisher, has had the processor: naps of 50 ms in a row. A
 * machine that is busy stretches naps and probes alike.
 */
function livedTime(): () => { readonly livedMs: number; readonly wallMs: number } {
  const startMs = performance.now();
  let naps = 0;
  const timer = setTimeout(function nap() {
    naps += 1;
    timer.refresh();
  }, 50);
  return () => {
    clearTimeout(timer);
    return { livedMs: naps * 50, wallMs: Math.round(performance.now() - startMs) };
  };
}

test('a cluster socket that hangs costs its deadline, is told once and takes nobody out', async (t) => {
  const path = join(scratchDirectory(t), 'c.sock');
  const server = createServer(() => undefined); // it accepts, and says nothing
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => server.close());
  const told: string[] = [];
  const log: Log = { ...silentLog, error: (event) => void told.push(event) };
  const complaints = new Complaints(log, systemClock.nowMs);
  const dial = (signal: AbortSignal) => dialUnix(systemClock, path, signal);
  const client = new LocalClient({ clock: systemClock, random: systemRandom, dial });
  const published: (readonly string[])[] = [];
  const health = (id: string) => [id, upHealth] as const;
  const parts: RosterParts = {
    clock: systemClock,
    log,
    complaints,
    managers: () => managersOf('wm1', 'wm2'),
    nodeOf: (id) => id,
    healths: () => new Map([health('wm1'), health('wm2')]),
    rows: () => [],
    askCluster: (signal) => client.health(null, { signal }),
    settings: () => ({ ...defaultReadiness, everyMs: 100, maxAgeMs: 60_000 }),
    publish: async (unready) => void published.push(unready),
  };
  const signal = new AbortController().signal;
  const known = knownReadiness(['wm1', 'wm2'], systemClock.nowMs());
  await rosterRound(parts, await rosterRound(parts, known, signal), signal);
  assert.deepEqual(published, [[], []]);
  assert.deepEqual(told, ['trouble.began']);
  assert.deepEqual(
    complaints.list().map(({ topic }) => topic),
    ['roster.cluster'],
  );
});

const upHealth: Health = {
  ...{ verdict: 'up', streak: 1, lastKind: 'alive', sinceAtMs: 0, probedAtMs: 0, tookMs: 1 },
  ...{ seen: '', ips: [] },
};

test('a worker is let in when it has its keys, leaves when it is killed; a cluster that is gone takes nobody out', async (t) => {
  const stage = new Stage(t);
  const addresses = [stage.a, stage.b, ownAddress(90)];
  const managers = await Promise.all(addresses.map((address) => stage.manager(address)));
  const home = new Home(t, { 'etc/client.keys': '001 a any k\n' });
  const intervals = {
    intervals: {
      master: { recalculate_integrity: 0.3 },
      worker: { sync_integrity: 0.3, connection_retry: 0.3, keep_alive: 1 },
    },
  };
  const master = await startMaster(t, home, { name: 'wm1', cluster: intervals });
  const { port } = master;
  const worker = startWorker(t, new Home(t), { name: 'wm2', port, cluster: intervals });
  const publisher = await initPublisherDirectory(
    t,
    addresses.map((address, index) => `wm${index + 1}=${address}:1514`),
  );
  const whole = `roster:\n  enabled: true\n  home: ${home.path}\nprobe:\n  interval: 1s\nlist:`;
  publisher.edit(/^list:/m, whole);
  const third = / {2}- id: wm3\n(?: {4}.*\n)+/;
  publisher.edit(third, ''); // wm3 comes later
  await publisher.start();
  await until(
    async () => ((await publisher.states()).wm2 === 'up' ? true : undefined),
    'wm2 is in',
  );
  const entry = `  - id: wm3\n    address: ${addresses[2]}\n    port: 1514\nroster:`;
  publisher.edit(/^roster:/m, entry);
  publisher.reload();
  await until(
    async () => ((await publisher.states()).wm3 === 'down' ? true : undefined),
    'wm3 waits',
  );
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  assert.equal((await publisher.states()).wm3, 'down', 'no node of that name is in the cluster');
  startWorker(t, new Home(t), { name: 'wm3', port, cluster: intervals });
  await until(
    async () => ((await publisher.states()).wm3 === 'up' ? true : undefined),
    'wm3 is in',
  );
  const lived = livedTime();
  await Promise.all([worker.stop(), managers[1]?.kill()]);
  await until(
    async () => ((await publisher.states()).wm2 === 'down' ? true : undefined),
    'wm2 left',
  );
  const { livedMs, wallMs } = lived();
  t.diagnostic(`a killed node left the list after ${livedMs} ms, ${wallMs} ms on the wall`);
  assert.ok(livedMs <= 4_000, `${livedMs} ms`);
  await master.stop(); // the socket is gone: the cluster says nothing now
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  assert.deepEqual(await publisher.states(), { wm1: 'up', wm2: 'down', wm3: 'up' });
});
