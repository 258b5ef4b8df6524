/** Tokens between the spool and the sockets: one read for all, memory used again only when it may be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChunkReads } from '../../../src/cluster/tasks/chunk-reads.ts';

const chunk = (offset: number) => ({ offset, tokenBytes: 4, plainBytes: 3, contentBytes: 2 });

function spool(): { reads: number; read(offset: number, into: Buffer): Promise<void> } {
  return {
    reads: 0,
    async read(offset, into) {
      this.reads += 1;
      if (offset === 666) throw new Error('the disk is gone');
      into.fill(offset);
    },
  };
}

test('readers at one place share one read; what was answered serves the next chunk', async () => {
  const disk = spool();
  const reads = new ChunkReads(disk);
  const [one, two] = await Promise.all([reads.take(chunk(7)), reads.take(chunk(7))]);
  assert.equal(disk.reads, 1);
  assert.equal(one.token, two.token);
  one.done('answered');
  const other = await reads.take(chunk(8));
  assert.notEqual(other.token.buffer, two.token.buffer, 'the second reader still needs it');
  assert.deepEqual([...two.token], [7, 7, 7, 7]);
  two.done('answered');
  const next = await reads.take(chunk(9));
  assert.equal(next.token.buffer, two.token.buffer);
  assert.deepEqual([...next.token], [9, 9, 9, 9]);
});

test('memory of a message that was never answered is not used again: it may still be leaving', async () => {
  const reads = new ChunkReads(spool());
  const [one, two] = [await reads.take(chunk(1)), await reads.take(chunk(1))];
  one.done('lost');
  two.done('answered');
  const next = await reads.take(chunk(2));
  assert.notEqual(next.token.buffer, one.token.buffer);
});

test('a read that failed is told to whoever asked, and tried anew by the next', async () => {
  const disk = spool();
  const reads = new ChunkReads(disk);
  await assert.rejects(reads.take(chunk(666)), /the disk is gone/);
  await assert.rejects(reads.take(chunk(666)), /the disk is gone/);
  assert.equal(disk.reads, 2);
});
