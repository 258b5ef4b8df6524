/** The web page of a publisher with 100 000 agents, in a real browser; one browser for the file. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { eventually, freePort } from '../fakes/processes.ts';
import {
  browserFlags,
  chromium as chromiumPath,
  command,
  type Fleet,
  hostileText,
  makeFleet,
  mintToken,
  missingBrowser,
  post,
  type Serving,
  serveFleet,
} from './fixture.ts';

const skip = missingBrowser;
const waitMs = 60_000;
/** Of one test on a machine with much else to do. */
const timeout = 600_000;
const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');

const scratch = mkdtempSync(join(tmpdir(), 'pf-web-'));
let fleet: Fleet;
let serving: Serving | undefined;
let browser: Browser | undefined;

before(
  async () => {
    if (skip !== false) return;
    const port = await freePort('127.0.0.1');
    fleet = await makeFleet(join(scratch, 'p'), { port, managers: 6, agents: 100_000 });
    serving = await serveFleet(fleet);
    browser = await chromium.launch({
      executablePath: chromiumPath,
      args: browserFlags,
      timeout: waitMs,
    });
  },
  { timeout },
);

after(async () => {
  await browser?.close();
  await serving?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

interface Visit {
  readonly page: Page;
  /** What the console complained of, Content-Security-Policy above all, and what was thrown. */
  readonly complaints: string[];
  close(): Promise<void>;
}

async function visit(token: string, options: BrowserContextOptions = {}): Promise<Visit> {
  assert.ok(browser);
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
  context.setDefaultTimeout(waitMs);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    // A busy publisher sheds, which the page is told by a 503 and asks again.
    const isShed = /status of (?:503|429)/.test(message.text());
    if (message.type() === 'error' && !isShed) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('dialog', (dialog) => {
    complaints.push(`dialog ${dialog.message()}`);
    void dialog.dismiss().catch(() => undefined);
  });
  await show(page);
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  return { page, complaints, close: () => context.close() };
}

/** A machine that is busy enough is told to come again, as any browser of a shedding publisher. */
async function show(page: Page): Promise<void> {
  await eventually(
    'the page is shown',
    async () => {
      await page.goto(`${serving?.origin}/`).catch(() => undefined);
      const form = page.getByLabel('Token').waitFor({ timeout: 10_000 });
      return form.then(() => true).catch(() => false);
    },
    2 * waitMs,
  );
}

const views = ['Overview', 'Agents', 'Rollout', 'Timeline', 'Sync', 'Load'];

async function open(page: Page, view: string): Promise<void> {
  await page.getByRole('navigation', { name: 'Views' }).getByRole('link', { name: view }).click();
  const title = view === 'Rollout' ? 'Rollout and lists' : view;
  await page.getByRole('heading', { level: 1, name: title }).waitFor();
  await page.getByText('Loading …').waitFor({ state: 'detached' });
}

/** What axe finds wrong, by rule. */
async function audit(page: Page): Promise<readonly string[]> {
  const found = await page.evaluate<{ violations: { id: string; nodes: { html: string }[] }[] }>(
    `(() => { ${axe}; return axe.run({ resultTypes: ['violations'] }); })()`,
  );
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html)[0]}`);
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(`every view is clean for axe and the console, ${colorScheme}`, {
    skip,
    timeout,
  }, async () => {
    const width = colorScheme === 'light' ? 1_280 : 390;
    const viewport = { width, height: 800 };
    const token = await mintToken(
      fleet,
      'operate',
      `axe ${colorScheme} ${hostileText}`.slice(0, 64),
    );
    const { page, complaints, close } = await visit(token, { colorScheme, viewport });
    await page.getByRole('button', { name: 'Changes' }).click();
    for (const view of views) {
      await open(page, view);
      assert.deepEqual(await audit(page), [], view);
      const wide = await page.evaluate<number>('document.documentElement.scrollWidth');
      assert.ok(wide <= width, `${view} is ${wide} wide on ${width}`);
    }
    assert.deepEqual(complaints, []);
    await close();
  });
}

test('one of 100 000 agents is found, told why, and nobody is sent all of them', {
  skip,
  timeout,
}, async () => {
  const { page, complaints, close } = await visit(await mintToken(fleet, 'read'));
  let longest = 0;
  page.on('response', (response) => {
    longest = Math.max(longest, Number(response.headers()['content-length'] ?? 0));
  });
  await open(page, 'Agents');
  await page.getByText('page 1 of 2,000, 100,000 in all').waitFor();
  await page.getByLabel('Search').fill('99999');
  await page.getByText('page 1 of 1, 1 in all').waitFor();
  await page.getByRole('link', { name: '99999' }).click();
  await page
    .getByText('number 1 of its own order')
    .or(page.getByText('of its own order'))
    .first()
    .waitFor();
  await page.goBack();
  await page.getByLabel('Search').fill('');
  await page.getByLabel('State').selectOption('away');
  await page.getByText('2,000 in all').waitFor();
  await page.getByRole('link', { name: 'Manager', exact: true }).click();
  await page.locator('th[aria-sort=ascending]', { hasText: 'Manager' }).waitFor();
  assert.ok(longest < 300_000, `${longest} bytes in one answer`);
  assert.deepEqual(complaints, []);
  await close();
});

test('names and reasons of strangers are text, wherever they are shown', {
  skip,
  timeout,
}, async () => {
  const token = await mintToken(fleet, 'read', '<img src=x onerror=alert(2)>');
  const { page, complaints, close } = await visit(token);
  await page.getByText('Signed in as <img src=x onerror=alert(2)>').waitFor();
  await page.goto(`${serving?.origin}/#/agents/002`);
  await page.getByText(hostileText).first().waitFor();
  await page.goto(`${serving?.origin}/#/timeline`);
  await page.getByText(`agent 002: errors ${hostileText}`).waitFor();
  await page.goto(`${serving?.origin}/#/agents/<img src=x onerror=alert(3)>`);
  await page.getByRole('heading', { level: 1, name: 'Agent' }).waitFor();
  await page.goto(`${serving?.origin}/#/constructor`);
  await page.getByText('There is no such view.').waitFor();
  assert.equal(await page.locator('main img, footer img, main script').count(), 0);
  // Refused by the publisher, which the console tells too.
  assert.deepEqual(
    complaints.filter((text) => !text.includes('status of 400')),
    [],
  );
  await close();
});

