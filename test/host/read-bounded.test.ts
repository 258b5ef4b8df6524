/** Every byte up to the limit, whatever the file says of its length. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readBounded } from '../../src/host/read-bounded.ts';

const folder = mkdtempSync(join(tmpdir(), 'pilotfish-bounded-'));
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 9 }));

function file(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

for (const length of [0, 1, 4095, 4096, 65_535, 65_536, 65_537, 200_000]) {
  test(`${length} bytes come whole, and no more than the limit`, async () => {
    const bytes = Buffer.from(Array.from({ length }, (_, at) => at % 251));
    const path = file(`of-${length}`, bytes);
    assert.deepEqual(await readBounded(path, 1_000_000), bytes);
    assert.deepEqual(await readBounded(path, 1_000), bytes.subarray(0, 1_000));
    assert.deepEqual(await readBounded(path, 1_000_000, 5), bytes.subarray(5));
  });
}

test('a file without a size is read to its end', {
  skip: process.platform !== 'linux',
}, async () => {
  const path = '/proc/self/environ';
  const bytes = await readBounded(path, 4_000_000);
  assert.deepEqual(bytes, readFileSync(path));
});

test('a link is not followed, a folder is no file', async () => {
  const path = file('target', Buffer.from('x'));
  symlinkSync(path, join(folder, 'link'));
  assert.equal(await readBounded(join(folder, 'link'), 10), undefined);
  assert.equal(await readBounded(folder, 10), undefined);
});
