/** What is packed for workers is kept for the next one, and for nobody once the master ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SealedStream } from '../../../src/cluster/files/jobs.ts';
import { parseName } from '../../../src/cluster/files/name.ts';
import { BundleShelf, type BundleWish } from '../../../src/cluster/tasks/bundle-shelf.ts';
import { HandClock, random } from '../links.ts';

const wish: BundleWish = {
  order: { missing: [], extra: new Map(), shared: [] },
  ...{ content: 'x', zipBytes: 1024, isOwn: true, worker: 'w1' },
};

async function* seal(): SealedStream {
  yield [];
  return { packed: { files: 0, left: [], bytes: 0 }, digest: Buffer.alloc(32) };
}

/** With the spools that nobody dropped. */
function shelf() {
  const clock = new HandClock();
  const spools = new Set<object>();
  const openSpool = async () => {
    const spool = {
      descriptor: -1,
      read: async () => undefined,
      drop: async () => void spools.delete(spool),
    };
    spools.add(spool);
    return spool;
  };
  const jobs = { sealChanges: seal };
  return { clock, spools, shelf: new BundleShelf({ clock, random, jobs, openSpool }) };
}

test('a bundle is kept for a moment for the next worker, longer when a link broke', async () => {
  const { clock, spools, shelf: kept } = shelf();
  await kept.use(wish, (bundle) => bundle.packed());
  await kept.use({ ...wish, worker: 'w2' }, (bundle) => bundle.packed());
  assert.deepEqual([kept.made, spools.size], [1, 1]);
  const cut = kept.use({ ...wish, worker: 'w3' }, () => Promise.reject(new Error('cut')));
  await assert.rejects(cut, /cut/);
  clock.advance(119_999);
  assert.deepEqual([kept.made, spools.size], [1, 1]);
  clock.advance(1);
  await new Promise(setImmediate);
  assert.equal(spools.size, 0);
});

test('a bundle whose work ends after the master did is dropped at once', async () => {
  const { clock, spools, shelf: kept } = shelf();
  const { promise: cut, reject } = Promise.withResolvers<never>();
  const early = kept.use(wish, () => cut);
  await kept.close();
  const late = kept.use({ ...wish, worker: 'w2' }, () => cut);
  reject(new Error('the link ended'));
  await Promise.allSettled([early, late]);
  assert.deepEqual([spools.size, clock.timers], [0, 0]);
});

test('orders whose names differ only in where a line ends share no bundle', async () => {
  const { shelf: kept } = shelf();
  const use = (worker: string, ...names: string[]) => {
    const order = { ...wish.order, missing: names.map(parseName) };
    return kept.use({ ...wish, order, worker }, (bundle) => bundle.packed());
  };
  await use('w1', 'etc/shared/a\netc/shared/b', 'etc/shared/c');
  await use('w2', 'etc/shared/a', 'etc/shared/b\netc/shared/c');
  assert.equal(kept.made, 2);
  await kept.close();
});
