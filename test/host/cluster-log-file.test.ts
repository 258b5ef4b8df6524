import assert from 'node:assert/strict';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { ClusterLogFile, handOverLog } from '../../src/host/cluster-log-file.ts';
import { silentLog } from '../../src/log.ts';
import { until } from '../cluster/system/nodes.ts';

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

const midnight = new Date(2026, 2, 11).getTime();

/** A log that is written around a midnight. */
function dailyLog(t: TestContext) {
  const { home, log: path } = makeHome(t);
  let now = midnight;
  const clock = { nowMs: () => now, monotonicMs: () => 0, after: () => () => undefined };
  const events = { ...silentLog, warn: (event: string) => assert.fail(event) };
  const log = new ClusterLogFile({ home, clock, events, debugLevel: 0, isForeground: false });
  t.after(() => log.close());
  const say = (sinceMidnightMs: number, message: string): void => {
    now = midnight + sinceMidnightMs;
    log.line({ level: 'INFO', tag: 'Master', subTag: 'Main', message });
  };
  const waiting = (): readonly string[] =>
    readdirSync(join(home, 'logs')).filter((name) => name.includes('rotating'));
  const packed = async (date: string): Promise<string> => {
    await until('packed', () => waiting().length === 0, 10_000);
    const name = `logs/cluster/2026/Mar/cluster.log-${date}.gz`;
    return gunzipSync(readFileSync(join(home, name))).toString();
  };
  return { path, say, waiting, packed };
}

test('the log of a day outlives a clock that is set back over midnight', async (t) => {
  const { say, packed } = dailyLog(t);
  say(-60_000, 'the whole day');
  say(200, 'first of the next');
  say(-300, 'set back by half a second');
  say(700, 'midnight again');
  assert.match(await packed('10'), /the whole day\n.*set back by half a second\n$/);
  assert.match(await packed('11'), /first of the next\n$/);
});

test('a day is packed beside the work of the node, however large it is', async (t) => {
  const { say, waiting, packed, path } = dailyLog(t);
  say(-60_000, 'the whole day');
  say(200, 'first of the next');
  assert.equal(waiting().length, 1, 'the line did not wait for it');
  assert.match(readFileSync(path, 'utf8'), /first of the next\n$/);
  assert.match(await packed('10'), /the whole day\n$/);
});

test('a day that an earlier run had not packed to its end is packed by the next', async (t) => {
  const { say, packed, path } = dailyLog(t);
  writeFileSync(`${path}.rotating-2026-Mar-10-1`, 'the whole day\n');
  writeFileSync(`${path}.rotating-2026-Mar-10-1.gz`, 'half');
  say(200, 'first of the next');
  assert.equal(await packed('10'), 'the whole day\n');
});

test('a day that was packed and not yet filed is filed by the next run, behind what is there', async (t) => {
  const { say, packed, path } = dailyLog(t);
  writeFileSync(`${path}.rotating-2026-Mar-10-1.gz`, gzipSync('morning\n'));
  writeFileSync(`${path}.rotating-2026-Mar-10-2.gz`, gzipSync('evening\n'));
  writeFileSync(`${path}.rotating-2026-Mar-10-2.gz.new`, 'half');
  say(200, 'first of the next');
  assert.equal(await packed('10'), 'morning\nevening\n');
});
