/** A file is read again when it changed, and only then. */
import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Clock } from '../../src/clock.ts';
import { Unchanged } from '../../src/host/unchanged.ts';

const folder = mkdtempSync(join(tmpdir(), 'pilotfish-unchanged-'));
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 9 }));

/** So late that every change is settled. */
const later: Clock = {
  nowMs: () => Date.now() + 10_000,
  monotonicMs: () => 0,
  after: () => () => undefined,
};

function counted(path: string, clock: Clock = later) {
  const kept = new Unchanged<number>(clock);
  let made = 0;
  return (variant = ''): Promise<number> => kept.get(path, variant, async () => ++made);
}

test('what was made of a settled file is kept', async () => {
  const path = join(folder, 'settled');
  writeFileSync(path, 'a');
  const get = counted(path);
  assert.deepEqual([await get(), await get(), await get()], [1, 1, 1]);
});

test('another variant, another content, another inode: it is made again', async () => {
  const path = join(folder, 'changing');
  writeFileSync(path, 'a');
  const get = counted(path);
  assert.deepEqual([await get('4'), await get('5')], [1, 2]);
  writeFileSync(path, 'bb');
  assert.equal(await get('5'), 3);
  writeFileSync(join(folder, 'new'), 'cc');
  renameSync(join(folder, 'new'), path);
  assert.equal(await get('5'), 4);
});

test('a change whose modification time was forged is seen', async () => {
  const path = join(folder, 'forged');
  writeFileSync(path, 'a');
  const { atime, mtime } = statSync(path);
  const get = counted(path);
  await get();
  await new Promise((resolve) => setTimeout(resolve, 20));
  writeFileSync(path, 'b');
  utimesSync(path, atime, mtime);
  assert.equal(await get(), 2);
});

test('a file that changed just now is not believed yet, one that is gone never', async () => {
  const path = join(folder, 'young');
  writeFileSync(path, 'a');
  const get = counted(path, { ...later, nowMs: () => Date.now() });
  assert.deepEqual([await get(), await get()], [1, 2]);
  const gone = counted(join(folder, 'gone'));
  assert.deepEqual([await gone(), await gone()], [1, 2]);
});
