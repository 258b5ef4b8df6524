/** The API of a running publisher, by a client that is made from its own OpenAPI document. */
import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import * as z from 'zod';
import { mintToken, renderTokenFile } from '../../src/publisher/api/token.ts';
import { freePort } from '../fakes/processes.ts';
import { as, call } from '../publisher/api/call.ts';
import { scratchDirectory } from '../publisher/fixture.ts';
import { makeFleet } from '../web/fixture.ts';
import { initPublisherDirectory, runPublisher, TestPublisher } from './publisher-fixture.ts';

/** A command of a group, such as `audit verify`. */
function grouped({ directory }: TestPublisher, ...words: readonly string[]) {
  return runPublisher([...words, '--dir', directory]);
}

async function groupedJson(publisher: TestPublisher, ...words: readonly string[]) {
  return JSON.parse((await grouped(publisher, ...words, '--json')).out);
}

async function start(t: TestContext) {
  const publisher = await initPublisherDirectory(t, [
    'wm1=127.0.0.1:9',
    'wm2=127.0.0.2:9',
    'wm3=127.0.0.3:9',
  ]);
  await publisher.start();
  const mint = async (role: string): Promise<string> => {
    const flags = ['--name', `${role} one`, '--role', role];
    const ran = await groupedJson(publisher, 'api-token', 'create', ...flags);
    return ran.token;
  };
  return { publisher, mint };
}

interface Described {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string; readonly required: boolean }[];
  readonly responses: Readonly<
    Record<
      string,
      { readonly content: { readonly 'application/json': { readonly schema: object } } }
    >
  >;
}

test('a stranger does not learn which operations there are', async (t) => {
  const { publisher, mint } = await start(t);
  const known = as(await mint('read'));
  const asked = ['/api/v1/status', '/api/v1/nothing', '/api/v1/', '/api/v1/openapi.json'];
  const answers = await Promise.all(asked.map((path) => call(publisher, 'GET', path)));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([401]));
  assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
  assert.equal((await call(publisher, 'POST', '/api/v1/status')).status, 401);
  assert.equal((await call(publisher, 'GET', '/api/v1/nothing', known)).status, 404);
  assert.equal((await call(publisher, 'POST', '/api/v1/status', known)).status, 404);
});

test('a client made from the OpenAPI document works, and every answer fits its schema', async (t) => {
  const { publisher, mint } = await start(t);
  const admin = await mint('admin');
  const got = await call(publisher, 'GET', '/api/v1/openapi.json', as(admin));
  const document = JSON.parse(got.text) as {
    openapi: string;
    paths: Record<string, Record<string, Described>>;
  };
  assert.match(document.openapi, /^3\.1\./);
  const client = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => ({
      ...described,
      run: (query: Readonly<Record<string, string>> = {}) => {
        const search = new URLSearchParams(query).toString();
        return call(publisher, method.toUpperCase(), `${path}?${search}`, as(admin));
      },
    })),
  );
  const byName = new Map(client.map((one) => [one.operationId, one]));
  assert.equal(byName.size, client.length, 'operation ids are unique');
  const steps = [
    ['status', {}],
    ['drain', { manager: 'wm1' }],
    ['managers', {}],
    ['undrain', { manager: 'wm1' }],
    ['rollback', { version: '2' }],
    ['publish', {}],
    ['history', { limit: '5' }],
    ['agents', { sort: 'ageSec', limit: '10' }],
    ['audit', {}],
    ['tokens', {}],
  ] as const;
  for (const [name, query] of steps) {
    const operation = byName.get(name);
    assert.ok(operation, name);
    const missing = operation.parameters.filter((one) => one.required && !(one.name in query));
    assert.deepEqual(missing, [], name);
    const answer = await operation.run(query);
    assert.equal(answer.status, 200, `${name}: ${answer.text}`);
    const schema = operation.responses['200']?.content['application/json'].schema ?? {};
    const fits = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
    assert.ok(fits.safeParse(JSON.parse(answer.text)).success, `${name}: ${answer.text}`);
  }
  const paused = await byName.get('rolloutPause')?.run();
  assert.equal(paused?.status, 400);
  assert.match(paused?.text ?? '', /E045/);
  const { history } = await publisher.json('history');
  assert.deepEqual(
    history.map((one: { reason: string }) => one.reason),
    ['rollback', 'undrain', 'drain', 'first'],
  );
  assert.equal(JSON.parse((await publisher.get('/readyz')).body.toString()).version, 4);
  const verified = await grouped(publisher, 'audit', 'verify');
  assert.match(verified.out, /entries, none changed/);
});

