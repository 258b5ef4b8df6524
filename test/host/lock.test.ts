import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { acquireLock, type LockRequest } from '../../src/host/lock.ts';
import { processStamp } from '../../src/host/process-identity.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import { failsWith } from './config-fixture.ts';

async function withLock(body: (request: LockRequest) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'pf-lock-'));
  const shared = { clock: systemClock, random: systemRandom, reason: 'lock_held' } as const;
  try {
    await body({ path: join(directory, 'apply.lock'), ...shared });
  } finally {
    await rm(directory, { recursive: true, maxRetries: 9 });
  }
}

const holderProgram = (path: string): string => `
  import { acquireLock } from ${JSON.stringify(new URL('../../src/host/lock.ts', import.meta.url).href)};
  import { systemClock, systemRandom } from ${JSON.stringify(new URL('../../src/host/system-clock.ts', import.meta.url).href)};
  await acquireLock({ path: ${JSON.stringify(path)}, reason: 'lock_held', clock: systemClock, random: systemRandom });
  console.log('held');
  setInterval(() => undefined, 1000);
`;

test('a second claimant in the same process is refused until the first releases', () =>
  withLock(async (request) => {
    const first = await acquireLock(request);
    await assert.rejects(acquireLock(request), failsWith('lock_held', /held by process \d+/));
    await first.release();
    const second = await acquireLock(request);
    await second.release();
    assert.deepEqual(await readdir(join(request.path, '..')), []);
  }));

test('a lock held by a living process is refused; after kill -9 it is free at once', () =>
  withLock(async (request) => {
    const argv = ['--input-type=module', '-e', holderProgram(request.path)];
    const holder = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(holder.stdout, 'data');
    await assert.rejects(acquireLock(request), failsWith('lock_held', new RegExp(`${holder.pid}`)));
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    await (await acquireLock(request)).release();
  }));

test('a claim whose pid now belongs to another process is stale', () =>
  withLock(async (request) => {
    await writeFile(`${request.path}.${process.pid}-00000000-00000000`, '');
    await (await acquireLock(request)).release();
    assert.deepEqual(await readdir(join(request.path, '..')), []);
  }));

/** A claim that cannot be removed, as on a file system that was remounted read-only. */
async function jam(path: string): Promise<string> {
  const folder = join(path, '..');
  const [name = ''] = await readdir(folder);
  await rm(join(folder, name));
  await mkdir(join(folder, name));
  return join(folder, name);
}

test('a claim that cannot be removed fails no release, and is gone once it can be', () =>
  withLock(async (request) => {
    const lock = await acquireLock(request);
    const claim = await jam(request.path);
    await lock.release();
    await assert.rejects(acquireLock(request), failsWith('write_failed', /apply\.lock/));
    await rmdir(claim);
    await writeFile(claim, '');
    await (await acquireLock(request)).release();
    assert.deepEqual(await readdir(join(request.path, '..')), []);
  }));

test('a claimant that meets a fault while it looks leaves no claim behind', () =>
  withLock(async (request) => {
    const stale = `${request.path}.${process.pid}-00000000-00000000`;
    await mkdir(stale);
    await assert.rejects(acquireLock(request), failsWith('write_failed', /apply\.lock/));
    assert.deepEqual(await readdir(join(request.path, '..')), [basename(stale)]);
  }));

test('of many that start together at most one holds', () =>
  withLock(async (request) => {
    for (let round = 0; round < 5; round += 1) {
      const all = await Promise.allSettled(Array.from({ length: 8 }, () => acquireLock(request)));
      const held = all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      assert.ok(held.length <= 1, `${held.length} hold at once`);
      for (const lock of held) await lock.release();
    }
  }));

test('a process that does not exist has no stamp, a living one always the same', async () => {
  assert.equal(await processStamp(2 ** 22 + 1), undefined);
  assert.equal(await processStamp(process.pid), await processStamp(process.pid));
});
