/**
 * A client that somebody else's generator makes of the OpenAPI document of a running publisher: made,
 * checked by the compiler together with a program that uses it, and run.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort, StandIns } from '../fakes/processes.ts';
import { scratchDirectory } from '../publisher/fixture.ts';
import { command, type Fleet, makeFleet, mintToken, serveFleet } from '../web/fixture.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const fixture = join(root, 'test/fixtures/api-client/program.ts');
const tool = (name: string): string => join(root, 'node_modules/.bin', name);

function runTool(name: string, args: readonly string[], cwd: string) {
  const { status, stdout, stderr } = spawnSync(tool(name), args, { cwd, encoding: 'utf8' });
  return { status, text: `${stdout}${stderr}` };
}

async function fetchDocument({ port }: Fleet, token: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const place = { host: '127.0.0.1', port, path: '/api/v1/openapi.json', agent: false };
  const headers = { authorization: `Bearer ${token}` };
  const sent = request({ ...place, headers, rejectUnauthorized: false }, async (response) => {
    const parts = await response.toArray().catch(reject);
    resolve(Buffer.concat(parts ?? []).toString());
  });
  sent.on('error', reject).end();
  return promise;
}

/** The document's operations, a folder with the client that was made of it and our program. */
async function makeClient(t: TestContext, fleet: Fleet, token: string) {
  const folder = join(scratchDirectory(t), 'client');
  mkdirSync(folder);
  const document = await fetchDocument(fleet, token);
  writeFileSync(join(folder, 'openapi.json'), document);
  const output = { target: './client.ts', client: 'fetch' };
  const baseUrl = `https://127.0.0.1:${fleet.port}`;
  const config = { publisher: { input: './openapi.json', output: { ...output, baseUrl } } };
  writeFileSync(join(folder, 'orval.config.mjs'), `export default ${JSON.stringify(config)};\n`);
  const made = runTool('orval', ['--fail-on-warnings'], folder);
  assert.equal(made.status, 0, made.text);
  copyFileSync(fixture, join(folder, 'program.ts'));
  const typeRoots = [join(root, 'node_modules/@types')];
  const settings = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: { typeRoots },
    include: ['*.ts'],
    exclude: [],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(settings));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const paths = JSON.parse(document).paths as Readonly<
    Record<string, Readonly<Record<string, { readonly operationId: string }>>>
  >;
  const operations = Object.values(paths).flatMap((methods) =>
    Object.values(methods).map(({ operationId }) => operationId),
  );
  return { folder, operations };
}

test("a client of somebody else's generator is sound, and calls every operation", async (t) => {
  const port = await freePort('127.0.0.1');
  const made = { port, managers: 3, agents: 120 };
  const fleet = await makeFleet(join(scratchDirectory(t), 'p'), made);
  const serving = await serveFleet(fleet);
  const children = new StandIns();
  t.after(async () => {
    await children.stopAll();
    await serving.stop();
  });
  const mint = (role: string, name: string) => mintToken(fleet, role, name);
  const tokens = {
    READ: await mint('read', 'reader'),
    OPERATE: await mint('operate', 'operator'),
    ADMIN: await mint('admin', 'admin'),
    WATCH: await mint('read', 'watcher'),
  };
  const { folder, operations } = await makeClient(t, fleet, tokens.READ);
  const checked = runTool('tsc', ['-p', folder], root);
  assert.equal(checked.status, 0, checked.text);

  const words = Object.entries({
    ...tokens,
    NODE_EXTRA_CA_CERTS: join(fleet.directory, 'ca.crt'),
  }).map(([name, value]) => `${name}=${value}`);
  const program = [process.execPath, join(folder, 'program.ts')];
  const ran = children.start('/usr/bin/env', [...words, ...program]);
  await ran.waitFor({ event: 'watching' });
  await command(fleet, 'api-token', 'revoke', tokens.WATCH.split('.')[1] ?? '');
  const stream = await ran.waitFor({ event: 'stream' });
  assert.equal((await ran.ended).code, 0, ran.errors);

  const told = ran.events.map(({ atMs: _, ...event }) => event);
  const seen = (name: string) => told.filter(({ event }) => event === name);
  assert.deepEqual(
    [...operations].sort(),
    [...new Set(told.map(({ event }) => event))]
      .filter((name) => name !== 'watching' && name !== 'refused')
      .sort(),
    'every operation of the document was called',
  );
  assert.deepEqual(seen('whoami'), [{ event: 'whoami', status: 200, role: 'read' }]);
  assert.deepEqual(seen('status'), [{ event: 'status', status: 200, version: 1, agents: 120 }]);
  assert.deepEqual(seen('files'), [{ event: 'files', status: 400, name: 'no_file_states' }]);
  const [agents] = seen('agents');
  assert.equal(agents?.seen, agents?.total);
  assert.ok(Number(agents?.last) > 1, 'more than one page');
  assert.deepEqual(seen('drain'), [
    { event: 'drain', status: 200, outcome: 'published', version: 2 },
  ]);
  assert.deepEqual(seen('rolloutAbort'), [{ event: 'rolloutAbort', status: 400, code: 'E045' }]);
  assert.deepEqual(seen('history')[0]?.reasons, ['rollback', 'undrain', 'drain']);
  assert.deepEqual(seen('audit'), [{ event: 'audit', status: 200, hasOrders: true }]);
  assert.deepEqual(
    seen('refused').map(({ status, name }) => [status, name]),
    [
      [403, 'forbidden'],
      [401, 'unauthorized'],
      [400, 'unknown_manager'],
      [400, undefined],
    ],
  );
  assert.deepEqual(
    { org: stream.org, end: stream.end },
    { org: 'acme', end: JSON.stringify({ why: 'token' }) },
  );
});