test('an order names the version it was based on, and is refused when somebody decided since', async (t) => {
  const { publisher, mint } = await start(t);
  const known = { authorization: `Bearer ${await mint('operate')}` };
  const order = async (path: string) => {
    const { status, text } = await call(publisher, 'POST', `/api/v1/${path}`, known);
    return { status, ...(JSON.parse(text) as { version?: number; error?: { code: string } }) };
  };
  const newest = async () => (await publisher.json('history')).history[0].version as number;
  const looked = await newest();
  assert.equal((await order(`drain?manager=wm1&ifVersion=${looked}`)).status, 200);
  for (const path of [
    'drain?manager=wm2',
    'undrain?manager=wm1',
    'publish?',
    'rollback?version=1',
  ]) {
    const { status, error } = await order(`${path}&ifVersion=${looked}`);
    assert.deepEqual([path, status, error?.code], [path, 409, 'E047']);
  }
  assert.equal(await newest(), looked + 1);
  assert.equal((await order('drain?manager=wm2&ifVersion=999')).status, 409, 'no such version');
  assert.equal((await order('drain?manager=wm2&ifVersion=x')).status, 400);
  assert.equal((await order('drain?manager=wm2&ifVersion=0')).status, 400);
  assert.equal((await order('rollout/pause?rollout=../x')).status, 400);
  assert.equal((await order(`undrain?manager=wm1&ifVersion=${looked + 1}`)).status, 200);
  const { entries } = JSON.parse((await grouped(publisher, 'audit', 'list', '--json')).out);
  const told = entries.map(({ action, outcome }: Record<string, string>) => `${action} ${outcome}`);
  assert.ok(told.includes('drain wm2 E047'), told.join());
});

