import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../src/sidecar-main.ts', import.meta.url));

test('the exit code stays what it is when the complaint cannot be written', {
  skip: process.platform !== 'linux' && 'no /dev/full',
}, (t) => {
  const full = openSync('/dev/full', 'w');
  t.after(() => closeSync(full));
  const { status } = spawnSync(process.execPath, [main, 'nosuch'], {
    stdio: ['ignore', 'ignore', full],
  });
  assert.equal(status, 2);
});