test('a change of the list is shown live, an order is asked, done, and in the audit log', {
  skip,
  timeout,
}, async () => {
  const token = await mintToken(fleet, 'operate', 'the operator');
  const { page, complaints, close } = await visit(token);
  const card = page.locator('.card', {
    has: page.getByRole('heading', { name: 'wm2', exact: true }),
  });
  await post(fleet, await mintToken(fleet, 'operate', 'another'), 'drain?manager=wm2');
  await card.getByText('left').waitFor();
  await page.locator('#fresh', { hasText: 'list 2' }).waitFor();
  const back = page.getByRole('button', { name: 'Take back wm2' });
  assert.equal(await back.count(), 0, 'nothing is offered before it was asked for');
  await page.getByRole('button', { name: 'Changes' }).click();
  await back.click();
  const question = page.getByRole('dialog', { name: 'Take wm2 back?' });
  await question.getByRole('button', { name: 'Cancel' }).click();
  await question.waitFor({ state: 'detached' });
  await back.focus();
  await page.keyboard.press('Enter');
  await question.getByRole('button', { name: 'Take back' }).click();
  await page.locator('#fresh', { hasText: 'list 3' }).waitFor();
  await page.getByRole('button', { name: 'Drain wm2' }).waitFor();
  const { entries } = await command(fleet, 'audit', 'list');
  const told = entries.map(({ who, action, outcome }: Record<string, string>) => [
    who,
    action,
    outcome,
  ]);
  assert.deepEqual(told.slice(0, 2), [
    ['the operator', 'undrain wm2', 'done'],
    ['the operator', 'undrain wm2', 'asked'],
  ]);
  assert.equal(told.filter(([who]: readonly string[]) => who === 'the operator').length, 2);
  assert.deepEqual(complaints, []);
  await close();
});