test('without a token, with a low role, a revoked or a damaged one: nothing happens', async (t) => {
  const { publisher, mint } = await start(t);
  const reader = await mint('read');
  assert.equal(statSync(join(publisher.directory, 'api-tokens.json')).mode & 0o777, 0o600);
  const ask = (method: string, path: string, token?: string) =>
    call(publisher, method, `/api/v1/${path}`, token === undefined ? {} : as(token));
  const stranger = await ask('GET', 'status');
  assert.equal(stranger.status, 401);
  assert.equal(stranger.headers['www-authenticate'], 'Bearer');
  assert.equal((await ask('GET', 'status', `${reader}x`)).status, 401);
  assert.equal((await ask('POST', 'drain?manager=wm1', reader)).status, 403);
  assert.equal((await ask('GET', 'audit', reader)).status, 403);
  assert.equal((await ask('GET', 'status', reader)).status, 200);
  assert.equal((await publisher.json('history')).history.length, 1);
  const { entries } = await groupedJson(publisher, 'audit', 'list');
  const told = entries.map(({ who, action, outcome }: Record<string, string>) => [
    ...[who, action, outcome],
  ]);
  const byTokens = told.filter(([who]: string[]) => who === 'read one');
  assert.deepEqual(byTokens, [['read one', 'drain', 'forbidden']]);
  const { tokens } = await groupedJson(publisher, 'api-token', 'list');
  assert.equal((await grouped(publisher, 'api-token', 'revoke', tokens[0].id)).exit, 0);
  const endAtMs = performance.now() + 60_000;
  while ((await ask('GET', 'status', reader)).status !== 401) {
    assert.ok(performance.now() < endAtMs, 'a revoked token stays good');
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  writeFileSync(join(publisher.directory, 'api-tokens.json'), '{');
  assert.match((await grouped(publisher, 'api-token', 'list')).err, /E001/);
});

test('huge, hostile and unknown queries are refused by name, bodies and floods too', async (t) => {
  const { publisher, mint } = await start(t);
  const admin = await mint('admin');
  const get = (path: string) => call(publisher, 'GET', `/api/v1/${path}`, as(admin));
  for (const path of [
    'history?limit=101',
    'history?limit=1&limit=2',
    'history?evil=1',
    'agents?sort=__proto__',
    `agents?filter=${'x'.repeat(300)}`,
    'agents?page=0',
    'files?node=../x',
    'files',
  ]) {
    const { status, text } = await get(path);
    assert.equal(status, 400, `${path}: ${status} ${text}`);
    assert.ok(text.length < 600);
  }
  assert.ok([414, 431].includes((await get(`history?limit=${'1'.repeat(5_000)}`)).status));
  const bodied = await call(publisher, 'POST', '/api/v1/publish', {
    ...as(admin),
    'content-length': '5',
  }).catch(() => ({ status: 413 }));
  assert.equal(bodied.status, 413);
  const flood = await Promise.all(
    Array.from({ length: 40 }, () =>
      call(publisher, 'GET', '/api/v1/status', as('pfa1.AAAAAAAA.wrong')).catch(() => ({
        status: 0,
      })),
    ),
  );
  assert.ok(flood.every(({ status }) => [401, 429, 0].includes(status)));
  assert.ok(
    flood.some(({ status }) => status === 429),
    'a flood of wrong tokens is cut',
  );
  assert.equal((await publisher.get('/v1/list')).status, 200);
});

test('what is changed on the command line is in the audit log too', async (t) => {
  const publisher = await initPublisherDirectory(t, ['wm1=127.0.0.1:9', 'wm2=127.0.0.2:9']);
  assert.equal((await publisher.run('publish')).exit, 0);
  assert.equal((await publisher.run('drain', 'nobody')).exit, 2);
  const { entries } = await groupedJson(publisher, 'audit', 'list');
  assert.deepEqual(
    entries.map(({ action, outcome, from }: Record<string, string>) => [action, outcome, from]),
    [
      ['drain nobody', 'E041', 'command line'],
      ['drain nobody', 'asked', 'command line'],
      ['publish', 'done', 'command line'],
      ['publish', 'asked', 'command line'],
      ['init', 'done', 'command line'],
    ],
  );
});

test('metrics: for loopback as configured, and not there for others', async (t) => {
  const publisher = await initPublisherDirectory(t, ['wm1=127.0.0.1:9']);
  await publisher.start();
  const seen = await call(publisher, 'GET', '/metrics');
  assert.equal(seen.status, 200);
  assert.match(String(seen.headers['content-type']), /^text\/plain; version=0\.0\.4/);
  assert.match(seen.text, /^pilotfish_publisher_list_version 1$/m);
  await publisher.stop();
  const other = await initPublisherDirectory(t, ['wm1=127.0.0.1:9']);
  other.edit(/^list:/m, 'metrics: {networks: [10.0.0.0/8]}\nlist:');
  await other.start();
  assert.equal((await call(other, 'GET', '/metrics')).status, 404);
});

test('the load over time goes on after a restart where it was', async (t) => {
  const directory = join(scratchDirectory(t), 'p');
  const port = await freePort('127.0.0.1');
  await makeFleet(directory, { port, managers: 2, agents: 20 });
  const mint = ['api-token', 'create', '--name', 'reader', '--dir', directory];
  const reader = as((await runPublisher(mint)).out.trim());
  const loadOf = async (publisher: TestPublisher, least: number): Promise<readonly number[]> => {
    const endAtMs = performance.now() + 60_000;
    for (;;) {
      const { text } = await call(publisher, 'GET', '/api/v1/load', reader);
      const times = JSON.parse(text).times ?? [];
      if (times.length >= least || performance.now() > endAtMs) return times;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  };
  const first = new TestPublisher(directory, port, []);
  t.after(() => first.stop());
  await first.start();
  const before = await loadOf(first, 1);
  assert.ok(before.length > 0);
  await first.stop();
  const again = new TestPublisher(directory, port, []);
  t.after(() => again.stop());
  await again.start();
  const after = await loadOf(again, before.length + 1);
  assert.ok(after.length > before.length);
  assert.equal(after[0], before[0]);
});

test('a token whose id begins with a dash is revoked as any other', async (t) => {
  const { publisher } = await start(t);
  const wish = { name: 'x', role: 'read', nowMs: Date.now(), validMs: 3_600_000 } as const;
  const { record } = mintToken(wish, Buffer.alloc(38, 0xfb));
  assert.equal(record.id[0], '-');
  writeFileSync(join(publisher.directory, 'api-tokens.json'), renderTokenFile([record]));
  assert.equal((await grouped(publisher, 'api-token', 'revoke', record.id)).exit, 0);
  assert.deepEqual((await groupedJson(publisher, 'api-token', 'list')).tokens, []);
  assert.equal((await grouped(publisher, 'api-token', 'revoke', '--jsn', 'x')).exit, 2);
});
