/**
 * What a hacked fetcher, or the agent's own user, may try against the root applier. Each scenario
 * says what they gain: at most a restart within the budget, or nothing.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { apply } from '../../src/applier/apply.ts';
import { encodeApplyRequest, parseApplyRequest } from '../../src/applier/request.ts';
import { applySpool } from '../../src/applier/spool.ts';
import { openSpool, submitRequest } from '../../src/host/spool-directory.ts';
import { openTwoGenerationFile } from '../../src/host/two-generation-file.ts';
import { encodeJournal } from '../../src/host/write-journal.ts';
import { failsWith, newText, oldText, withConfig } from '../host/config-fixture.ts';
import { signedList } from '../list/documents.ts';
import { addressOf, configOf, HostInMemory, list, names, request } from './host-in-memory.ts';

function temporary(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'pf-hostile-'));
  context.after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 9 }));
  return directory;
}

test('spool race: a request that replaces the one under way is neither lost nor taken for it', async (context) => {
  const directory = temporary(context);
  const spool = openSpool(directory, temporary(context));
  await submitRequest(directory, encodeApplyRequest(request()));
  const first = await spool.take();
  assert.equal(await first?.isWithdrawn(), false);
  await submitRequest(directory, encodeApplyRequest(request({ order: [...names].reverse() })));
  assert.equal(await first?.isWithdrawn(), true);
  await first?.done();
  const second = await spool.take();
  assert.deepEqual(parseApplyRequest(second?.bytes ?? Buffer.alloc(0)).order, [...names].reverse());
});

const planted: readonly (readonly [string, (path: string) => void])[] = [
  ['a symlink to a secret', (path) => symlinkSync('/etc/shadow', path)],
  ['a FIFO', (path) => void execFileSync('mkfifo', [path])],
  ['a directory', (path) => mkdirSync(path)],
  ['16 MB of nothing', (path) => writeFileSync(path, Buffer.alloc(16 * 1024 * 1024))],
  ['a device', (path) => symlinkSync('/dev/zero', path)],
];
for (const [what, plant] of planted) {
  test(`spool: ${what} in place of the request is refused at once and nothing is read`, async (context) => {
    const directory = temporary(context);
    plant(join(directory, 'request.json'));
    const host = await HostInMemory.make();
    const startedMs = performance.now();
    const spool = openSpool(directory, temporary(context));
    await assert.rejects(
      applySpool(host.world(), spool),
      failsWith('write_failed', /request\.json/),
    );
    assert.ok(performance.now() - startedMs < 30_000);
    assert.equal(host.config.toString(), configOf('10.0.0.1'));
  });
}

test('spool: the place of results is never written through a link that was planted there', async (context) => {
  const directory = temporary(context);
  const outside = join(temporary(context), 'outside');
  writeFileSync(outside, 'mine');
  for (const name of ['result.json', 'result.json.new'])
    symlinkSync(outside, join(directory, name));
  await openSpool(directory, directory).report(Buffer.from('a result'));
  assert.equal(readFileSync(outside, 'utf8'), 'mine');
  assert.equal(readFileSync(join(directory, 'result.json'), 'utf8'), 'a result');
});

const document = (): Record<string, unknown> =>
  JSON.parse(Buffer.from(encodeApplyRequest(request())).toString());
const huge: readonly (readonly [string, Record<string, unknown>])[] = [
  ['65 roots', { roots: Array.from({ length: 65 }, () => 'e30') }],
  ['100 000 ids', { order: Array.from({ length: 100_000 }, (_, index) => `wm-${index}`) }],
  ['a list of 1 MB', { list: 'A'.repeat(1_400_000) }],
  ['a receipt of 1 MB', { receipt: { compact: 'a'.repeat(1_000_000), nonce: 'AAAA' } }],
  ['an id of 1 MB', { order: ['x'.repeat(1_000_000)] }],
];
for (const [what, changes] of huge) {
  test(`a request with ${what} is refused before anything is verified`, () => {
    const bytes = Buffer.from(JSON.stringify({ ...document(), ...changes }));
    assert.throws(() => parseApplyRequest(bytes), failsWith('usage', /apply request/));
  });
}

const beyond: readonly (readonly [string, Record<string, unknown>])[] = [
  ['a mode', { mode: 'service' }],
  ['a control verb', { control: { kind: 'command', restart: ['/bin/sh'] } }],
  ['a path', { path: '/etc/passwd' }],
  ['a budget', { restartsPerHour: 1_000 }],
  ['a policy', { foreign: 'reassert' }],
  ['managers of its own', { managers: [{ address: '203.0.113.9' }] }],
  ['__proto__', JSON.parse('{"__proto__x":1}')],
];
for (const [what, changes] of beyond) {
  test(`a request that brings ${what} is refused: that is the applier's own configuration`, () => {
    const bytes = Buffer.from(JSON.stringify({ ...document(), ...changes }));
    assert.throws(() => parseApplyRequest(bytes), failsWith('usage', /unknown member/));
  });
}

test('an older request replayed for ever costs no more restarts than the budget allows', async () => {
  const host = await HostInMemory.make();
  const startedAt = host.now;
  let restarts = 0;
  for (let turn = 0; host.now - startedAt < 24 * 3_600_000; turn += 1) {
    const order = turn % 2 === 0 ? [...names] : [...names].reverse();
    restarts += (await apply(host.world(), request({ order }))).restarts;
    host.now += 15 * 60_000;
  }
  assert.equal(restarts, 6);
  assert.ok(host.running);
});

test('a replayed list of an earlier version changes nothing, also with an urgent order', async () => {
  const host = await HostInMemory.make();
  const old = request({ urgent: true });
  const next = request({ listEnvelope: signedList(list({ version: 4212 })) });
  await apply(host.world(), next);
  const { config, memory, pid } = host;
  assert.equal((await apply(host.world(), old)).reason?.code, 'E404');
  assert.deepEqual([host.config, host.memory, host.pid], [config, memory, pid]);
});

test('state rollback: one generation lost or damaged falls back by one write, both are an error, never a fresh start', async (context) => {
  const path = join(temporary(context), 'memory');
  const file = openTwoGenerationFile(path);
  const host = await HostInMemory.make();
  const world = { ...host.world(), memory: file };
  await file.write(host.memory ?? new Uint8Array());
  await apply(world, request({ listEnvelope: signedList(list({ version: 4212 })) }));
  await apply(world, request({ listEnvelope: signedList(list({ version: 4213 })) }));
  for (const name of ['a', 'b']) {
    const kept = readFileSync(`${path}.${name}`);
    writeFileSync(`${path}.${name}`, kept.subarray(0, kept.length - 1));
    const result = await apply(world, request());
    assert.equal(result.reason?.code, 'E404', name);
    writeFileSync(`${path}.${name}`, kept);
  }
  for (const name of ['a', 'b']) writeFileSync(`${path}.${name}`, 'pf-state 1 99 0 00000000\n');
  const { config } = host;
  const result = await apply(world, request());
  assert.deepEqual([result.outcome, result.reason?.code], ['refused', 'E701']);
  assert.equal(host.config, config);
});

test('the directory swapped for a symlink mid-way: the file that was read is replaced, not the one behind the link', () =>
  withConfig(async ({ open, path, directory }) => {
    const outside = `${directory}-outside`;
    mkdirSync(outside);
    writeFileSync(join(outside, 'ossec.conf'), 'outside');
    const file = open({
      wrap: (folder) => ({
        ...folder,
        async commit(temp, before) {
          renameSync(directory, `${directory}-moved`);
          symlinkSync(outside, directory);
          return folder.commit(temp, before);
        },
      }),
    });
    await file.replace(await file.read(), Buffer.from(newText));
    assert.equal(readFileSync(path, 'utf8'), 'outside');
    assert.deepEqual(readdirSync(outside), ['ossec.conf']);
    assert.equal(readFileSync(join(`${directory}-moved`, 'ossec.conf'), 'utf8'), newText);
    await assert.rejects(file.read(), failsWith('not_regular', /symlink/));
  }));

test('the temp file swapped for a link to a secret: nothing is written to or read from it', () =>
  withConfig(async ({ open, path, directory, stateDirectory }) => {
    const secret = join(stateDirectory, 'secret');
    writeFileSync(secret, 'secret', { mode: 0o600 });
    const file = open({
      wrap: (folder) => ({
        ...folder,
        async createTemp() {
          const temp = await folder.createTemp();
          renameSync(join(directory, temp.name), join(directory, 'stolen'));
          linkSync(secret, join(directory, temp.name));
          return temp;
        },
      }),
    });
    const replacing = file.replace(await file.read(), Buffer.from(newText));
    await assert.rejects(replacing, failsWith('changed_meanwhile'));
    assert.equal(readFileSync(secret, 'utf8'), 'secret');
    assert.equal(statSync(secret).mode & 0o777, 0o600);
    assert.equal(readFileSync(path, 'utf8'), oldText);
  }));

const forgers: readonly (readonly [string, readonly string[]])[] = [
  ['by the group of the agent', ['chmod', '0660']],
  ['by another user', ['chown', '4321']],
];
for (const [what, argv] of forgers) {
  test(
    `a journal that could have been written ${what} is not believed`,
    { skip: process.getuid?.() === 0 ? false : 'only root may give a file away' },
    () =>
      withConfig(async ({ open, path, stateDirectory }) => {
        const before = Buffer.from(oldText);
        const after = Buffer.from(oldText.replace('10.0.0.1', '203.0.113.9'));
        const journal = join(stateDirectory, 'conf.journal');
        writeFileSync(journal, encodeJournal({ before, after }));
        execFileSync(argv[0] ?? '', [...argv.slice(1), journal]);
        const torn = Buffer.concat([after.subarray(0, 60), before.subarray(60, before.length)]);
        writeFileSync(path, torn);
        assert.match((await open().recover()).join(), /not believed/);
        assert.deepEqual(readFileSync(path), torn);
        assert.ok(existsSync(journal));
      }),
  );
}

test('a manager that only sounds like a listed one is refused', async () => {
  const host = await HostInMemory.make();
  for (const id of ['WM-01', 'wm-01 ', 'wm-1', '10.20.0.1', 'constructor', '__proto__']) {
    const result = await apply(host.world(), request({ order: [id, 'wm-02'] }));
    assert.equal(result.reason?.code, 'E509', id);
  }
  assert.equal(host.connectedTo, '10.0.0.1');
});

test('a refused request wears no restart, no write, no memory: asked 200 times all stays', async () => {
  const host = await HostInMemory.make();
  await apply(host.world(), request());
  const { memory, config, pid } = host;
  for (let round = 0; round < 200; round += 1) {
    await apply(host.world(), request({ order: ['wm-99'], urgent: true }));
  }
  assert.deepEqual([host.memory, host.config, host.pid], [memory, config, pid]);
  assert.equal(host.connectedTo, addressOf('wm-01'));
});
