import assert from 'node:assert/strict';
import { lstatSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { replaceFile } from '../../src/host/sidecar-files.ts';
import { scratchDirectory } from '../publisher/fixture.ts';

test('a link left in the folder is never written through', async (t) => {
  const folder = scratchDirectory(t);
  const path = join(folder, 'pilotfish.prom');
  const victim = join(folder, 'victim');
  writeFileSync(victim, 'precious');
  symlinkSync(victim, `${path}.new`);
  await replaceFile(path, 'up 1\n');
  assert.equal(readFileSync(victim, 'utf8'), 'precious');
  assert.ok(lstatSync(path).isFile());
  assert.equal(readFileSync(path, 'utf8'), 'up 1\n');
});

test('what is written for other users is theirs to read under a closed umask too', async (t) => {
  const folder = scratchDirectory(t);
  const before = process.umask(0o077);
  t.after(() => process.umask(before));
  await replaceFile(join(folder, 'shared'), 'x', 0o644);
  await replaceFile(join(folder, 'own'), 'x');
  const modes = ['shared', 'own'].map((name) => lstatSync(join(folder, name)).mode & 0o777);
  assert.deepEqual(modes, [0o644, 0o600]);
});
