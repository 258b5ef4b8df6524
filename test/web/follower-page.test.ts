/** The API and the page of a follower: everything that it knows, and no orders. */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { initPublisherDirectory, runPublisher, TestPublisher } from '../cli/publisher-fixture.ts';
import { eventually, freePort } from '../fakes/processes.ts';
import { as, call } from '../publisher/api/call.ts';
import { scratchDirectory } from '../publisher/fixture.ts';
import { browserFlags, chromium as chromiumPath, missingBrowser } from './fixture.ts';

const waitMs = 60_000;
const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');

async function pairOf(t: TestContext) {
  const writer = await initPublisherDirectory(t, ['m1=127.0.0.1:9', 'm2=127.0.0.2:9']);
  await writer.start();
  const folder = scratchDirectory(t);
  const pem = join(folder, 'f.pem');
  const flags = ['--certificate', pem, '--host', '127.0.0.1'];
  assert.equal((await writer.run('export', join(folder, 'site'), ...flags)).exit, 0);
  const token = (await writer.run('token')).out.trim().split('\n').at(-1) ?? '';
  const follower = new TestPublisher(join(folder, 'f'), await freePort('127.0.0.1'), []);
  t.after(() => follower.stop());
  const made = await follower.run('follow', token, '--listen', `127.0.0.1:${follower.port}`);
  assert.equal(made.exit, 0, made.err);
  follower.edit('level: info', 'level: silent');
  copyFileSync(pem, join(follower.directory, 'server.pem'));
  copyFileSync(join(writer.directory, 'ca.crt'), join(follower.directory, 'ca.crt'));
  await follower.start();
  const serves = async (): Promise<boolean> => (await follower.get('/v1/list')).status === 200;
  await eventually('the follower serves', serves, waitMs);
  return { writer, follower };
}

async function mint({ directory }: TestPublisher, role: string): Promise<string> {
  const words = ['api-token', 'create', '--name', `the ${role}`, '--role', role];
  const { exit, out, err } = await runPublisher([...words, '--dir', directory, '--json']);
  assert.equal(exit, 0, err);
  return JSON.parse(out).token;
}

/** Once the running publisher knows the token. */
async function knows(publisher: TestPublisher, token: string): Promise<void> {
  const isKnown = async (): Promise<boolean> => {
    if ((await call(publisher, 'GET', '/api/v1/whoami', as(token))).status === 200) return true;
    await new Promise((resolve) => setTimeout(resolve, 300));
    return false;
  };
  await eventually('the token is known', isKnown, waitMs);
}

