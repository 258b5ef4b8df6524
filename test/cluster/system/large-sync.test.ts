/** More than one bundle holds, and a link that breaks: what was applied stays, the rest follows. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Home, startMaster, startWorker, until } from './nodes.ts';

test('bundles follow one another at once, and after a broken link only the rest is sent', async (t) => {
  const files = Array.from({ length: 8 }, (_, n) => [`etc/rules/r${n}.xml`, randomBytes(40_000)]);
  const home = new Home(t, Object.fromEntries(files));
  const cluster = {
    intervals: {
      master: { recalculate_integrity: 0.2 },
      worker: { sync_integrity: 300, connection_retry: 0.2 },
      communication: { max_zip_size: 100_000, min_zip_size: 100_000 },
    },
  };
  const { port, ...master } = await startMaster(t, home, { cluster });
  await until('scan', () => master.log.has('Calculated metadata of 8 files'));
  const there = new Home(t);
  const count = (): number => Object.keys(there.tree()).length;
  const first = startWorker(t, there, { name: 'w', port, cluster });
  await until('a part is there', () => count() > 0);

  await first.stop();
  const before = count();
  const again = startWorker(t, there, { name: 'w', port, cluster });
  await until('all', () => count() === 8);

  assert.deepEqual(there.tree(), home.tree());
  const created = /Files to create: (\d+)/;
  const sizes = again.log.lines.map(({ message }) => Number(created.exec(message)?.[1] ?? 0));
  assert.ok(sizes.reduce((sum, size) => sum + size, 0) <= 8 - before, `${before}, then ${sizes}`);
});
