/** Changes below the item folders, told by the kernel. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseClusterJson } from '../../src/cluster/files/cluster-json.ts';
import type { Watching } from '../../src/cluster/tasks/node-ports.ts';
import { ClusterWatch } from '../../src/host/cluster-watch.ts';

const skip = process.platform !== 'linux' && 'only Linux tells of every change';

/** A home whose item folders are watched. */
class WatchedHome {
  readonly watching: Watching;
  readonly #home = mkdtempSync(join(tmpdir(), 'pf-watch-'));
  #told = Promise.withResolvers<void>();

  constructor(t: TestContext) {
    t.after(() => rmSync(this.#home, { recursive: true, force: true, maxRetries: 9 }));
    const { catalogue } = parseClusterJson({});
    for (const { key } of catalogue.items) mkdirSync(this.at(key), { recursive: true });
    mkdirSync(this.at('etc/shared/old/sub'), { recursive: true });
    this.watching = new ClusterWatch(this.#home, catalogue).watch(() => this.#told.resolve());
    t.after(() => this.watching.close());
    assert.ok(this.watching.isReliable);
  }

  at(name: string): string {
    return join(this.#home, name);
  }

  isToldSoon(): Promise<boolean> {
    this.#told = Promise.withResolvers();
    const late = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 200));
    return Promise.race([this.#told.promise.then(() => true), late]);
  }

  /** Until all that was done so far is told. */
  async quiet(): Promise<void> {
    while (await this.isToldSoon());
  }

  async isWatched(folder: string): Promise<boolean> {
    await this.quiet();
    for (let turn = 0; turn < 15; turn++) {
      const soon = this.isToldSoon();
      writeFileSync(this.at(`${folder}/deep`), `${turn}`);
      if (await soon) return true;
    }
    return false;
  }
}

test('folders that appear are watched too, below many files that come at once', {
  skip,
}, async (t) => {
  const home = new WatchedHome(t);
  mkdirSync(home.at('etc/shared/new'));
  for (let index = 0; index < 300; index++) writeFileSync(home.at(`etc/shared/${index}`), 'x');
  assert.ok(await home.isWatched('etc/shared/new'));
});

test('a folder that took the name of another at once is watched', { skip }, async (t) => {
  const home = new WatchedHome(t);
  mkdirSync(home.at('new'));
  renameSync(home.at('etc/shared/old'), home.at('etc/shared/older'));
  renameSync(home.at('new'), home.at('etc/shared/old'));
  assert.ok(await home.isWatched('etc/shared/old'));
});

test('a folder that is removed and made again at once is watched', { skip }, async (t) => {
  const home = new WatchedHome(t);
  rmSync(home.at('etc/shared/old'), { recursive: true });
  mkdirSync(home.at('etc/shared/old'));
  assert.ok(await home.isWatched('etc/shared/old'));
});

test('what is below a folder that was moved away and is there again later is watched', {
  skip,
}, async (t) => {
  const home = new WatchedHome(t);
  renameSync(home.at('etc/shared/old'), home.at('away'));
  await home.quiet();
  mkdirSync(home.at('etc/shared/old/sub'), { recursive: true });
  assert.ok(await home.isWatched('etc/shared/old/sub'));
});

test('an item folder that another one replaced at once is watched', { skip }, async (t) => {
  const home = new WatchedHome(t);
  mkdirSync(home.at('new'));
  renameSync(home.at('etc/rules'), home.at('away'));
  renameSync(home.at('new'), home.at('etc/rules'));
  assert.ok(await home.isWatched('etc/rules'));
  assert.ok(home.watching.isReliable);
});

test('once an item folder is gone, the watch says that it cannot be relied on', {
  skip,
}, async (t) => {
  const home = new WatchedHome(t);
  renameSync(home.at('etc/rules'), home.at('away'));
  await home.quiet();
  assert.equal(home.watching.isReliable, false);
});
