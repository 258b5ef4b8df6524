/**
 * The web page of a publisher with 100 000 agents, in Debian's Chromium: from the navigation to the
 * first paint and to the whole picture, a search, and from an order to its place on the screen of
 * somebody else. Goals: a second for the first paint and for the live update.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium, type Page } from 'playwright-core';
import { freePort } from '../../test/fakes/processes.ts';
import {
  browserFlags,
  chromium as executablePath,
  type Fleet,
  makeFleet,
  mintToken,
  post,
  serveFleet,
} from '../../test/web/fixture.ts';
import { type Bench, type Row, rowOf } from '../bench.ts';

const waitMs = 60_000;

export const bench: Bench = {
  name: 'web',
  summary: 'first paint, live update and search of the page with 100 000 agents',
  async run(args, note) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        agents: { type: 'string', default: '100000' },
        runs: { type: 'string', default: '5' },
      },
    });
    const agents = Number(values.agents);
    const scratch = mkdtempSync(join(tmpdir(), 'pf-web-bench-'));
    const port = await freePort('127.0.0.1');
    const fleet = await makeFleet(join(scratch, 'p'), { port, managers: 6, agents });
    const serving = await serveFleet(fleet);
    const browser = await chromium.launch({ executablePath, args: browserFlags, timeout: waitMs });
    try {
      const context = await browser.newContext({ ignoreHTTPSErrors: true, bypassCSP: true });
      context.setDefaultTimeout(waitMs);
      const page = await context.newPage();
      await page.goto(`${serving.origin}/`);
      await page.getByLabel('Token').fill(await mintToken(fleet, 'read'));
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.locator('.card').first().waitFor();
      note('signed in');
      const runs = Number(values.runs);
      return [
        ...(await paints(page, runs, values.agents)),
        ...(await searches(page, serving.origin, runs, values.agents)),
        ...(await updates(page, serving.origin, fleet, runs, values.agents)),
      ];
    } finally {
      await browser.close();
      await serving.stop();
      rmSync(scratch, { recursive: true, force: true });
    }
  },
};

function figure(metric: string, agents: string, samples: readonly number[]): Row {
  return rowOf({ subject: 'page', case: `${agents} agents`, metric, unit: 'ms' }, samples);
}

/** `text` is on the screen at that instant, by the page's own clock. */
function shown(page: Page, selector: string, text: string): Promise<number> {
  const look = `(() => {
    const found = [...document.querySelectorAll(${JSON.stringify(selector)})];
    return found.some((one) => one.textContent.includes(${JSON.stringify(text)})) &&
      performance.timeOrigin + performance.now();
  })()`;
  return page.waitForFunction(look).then(async (handle) => Number(await handle.jsonValue()));
}

async function paints(page: Page, runs: number, agents: string): Promise<readonly Row[]> {
  const first: number[] = [];
  const whole: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    await page.reload();
    const atMs = await shown(page, '.card', 'agents');
    const seen = await page.evaluate<readonly [number, number]>(
      "[performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN, performance.timeOrigin]",
    );
    first.push(seen[0]);
    whole.push(atMs - seen[1]);
  }
  return [figure('first paint', agents, first), figure('whole picture', agents, whole)];
}

async function searches(page: Page, origin: string, runs: number, agents: string) {
  const took: number[] = [];
  await page.goto(`${origin}/#/agents`);
  await shown(page, 'caption', `in all`);
  for (let run = 0; run < runs; run += 1) {
    const wanted = `${Number(agents) - run}`;
    const startedMs = performance.timeOrigin + performance.now();
    await page.getByLabel('Search').fill(wanted);
    const atMs = await shown(page, 'tbody th', wanted);
    took.push(atMs - startedMs);
  }
  return [figure('search, with 250 ms for typing', agents, took)];
}

async function updates(page: Page, origin: string, fleet: Fleet, runs: number, agents: string) {
  const token = await mintToken(fleet, 'operate', 'bench');
  const fromOrder: number[] = [];
  await page.goto(`${origin}/#/`);
  await page.locator('.card').first().waitFor();
  for (let run = 0; run < runs; run += 1) {
    const version = run + 2;
    await post(fleet, token, `${run % 2 === 0 ? 'drain' : 'undrain'}?manager=wm2`);
    const answeredMs = performance.timeOrigin + performance.now();
    const atMs = await shown(page, '#fresh', `list ${version}`);
    fromOrder.push(Math.max(0, atMs - answeredMs));
  }
  return [figure('live update, from the answer to the order', agents, fromOrder)];
}
