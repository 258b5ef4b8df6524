/** Bundles in compressed blocks, as our own nodes send them to each other. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { digestOf } from '../../../src/cluster/files/manifest.ts';
import { parseName } from '../../../src/cluster/files/name.ts';
import { FileRefusal } from '../../../src/cluster/files/refusal.ts';
import { squeeze, squeezeMark, unsqueezed } from '../../../src/cluster/files/squeeze.ts';

function* one(...pieces: readonly Uint8Array[]): Generator<Uint8Array, string> {
  yield* pieces;
  return 'done';
}

function packed(...pieces: readonly Uint8Array[]): Buffer {
  return Buffer.concat([...squeeze(one(...pieces))].flat());
}

/** As it comes from a disk, `step` bytes at a time. */
function read(bytes: Buffer, step: number): Buffer {
  let at = 0;
  const { read: source } = unsqueezed(() => {
    at += step;
    return bytes.subarray(at - step, at);
  });
  const parts: Buffer[] = [];
  for (let part = source(); part.length > 0; part = source()) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

function head(contentBytes: number, packedBytes: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(contentBytes);
  bytes.writeUInt32BE(packedBytes, 4);
  return Buffer.concat([squeezeMark, bytes]);
}

test('what goes in comes out, however it is cut; text shrinks, noise does not grow by much', () => {
  const lines = Array.from({ length: 3_000 }, (_, index) => `<agent_config name="${index}"/>\n`);
  const text = Buffer.from(lines.join(''));
  const noise = randomBytes(70_000);
  const bundle = packed(text, noise, text);
  assert.ok(bundle.length < noise.length + text.length / 2);
  for (const step of [1, 7, 4_096, bundle.length]) {
    assert.deepEqual(read(bundle, step), Buffer.concat([text, noise, text]));
  }
});

test('a stock bundle is passed on as it is', () => {
  const plain = Buffer.from('etc/rules/a|//@@//|…');
  assert.deepEqual(read(plain, 3), plain);
  assert.deepEqual(read(Buffer.alloc(0), 3), Buffer.alloc(0));
});

test('a block that shrank beyond belief is sent as it is, so none is taken for a bomb', () => {
  const zeros = Buffer.alloc(1024 * 1024);
  const bundle = packed(zeros);
  assert.ok(bundle.length >= zeros.length);
  assert.deepEqual(read(bundle, 100_000), zeros);
});

test('PR-37119-blocks: bombs, lies about lengths and cuts of blocks are refused', () => {
  const bomb = zstdCompressSync(Buffer.alloc(1024 * 1024));
  const fair = zstdCompressSync(Buffer.from('0123456789'.repeat(100)));
  const bad: readonly (readonly [string, Buffer])[] = [
    ['inflates beyond belief', Buffer.concat([head(1024 * 1024, bomb.length), bomb])],
    ['announces too much', head(0xffff_ffff, 0)],
    ['announces too much packed', head(1024 * 1024, 0xffff_ffff)],
    ['announces nothing', head(0, 0)],
    ['more than announced', Buffer.concat([head(999, fair.length), fair])],
    ['less than announced', Buffer.concat([head(1_001, fair.length), fair])],
    ['not zstd', Buffer.concat([head(1_000, 10), Buffer.alloc(10)])],
    ['cut head', head(1_000, 10).subarray(0, -1)],
    ['cut body', Buffer.concat([head(1_000, fair.length), fair.subarray(1)])],
  ];
  for (const [what, bytes] of bad) {
    assert.throws(() => read(bytes, 64), FileRefusal, what);
  }
});

test('the digest of a manifest is that of names and hashes, in any order', () => {
  const entry = (hash: string, modTime = 1) => ({
    modTime,
    itemKey: 'etc/rules/',
    hash,
    merge: undefined,
  });
  const [a, b] = [parseName('etc/rules/a'), parseName('etc/rules/b')];
  const first = digestOf(
    new Map([
      [a, entry('1')],
      [b, entry('2')],
    ]),
  );
  const turned = digestOf(
    new Map([
      [b, entry('2', 7)],
      [a, entry('1')],
    ]),
  );
  const swapped = digestOf(
    new Map([
      [a, entry('2')],
      [b, entry('1')],
    ]),
  );
  assert.equal(first, turned);
  assert.notEqual(first, swapped);
  assert.match(first, /^[0-9a-f]{64}$/);
});

test('small blocks travel together, and one that is sent as it is waits for none', () => {
  const lines = Array.from({ length: 6_000 }, (_, index) => `<agent_config name="${index}"/>\n`);
  const text = Buffer.from(lines.join(''));
  const noise = randomBytes(200_000);
  const messages = [...squeeze(one(text, text, text, noise, text))];
  const sizes = messages.map((parts) => parts.reduce((sum, { length }) => sum + length, 0));
  assert.equal(sizes.length, 2);
  assert.ok((sizes[0] ?? 0) > noise.length && (sizes[1] ?? 0) < text.length / 2);
});
