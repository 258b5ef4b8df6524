/** What is kept of a cut upload, on disk: only our own file is gone on with. */
import assert from 'node:assert/strict';
import {
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ClusterTransfers } from '../../src/host/cluster-transfers.ts';
import { systemRandom } from '../../src/host/system-clock.ts';

/** A link that left `half` behind, and the next one. */
async function cut(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'pf-kept-'));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 9 }));
  const before = new ClusterTransfers(folder, 'w', systemRandom);
  await before.perform({ action: 'open', transfer: 3 });
  await before.perform({ action: 'append', transfer: 3, bytes: Buffer.from('half') });
  await before.perform({ action: 'keep', transfer: 3 });
  await before.end();
  const next = new ClusterTransfers(folder, 'w', systemRandom);
  t.after(() => next.end());
  return { folder, kept: join(folder, 'w', 'kept.part'), next };
}

test('a link that left leaves no folder, whatever its name was, but for what is kept', async (t) => {
  const { folder, next } = await cut(t);
  for (let number = 0; number < 3; number += 1) {
    const link = new ClusterTransfers(folder, `w${number}`, systemRandom);
    if (number > 0) await link.perform({ action: 'open', transfer: 1 });
    await link.end();
  }
  assert.deepEqual(readdirSync(folder), ['w']);
  await next.dropKept();
  await next.end();
  assert.deepEqual(readdirSync(folder), []);
});

test('the end of a link takes nothing from the next one under its name', async (t) => {
  const { folder, next } = await cut(t);
  await next.dropKept();
  const gone = new ClusterTransfers(folder, 'w', systemRandom);
  await gone.perform({ action: 'open', transfer: 1 });
  await Promise.all([gone.end(), next.perform({ action: 'open', transfer: 1 })]);
  await next.perform({ action: 'append', transfer: 1, bytes: Buffer.from('whole') });
  await next.perform({ action: 'close', transfer: 1 });
  assert.equal((await next.read(1)).toString(), 'whole');
});

const adopt = { action: 'adopt', transfer: 1, bytes: 4 } as const;

test('the next link goes on behind the bytes that the last one left', async (t) => {
  const { next } = await cut(t);
  await next.perform(adopt);
  await next.perform({ action: 'append', transfer: 1, bytes: Buffer.from(' and rest') });
  await next.perform({ action: 'close', transfer: 1 });
  assert.equal((await next.read(1)).toString(), 'half and rest');
});

test('a symlink, a second name, other bytes or nothing in its place is refused, and nothing written', async (t) => {
  for (const tamper of ['symlink', 'second name', 'longer', 'gone'] as const) {
    const { folder, kept, next } = await cut(t);
    const victim = join(folder, 'victim');
    writeFileSync(victim, 'four');
    if (tamper === 'longer') writeFileSync(kept, 'half and more');
    else rmSync(kept);
    if (tamper === 'symlink') symlinkSync(victim, kept);
    if (tamper === 'second name') linkSync(victim, kept);
    await assert.rejects(next.perform(adopt), tamper);
    await next.perform({ action: 'drop', transfer: 1 });
    assert.equal(readFileSync(victim, 'utf8'), 'four', tamper);
  }
});
