/** What a kill, a full disk and a damaged file may not do to the history and to `init`. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { renderPublisherConfig } from '../../src/cli/publisher-template.ts';
import { HostError } from '../../src/errors.ts';
import { buildCertificateMaker } from '../../src/host/certificate-maker.ts';
import { openHistory } from '../../src/host/history-database.ts';
import { openPublisherFolder } from '../../src/host/publisher-folder.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import { parseSigningKey } from '../../src/list/sign.ts';
import type { History } from '../../src/publisher/history.ts';
import { type InitTools, initPublisher, type PublisherFolder } from '../../src/publisher/init.ts';
import { loadRoots } from '../../src/publisher/load-roots.ts';
import {
  drainOrder,
  publishConfigured,
  resignOrder,
  undrainOrder,
} from '../../src/publisher/orders.ts';
import { publish } from '../../src/publisher/publish.ts';
import { configuredOf, openDesk, scratchDirectory } from './fixture.ts';

const child = fileURLToPath(new URL('publish-forever.ts', import.meta.url));
const three = configuredOf('a', 'b', 'c');

function assertUnbroken(history: History): void {
  const entries = [...history.list(1_000)].reverse();
  entries.forEach((entry, index) => {
    assert.equal(entry.version, (entries[0]?.version ?? 0) + index);
    if (index > 0) assert.equal(entry.prev, entries[index - 1]?.hash);
  });
}

test('SIGKILL at any moment loses no announced version and repeats none', async (t) => {
  const path = join(scratchDirectory(t), 'history.db');
  let announced = 0;
  for (const afterVersions of [1, 2, 5, 9, 17, 30]) {
    const process_ = spawn(process.execPath, [child, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    process_.stdout.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
      if (text.split('\n').length > afterVersions) process_.kill('SIGKILL');
    });
    await once(process_, 'close');
    const versions = text.split('\n').slice(0, -1).map(Number);
    assert.ok(
      versions.every((version, index) => index === 0 || version >= (versions[index - 1] ?? 0)),
    );
    assert.ok((versions[0] ?? 0) >= announced, `${versions[0]} after ${announced}`);
    announced = versions.at(-1) ?? announced;
    const history = openHistory(path);
    assert.ok((history.newest()?.version ?? 0) >= announced);
    assertUnbroken(history);
    history.close();
  }
});

test('two processes that publish at the same time leave one unbroken chain', async (t) => {
  const path = join(scratchDirectory(t), 'history.db');
  openHistory(path).close();
  const children = [0, 1].map(() =>
    spawn(process.execPath, [child, path], { stdio: ['ignore', 'pipe', 'pipe'] }),
  );
  // Orders of one process may be done by the other already: lines count publications, not versions.
  const said = await Promise.all(
    children.map(async (one) => {
      let text = '';
      one.stdout.setEncoding('latin1').on('data', (chunk: string) => {
        text += chunk;
        if (text.split('\n').length > 15) one.kill('SIGKILL');
      });
      await once(one, 'close');
      return text.split('\n').slice(0, -1).map(Number);
    }),
  );
  const history = openHistory(path);
  t.after(() => history.close());
  for (const versions of said) assert.ok(versions.length >= 15, 'both ran');
  const newest = history.newest()?.version ?? 0;
  assert.ok(newest >= Math.max(...said.flat()), 'what was said to be durable is there');
  assertUnbroken(history);
});

test('only the last 1000 versions are kept; versions never start over', async (t) => {
  const desk = await openDesk(t);
  const { entry } = await publish(desk, publishConfigured(three));
  for (let version = 2; version <= 1_005; version += 1) {
    assert.equal(desk.history.append({ ...entry, version }, version - 1), true);
  }
  assert.equal(desk.history.list(2_000).length, 1_000);
  assert.equal(desk.history.find(5), undefined);
  assert.equal((await publish(desk, resignOrder(three))).entry.version, 1_006);
});

test('an append after a version that is not the newest writes nothing', async (t) => {
  const desk = await openDesk(t);
  const { entry } = await publish(desk, publishConfigured(three));
  assert.equal(desk.history.append({ ...entry, version: 2 }, undefined), false);
  assert.equal(desk.history.append({ ...entry, version: 9 }, 8), false);
  assert.equal(desk.history.list(10).length, 1);
});

test('whoever has the seat no more appends nothing, in the same transaction', async (t) => {
  const desk = await openDesk(t);
  const { entry } = await publish(desk, publishConfigured(three));
  const history = openHistory(desk.path);
  t.after(() => history.close());
  const first = history.takeSeat('a');
  assert.equal(history.append({ ...entry, version: 2 }, 1, first), true);
  const second = openHistory(desk.path);
  t.after(() => second.close());
  assert.equal(second.takeSeat('b'), first + 1);
  assert.throws(() => history.append({ ...entry, version: 3 }, 2, first), { reason: 'not_leader' });
  assert.equal(second.append({ ...entry, version: 3 }, 2, first + 1), true);
  assert.equal(desk.history.newest()?.version, 3);
});

test('a damaged history is E702 and is left as it is', (t) => {
  const path = join(scratchDirectory(t), 'history.db');
  writeFileSync(path, 'not a database, certainly not one of sixteen pages');
  assert.throws(() => openHistory(path), { code: 'E702' });
});

test('a history of a newer program is refused', async (t) => {
  const { DatabaseSync } = await import('node:sqlite');
  const path = join(scratchDirectory(t), 'history.db');
  const database = new DatabaseSync(path);
  database.exec('PRAGMA user_version = 99');
  database.close();
  assert.throws(() => openHistory(path), /written by a newer program/);
});

function smallDisk(t: TestContext, kilobytes: number): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'pf-small-'));
  t.after(() => {
    spawnSync('umount', ['-l', directory]);
    rmSync(directory, { recursive: true, force: true, maxRetries: 9 });
  });
  const mounted = spawnSync('mount', [
    '-t',
    'tmpfs',
    '-o',
    `size=${kilobytes}k`,
    'tmpfs',
    directory,
  ]);
  if (mounted.status !== 0) {
    t.skip('a small tmpfs cannot be mounted here (needs root)');
    return undefined;
  }
  return directory;
}

test('a full disk is E702; nothing announced is lost and publishing goes on once there is room', async (t) => {
  const directory = smallDisk(t, 160);
  if (directory === undefined) return;
  const path = join(directory, 'history.db');
  const desk = { ...(await openDesk(t)), history: openHistory(path) };
  t.after(() => desk.history.close());
  await publish(desk, publishConfigured(three));
  let last = 1;
  const fill = async (): Promise<void> => {
    for (let index = 0; index < 500; index += 1) {
      const order = index % 2 === 0 ? drainOrder(three, 'b') : undrainOrder(three, 'b');
      last = (await publish(desk, order)).entry.version;
    }
  };
  await assert.rejects(fill(), { code: 'E702' });
  assert.equal(desk.history.newest()?.version, last);
  assertUnbroken(desk.history);
  spawnSync('mount', ['-o', 'remount,size=4096k', directory]);
  assert.equal((await publish(desk, resignOrder(three))).entry.version, last + 1);
});

const request = {
  org: 'acme',
  managers: [{ id: 'wm1', address: '10.0.0.1', port: 1514 }],
  urls: ['https://127.0.0.1:8443'],
  listen: '127.0.0.1:8443',
  rootKeys: 2,
  threshold: 2,
};

function toolsOf(folder: PublisherFolder): InitTools {
  return {
    folder,
    maker: buildCertificateMaker(systemClock, systemRandom),
    clock: systemClock,
    random: systemRandom,
    renderConfig: renderPublisherConfig,
  };
}

/** Everything works until the n-th write, which never happens. */
function failingFolder(folder: PublisherFolder, failAt: number): PublisherFolder {
  let writes = 0;
  return {
    path: folder.path,
    read: folder.read,
    list: folder.list,
    async write(name, text) {
      writes += 1;
      if (writes >= failAt) throw new HostError('write_failed', `${name}: cut off`);
      await folder.write(name, text);
    },
  };
}