test('it tells what it serves and from where, and refuses orders with the place of the writer', async (t) => {
  const { writer, follower } = await pairOf(t);
  const origin = `https://127.0.0.1:${writer.port}`;
  const operator = await mint(follower, 'operate');
  const admin = await mint(follower, 'admin');
  await knows(follower, admin);
  const ask = async (method: string, path: string, token = operator) => {
    const { status, text } = await call(follower, method, `/api/v1/${path}`, as(token));
    return { status, body: JSON.parse(text) };
  };
  const { body: status } = await ask('GET', 'status');
  assert.equal(status.list.version, 1);
  assert.equal(status.list.reason, 'followed');
  assert.equal(status.managers, 2);
  const { kind, writer: where, sources, source, takenAtMs } = status.origin;
  assert.deepEqual([kind, where, sources, source], ['follower', origin, [origin], origin]);
  assert.ok(takenAtMs > 0);
  assert.equal((await writer.run('drain', 'm1')).exit, 0);
  await eventually(
    'the next version is there',
    async () => (await ask('GET', 'history')).body.history.length === 2,
    waitMs,
  );
  const { body: managers } = await ask('GET', 'managers');
  assert.deepEqual(
    managers.managers.map(({ id, state }: { id: string; state: string }) => [id, state]),
    [
      ['m1', 'drain'],
      ['m2', 'up'],
    ],
  );
  const { body: overview } = await ask('GET', 'overview');
  assert.equal(overview.origin.kind, 'follower');
  assert.equal((await ask('GET', 'timeline')).status, 200);

  const orders = ['drain?manager=m2', 'rollback?version=1', 'publish', 'rollout/pause'];
  for (const order of orders) {
    const { status: code, body } = await ask('POST', order);
    assert.equal(code, 409, order);
    assert.equal(body.error.code, 'E046');
    assert.match(body.error.message, new RegExp(`the writer is behind ${origin}`));
  }
  for (const path of ['agents', 'explain?agent=001', 'load']) {
    const { status: code, body } = await ask('GET', path);
    assert.equal(code, 409, path);
    assert.match(body.error.message, new RegExp(origin));
  }
  const { body: audit } = await ask('GET', 'audit', admin);
  const refused = audit.entries.filter(({ outcome }: { outcome: string }) => outcome === 'E046');
  assert.equal(refused.length, orders.length);
  assert.equal((await ask('GET', 'audit')).status, 403);
  const verified = await runPublisher(['audit', 'verify', '--dir', follower.directory]);
  assert.equal(verified.exit, 0, verified.err);
  assert.deepEqual(await writer.states(), { m1: 'drain', m2: 'up' });
  assert.match((await follower.get('/metrics')).body.toString(), /followed_info\{/);
});

test('its page says that it is read-only, where orders are given, and offers none', {
  skip: missingBrowser,
  timeout: 300_000,
}, async (t) => {
  const { writer, follower } = await pairOf(t);
  const token = await mint(follower, 'operate');
  await knows(follower, token);
  const browser = await chromium.launch({ executablePath: chromiumPath, args: browserFlags });
  t.after(() => browser.close());
  for (const [colorScheme, width] of [
    ['light', 1_280],
    ['dark', 390],
  ] as const) {
    const context = await browser.newContext({
      ...{ ignoreHTTPSErrors: true, colorScheme, viewport: { width, height: 800 } },
    });
    context.setDefaultTimeout(waitMs);
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => {
      const isShed = /status of (?:503|429)/.test(message.text());
      if (message.type() === 'error' && !isShed) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    await eventually(
      'the page is shown',
      async () => {
        await page.goto(`https://127.0.0.1:${follower.port}/`).catch(() => undefined);
        const form = page.getByLabel('Token').waitFor({ timeout: 10_000 });
        return form.then(() => true).catch(() => false);
      },
      2 * waitMs,
    );
    await page.getByLabel('Token').fill(token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    const note = page.getByRole('note');
    await note.waitFor();
    const text = (await note.textContent()) ?? '';
    assert.match(text, /Read-only\. This publisher follows another one; its list came from https/);
    const link = note.getByRole('link');
    assert.equal(await link.getAttribute('href'), `https://127.0.0.1:${writer.port}`);
    const places = await page
      .getByRole('navigation', { name: 'Views' })
      .getByRole('link')
      .allTextContents();
    assert.deepEqual(places, ['Overview', 'Timeline', 'Sync']);
    assert.equal(await page.getByRole('button', { name: 'Changes' }).count(), 0);
    assert.equal(await page.getByRole('button', { name: 'Drain' }).count(), 0);
    const found = await page.evaluate<{ violations: { id: string }[] }>(
      `(() => { ${axe}; return axe.run({ resultTypes: ['violations'] }); })()`,
    );
    assert.deepEqual(
      found.violations.map(({ id }) => id),
      [],
    );
    const wide = await page.evaluate<number>('document.documentElement.scrollWidth');
    assert.ok(wide <= width, `${wide} wide on ${width}`);
    const shots = process.env.PF_SCREENSHOTS;
    if (shots !== undefined) {
      await page.screenshot({ path: join(shots, `follower-${colorScheme}.png`), fullPage: true });
    }
    assert.deepEqual(complaints, []);
    await context.close();
  }
});
