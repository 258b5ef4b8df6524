import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { HostError } from '../../src/errors.ts';
import {
  decodeGeneration,
  encodeGeneration,
  openTwoGenerationFile,
} from '../../src/host/two-generation-file.ts';

const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString();

async function inDirectory(body: (path: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'pf-state-'));
  try {
    await body(join(directory, 'state'));
  } finally {
    await rm(directory, { recursive: true, maxRetries: 9 });
  }
}

test('a state that was never written is undefined, not an error', () =>
  inDirectory(async (path) => {
    assert.equal(await openTwoGenerationFile(path).read(), undefined);
  }));

test('the newest of many writes is read back, in two files of mode 0600', () =>
  inDirectory(async (path) => {
    const file = openTwoGenerationFile(path);
    for (const value of ['one', 'two', 'three']) await file.write(Buffer.from(value));
    assert.equal(text(await openTwoGenerationFile(path).read()), 'three');
    assert.deepEqual((await readdir(join(path, '..'))).sort(), ['state.a', 'state.b']);
    assert.equal((await stat(`${path}.a`)).mode & 0o777, 0o600);
  }));

test('the newest generation torn at any byte falls back to the previous one, never to none', () =>
  inDirectory(async (path) => {
    const file = openTwoGenerationFile(path);
    await file.write(Buffer.from('previous'));
    await file.write(Buffer.from('newest'));
    const whole = await readFile(`${path}.b`);
    for (let length = 0; length < whole.length; length += 1) {
      await writeFile(`${path}.b`, whole.subarray(0, length));
      const damaged: string[] = [];
      const read = await openTwoGenerationFile(path, (at) => damaged.push(at)).read();
      assert.equal(text(read), 'previous', `torn at ${length}`);
      assert.deepEqual(damaged, [`${path}.b`]);
    }
  }));

test('after a fall back the next write replaces the damaged generation, not the good one', () =>
  inDirectory(async (path) => {
    const file = openTwoGenerationFile(path);
    await file.write(Buffer.from('previous'));
    await file.write(Buffer.from('newest'));
    await writeFile(`${path}.b`, 'rubbish');
    await file.write(Buffer.from('next'));
    assert.equal(decodeGeneration(await readFile(`${path}.a`)).kind, 'good');
    assert.equal(text(await file.read()), 'next');
  }));

test('two damaged generations are E701, never "no state"', () =>
  inDirectory(async (path) => {
    await writeFile(`${path}.a`, 'rubbish');
    await writeFile(`${path}.b`, '');
    await assert.rejects(openTwoGenerationFile(path).read(), (error) => {
      assert.ok(error instanceof HostError);
      return error.code === 'E701';
    });
  }));

test('every single-bit flip of a generation is noticed', () => {
  const file = encodeGeneration(7, Buffer.from('payload'));
  for (let bit = 0; bit < file.length * 8; bit += 1) {
    const flipped = Uint8Array.from(file);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.equal(decodeGeneration(flipped).kind, 'damaged', `bit ${bit}`);
  }
});

test('writes issued together are kept in order', () =>
  inDirectory(async (path) => {
    const file = openTwoGenerationFile(path);
    await Promise.all(['1', '2', '3', '4'].map((value) => file.write(Buffer.from(value))));
    assert.equal(text(await file.read()), '4');
  }));

test('a state that may not be opened now is not taken for damaged, and never written over', async () => {
  await inDirectory(async (path) => {
    await writeFile(`${path}-file`, 'not a directory');
    const shut = openTwoGenerationFile(join(`${path}-file`, 'state'));
    await assert.rejects(shut.read(), { reason: 'state_inaccessible', code: 'E704' });
    await assert.rejects(shut.write(Buffer.from('x')), { code: 'E704' });
  });
});
