import assert from 'node:assert/strict';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { handOverLog } from '../../src/host/cluster-log-file.ts';

const isRoot = process.getuid?.() === 0;
const account = { uid: 12, gid: 34 };

function makeHome(t: TestContext) {
  const home = mkdtempSync(join(tmpdir(), 'pf-log-'));
  t.after(() => rmSync(home, { recursive: true, force: true, maxRetries: 9 }));
  mkdirSync(join(home, 'logs'));
  const secret = join(home, 'secret');
  writeFileSync(secret, 'of root', { mode: 0o600 });
  return { home, secret, log: join(home, 'logs', 'cluster.log') };
}

function standing(path: string): readonly [number, number, number] {
  const { uid, gid, mode } = statSync(path);
  return [uid, gid, mode & 0o7777];
}

test('a log that root wrote is handed to the account that goes on with it', {
  skip: isRoot ? false : 'needs root',
}, (t) => {
  const { home, log } = makeHome(t);
  writeFileSync(log, 'line\n', { mode: 0o600 });
  handOverLog(home, account);
  assert.deepEqual(standing(log), [12, 34, 0o660]);
});

for (const [what, plant] of [
  ['a link to another file', symlinkSync],
  ['a second name of another file', linkSync],
] as const) {
  test(`${what} in the place of the log is handed to nobody`, {
    skip: isRoot ? false : 'needs root',
  }, (t) => {
    const { home, log, secret } = makeHome(t);
    plant(secret, log);
    handOverLog(home, account);
    assert.deepEqual(standing(secret), [0, 0, 0o600]);
  });
}

test('no log, no folder: nothing happens', (t) => {
  const { home } = makeHome(t);
  handOverLog(home, account);
  handOverLog(join(home, 'nowhere'), account);
});
