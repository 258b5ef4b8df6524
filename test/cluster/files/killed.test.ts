/** A process killed at any moment: every file is the old one or the new one, and work goes on. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeHome, readTree, saveBundle, stagingOf, workerOn } from './homes.ts';
import { rawBundle } from './raw-bundle.ts';

const program = fileURLToPath(new URL('./place-forever.ts', import.meta.url));

test('after a kill every file is whole', async (t) => {
  const home = makeHome(t);
  for (let turn = 0; turn < 3; turn++) {
    const child = spawn(process.execPath, [program, home], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    for (let seen = 0; seen <= turn; seen++) await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const tree = readTree(home);
    assert.equal(Object.keys(tree).length, 20);
    for (const [name, content] of Object.entries(tree)) {
      assert.match(content, /^(?:a{70000}|b{70000})$/, name);
    }
  }
});

test("a staging folder that a killed process left is in nobody's way", async (t) => {
  const home = makeHome(t);
  mkdirSync(join(stagingOf(home), 'unpacked-1'), { recursive: true });
  writeFileSync(join(stagingOf(home), 'unpacked-1/member-1'), 'left');
  const entry = {
    mod_time: 1,
    cluster_item_key: 'etc/lists/',
    merged: false,
    hash: 'ab'.repeat(64),
  };
  const metadata = { missing: { 'etc/lists/a': entry }, extra: {}, shared: {} };
  const bundlePath = saveBundle(
    home,
    rawBundle([{ name: 'etc/lists/a', content: 'new' }], metadata),
  );
  const worker = workerOn(home);
  const ask = { bundlePath, stagingFolder: stagingOf(home), origin: 'master' } as const;
  const { id, extra } = await worker.unpack(ask);
  assert.deepEqual(worker.apply({ id, extra }).faults, []);
  assert.deepEqual(readTree(home), { 'etc/lists/a': 'new' });
});