test('an order that is based on what another operator changed meanwhile is not done, and says so', {
  skip,
  timeout,
}, async () => {
  const another = await mintToken(fleet, 'operate', 'another one');
  const { page, complaints, close } = await visit(
    await mintToken(fleet, 'operate', 'the late one'),
  );
  await page.getByRole('button', { name: 'Changes' }).click();
  await page.getByRole('button', { name: 'Drain wm2' }).click();
  const question = page.getByRole('dialog', { name: 'Drain wm2?' });
  await question.waitFor();
  await post(fleet, another, 'drain?manager=wm1');
  await question.getByRole('button', { name: 'Drain', exact: true }).click();
  await page.getByText(/Not done: version \d+ \(drain wm1, .* came meanwhile \(E047\)/).waitFor();
  await page.getByRole('button', { name: 'Take back wm1' }).waitFor(); // what is, is shown
  await page.getByRole('button', { name: 'Take back wm1' }).click();
  const again = page.getByRole('dialog', { name: 'Take wm1 back?' });
  await again.getByRole('button', { name: 'Take back' }).click();
  await page.getByRole('button', { name: 'Drain wm1' }).waitFor();
  assert.deepEqual(
    complaints.filter((text) => !text.includes('status of 409')),
    [],
  );
  await close();
});

test('who may only read is offered nothing to change; a token that ends ends the view', {
  skip,
  timeout,
}, async () => {
  const { page, close } = await visit(await mintToken(fleet, 'read', 'the short one'));
  assert.equal(await page.getByRole('button', { name: 'Changes' }).count(), 0);
  const { tokens } = await command(fleet, 'api-token', 'list');
  const { id } = tokens.find(({ name }: { name: string }) => name === 'the short one');
  await command(fleet, 'api-token', 'revoke', id);
  await page.getByText('this token is no longer good').waitFor();
  assert.equal(await page.locator('.card').count(), 0, 'what it showed is gone');
  await page.getByLabel('Token').fill(`pfa1.AAAAAAAA.${'B'.repeat(43)}`);
  await page.keyboard.press('Enter');
  await page.getByText('this token is unknown, revoked or past its end').waitFor();
  await close();
});

test('everything is reached by keyboard, and the focus is where the reader looks', {
  skip,
  timeout,
}, async () => {
  const { page, complaints, close } = await visit(await mintToken(fleet, 'read', 'the typist'));
  await page.keyboard.press('Tab');
  const focused = () => page.evaluate<string>('document.activeElement?.textContent ?? ""');
  let steps = 0;
  while ((await focused()) !== 'Rollout' && steps < 40) {
    await page.keyboard.press('Tab');
    steps += 1;
  }
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Rollout and lists' }).waitFor();
  await page.waitForFunction('document.activeElement?.id === "title"');
  const colours = page.getByRole('button', { name: 'Colours: as the system' });
  await colours.focus();
  await page.keyboard.press('Space');
  await page.getByRole('button', { name: 'Colours: light' }).waitFor();
  assert.equal(await page.evaluate('document.documentElement.dataset.theme'), 'light');
  assert.equal(await focused(), '☀', 'a redraw leaves the focus alone');
  await page.keyboard.press('Space');
  await page.getByRole('button', { name: 'Colours: dark' }).waitFor();
  assert.equal(await page.evaluate('document.documentElement.dataset.theme'), 'dark');
  assert.deepEqual(complaints, []);
  await close();
});
