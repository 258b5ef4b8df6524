/**
 * A browser that stays open: for six hours here, for a week with PF_OPEN_QUARTERS=672. The page's own time
 * runs ahead, a quarter of an hour at a time; each time its live connection is cut, as it is by the
 * publisher and by whatever lies between. Neither page nor publisher may grow with it.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type CDPSession, chromium } from 'playwright-core';
import { eventually, freePort } from '../fakes/processes.ts';
import { scratchDirectory } from '../publisher/fixture.ts';
import {
  browserFlags,
  command,
  chromium as executablePath,
  makeFleet,
  mintToken,
  missingBrowser,
  serveFleet,
} from './fixture.ts';

const waitMs = 60_000;
const quarterMs = 15 * 60_000;
const quarters = Number(process.env.PF_OPEN_QUARTERS ?? 24);

/** Passes bytes on, until it is told to cut every connection. */
async function startWire(t: TestContext, to: number) {
  const open = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(to, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => {
    for (const socket of open) socket.destroy();
  };
  t.after(() => {
    cut();
    server.close();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return { port: address.port, cut };
}

/** What the page holds after a collection. */
async function sizeOf(session: CDPSession) {
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  const { nodes, jsEventListeners } = await session.send('Memory.getDOMCounters');
  return { heapKib: Math.round(usedSize / 1024), nodes, listeners: jsEventListeners };
}

test('a page that stays open shows what is so, and grows by nothing', {
  skip: missingBrowser,
  timeout: 900_000,
}, async (t) => {
  const place = { port: await freePort('127.0.0.1'), managers: 3, agents: 2_000 };
  const fleet = await makeFleet(join(scratchDirectory(t), 'p'), place);
  const serving = await serveFleet(fleet);
  t.after(() => serving.stop());
  const wire = await startWire(t, fleet.port);
  const browser = await chromium.launch({ executablePath, args: browserFlags });
  t.after(() => browser.close());
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  context.setDefaultTimeout(waitMs);
  const page = await context.newPage();
  const thrown: string[] = [];
  page.on('pageerror', (error) => thrown.push(error.message));
  await page.clock.install();
  await page.goto(`https://127.0.0.1:${wire.port}/`);
  await page.getByLabel('Token').fill(await mintToken(fleet, 'read'));
  await page.getByRole('button', { name: 'Sign in' }).click();
  const isLive = (): Promise<boolean> =>
    page
      .locator('#fresh.live')
      .count()
      .then((count) => count === 1);
  /** Its timers run by a second at a time until it is connected again. */
  const untilLive = (): Promise<unknown> =>
    eventually(
      'the picture is live again',
      async () => {
        await page.clock.runFor(1_000);
        return isLive();
      },
      waitMs,
    );
  await untilLive();
  const session = await context.newCDPSession(page);
  const passQuarters = async (count: number): Promise<void> => {
    for (let quarter = 0; quarter < count; quarter += 1) {
      wire.cut();
      await page.locator('#fresh.lost').waitFor();
      await page.clock.fastForward(quarterMs);
      await untilLive();
    }
  };
  await passQuarters(8); // what is made once is made
  const before = await sizeOf(session);
  await passQuarters(quarters);
  const after = await sizeOf(session);
  t.diagnostic(`${quarters} quarters: ${JSON.stringify(before)} → ${JSON.stringify(after)}`);
  assert.ok(after.heapKib < before.heapKib + 1_024, 'the heap grows');
  assert.ok(after.nodes < before.nodes + 200, 'the document grows');
  assert.ok(after.listeners < before.listeners + 20, 'listeners are left behind');

  // It is not only alive: what happens now is on the screen.
  await command(fleet, 'drain', 'wm2');
  await eventually('the drained manager is shown', async () => {
    await page.clock.runFor(1_000);
    return (await page.getByText('wm2 is drained').count()) > 0;
  });
  assert.deepEqual(thrown, []);
  const { running } = await command(fleet, 'status').catch(() => ({ running: undefined }));
  if (running !== undefined) assert.ok(running.connections < 20, `${running.connections} are open`);
});