test('init cut off at any write is started over by the next run, with files that belong together', async (t) => {
  for (let failAt = 1; failAt <= 10; failAt += 1) {
    const folder = openPublisherFolder(join(scratchDirectory(t), 'p'));
    await assert.rejects(initPublisher(toolsOf(failingFolder(folder, failAt)), request), {
      code: 'E506',
    });
    const { kind } = await initPublisher(toolsOf(folder), request);
    assert.equal(kind, failAt === 1 ? 'created' : 'resumed');
    const { newest } = await loadRoots(folder, 'roots', 'acme');
    const key = parseSigningKey(JSON.parse((await folder.read('list-key.jwk')) ?? ''));
    assert.ok(newest.root.roles.list.kids.includes(key.kid));
    assert.equal((await initPublisher(toolsOf(folder), request)).kind, 'exists');
  }
});

test('init on a full disk is E506 and is started over once there is room', async (t) => {
  const directory = smallDisk(t, 16);
  if (directory === undefined) return;
  const folder = openPublisherFolder(directory);
  await assert.rejects(initPublisher(toolsOf(folder), request), { code: 'E506' });
  spawnSync('mount', ['-o', 'remount,size=1024k', directory]);
  assert.equal((await initPublisher(toolsOf(folder), request)).kind, 'resumed');
});
