/** The archive format in both directions (cluster-protocol.md 3.4). */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { constants, deflateSync, inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { adler32 } from '../../../src/cluster/files/adler.ts';
import {
  decodeChanges,
  decodeManifest,
  encodeChanges,
  encodeManifest,
  noChanges,
} from '../../../src/cluster/files/manifest.ts';
import {
  deflateMember,
  fileSeparator,
  longestStream,
  segmentBytes,
} from '../../../src/cluster/files/member.ts';
import { type FileName, parseName } from '../../../src/cluster/files/name.ts';
import {
  chunked,
  type OpenFile,
  type Packed,
  packChanges,
  packMembers,
} from '../../../src/cluster/files/pack.ts';
import { recordingNames } from '../recording.ts';
import { readBundle, splitBundle } from './raw-bundle.ts';
import { recordedBundles } from './recorded-bundles.ts';

const separator = '|@@//@@|';
const seed = 20_260;

test('every recorded bundle decodes to what an independent decoder reads', async () => {
  const bundles = recordingNames()
    .filter((name) => name !== '25-edge-cases' && name !== '30-separator-in-file')
    .flatMap(recordedBundles);
  assert.ok(bundles.length >= 100);
  for (const { bytes } of bundles) {
    const { metadata, members } = await readBundle(bytes);
    const expected = new Map(splitBundle(bytes));
    assert.equal(metadata, expected.get('files_metadata.json')?.toString());
    expected.delete('files_metadata.json');
    assert.deepEqual(members, expected);
  }
});

test('recorded metadata is encoded again byte for byte', async () => {
  for (const { dir, bytes } of [
    '01-connect-keepalive-firstsync',
    '03-integrity-missing-shared-extra',
    '04-integrity-live-changes',
  ].flatMap(recordedBundles)) {
    const { metadata } = await readBundle(bytes);
    const again =
      dir === 'w>m'
        ? encodeManifest(decodeManifest(Buffer.from(metadata)).value)
        : encodeChanges(decodeChanges(Buffer.from(metadata)).value);
    assert.equal([...again].join(''), metadata);
  }
});

test('separator-received: a recorded bundle that no stock worker can read is read here', async () => {
  const bundles = recordedBundles('30-separator-in-file').filter(({ dir }) => dir === 'm>w');
  assert.ok(bundles.length > 0);
  for (const { bytes } of bundles) {
    assert.throws(() => splitBundle(bytes));
    const { members } = await readBundle(bytes);
    assert.equal(members.size, 6);
    assert.equal(members.get('etc/shared/sep.bin')?.includes(separator), true);
  }
});

test('separator-in-content: what we send never holds the separator, whatever the content', () => {
  const piece = fc.oneof(
    fc.constantFrom(separator, separator.slice(0, 7), '|', '@@//@@|', 'aaaaaaaaaaaaaaaa'),
    fc.uint8Array({ maxLength: 40 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), fc.constantFrom(0, 1, 6, 9), (parts, level) => {
      const content = Buffer.concat(parts.map((part) => Buffer.from(part)));
      checkMember(content, level);
    }),
    { numRuns: 500, seed },
  );
});

test('separator-in-content: large random content around every boundary', () => {
  for (const at of [32_760, 32_767, 49_020, 65_530, segmentBytes - 4, 2 * segmentBytes - 7]) {
    const content = randomBytes(2 * segmentBytes + 100);
    content.write(separator, at, 'latin1');
    checkMember(content, 1);
  }
});

test('separator-in-content: a check sum that would complete the separator does not', () => {
  const head = Buffer.from('|@@');
  const content = withAdler(0x2f2f4040, head);
  assert.equal(adler32(content), 0x2f2f4040);
  checkMember(content, 0);
  checkMember(content, 1);
});

test('incompressible content is stored, compressible content is deflated', () => {
  const noise = randomBytes(1_000_000);
  assert.ok(encode(noise, 1).length <= longestStream(noise.length));
  assert.ok(encode(Buffer.alloc(1_000_000, 'rule '), 1).length < 20_000);
});

test('our Adler-32 is the one zlib computes', () => {
  for (const size of [0, 1, 3799, 3800, 3801, 100_000]) {
    const content = randomBytes(size);
    const stream = deflateSync(content);
    assert.equal(adler32(content), stream.readUInt32BE(stream.length - 4));
  }
});

test('a bundle of ours is read by an independent decoder and by ours, in pieces of any size', async () => {
  const files = sampleFiles();
  const bundle = Buffer.concat([
    ...chunked(
      packChanges(changesFor(files), sourceOf(files), { zipBytes: 2 ** 30, level: 1 }),
      1 << 20,
    ),
  ]);
  const split = splitBundle(bundle);
  for (const [name, content] of files) assert.deepEqual(split.get(name), content);
  for (const step of [1, 7, 4096, 1 << 20]) {
    const { members } = await readBundle(
      step === 1 ? bundle.subarray(0) : bundle,
      {},
      step === 1 ? 997 : step,
    );
    assert.deepEqual(members, files);
  }
});

test('files above the limit and files without room are left for later, and the metadata says so', () => {
  const files = new Map<FileName, Buffer>([[parseName('etc/lists/huge'), randomBytes(200_000)]]);
  for (const n of [1, 2, 3, 4]) files.set(parseName(`etc/lists/${n}`), randomBytes(40_000));
  const packing = packChanges(changesFor(files), sourceOf(files), { zipBytes: 131_072, level: 1 });
  const { bundle, packed } = collect(packing);
  const metadata = decodeChanges(splitBundle(bundle).get('files_metadata.json') ?? Buffer.alloc(0));
  assert.equal(metadata.value.missing.size, packed.files);
  assert.equal(packed.files, 3);
  assert.deepEqual(packed.left.map(({ kind }) => kind).sort(), ['no_room', 'too_large']);
  assert.ok(packed.bytes <= 131_072);
});

test('a bundle ends after its share, the rest is left for the next; a larger file goes alone', () => {
  const sizes = { huge: 200_000, a: 40_000, b: 40_000, c: 40_000 };
  const files = new Map<FileName, Buffer>(
    Object.entries(sizes).map(([name, size]) => [
      parseName(`etc/lists/${name}`),
      randomBytes(size),
    ]),
  );
  const limits = { zipBytes: 2 ** 20, level: 1, shareBytes: 100_000 };
  const left = [...files.keys()];
  const bundles: number[] = [];
  while (left.length > 0) {
    const { packed } = collect(packMembers(left, sourceOf(files), limits));
    bundles.push(packed.files);
    left.splice(0, packed.files);
    assert.deepEqual(
      packed.left,
      left.map((name) => ({ name, kind: 'no_room', text: '' })),
    );
  }
  assert.deepEqual(bundles, [1, 2, 1]);
});

test('what compresses well is limited by its content too: receivers count that', () => {
  const files = new Map<FileName, Buffer>(
    [1, 2, 3].map((n) => [parseName(`etc/lists/${n}`), Buffer.alloc(50_000, 'a')]),
  );
  const { packed } = collect(
    packMembers(files.keys(), sourceOf(files), { zipBytes: 131_072, level: 1 }),
  );
  assert.equal(packed.files, 2);
});

test('a file that cannot be read is left out and its copy on the worker stays', () => {
  const files = sampleFiles();
  const broken = parseName('etc/lists/broken');
  const gone = parseName('etc/lists/gone');
  const source = {
    open: (name: FileName) => {
      if (name === broken) throw new Error('EIO: i/o error');
      return sourceOf(files).open(name);
    },
  };
  const changes = {
    ...changesFor(files),
    shared: new Map([
      [broken, entryOf()],
      [gone, entryOf()],
    ]),
  };
  const { bundle, packed } = collect(packChanges(changes, source, { zipBytes: 2 ** 30, level: 1 }));
  const json = splitBundle(bundle).get('files_metadata.json') ?? Buffer.alloc(0);
  const sent = decodeChanges(json).value;
  assert.equal(sent.extra.size, 0);
  assert.equal(sent.shared.size, 0);
  assert.deepEqual(
    packed.left.map(({ kind }) => kind),
    ['unreadable', 'gone'],
  );
});

test('levels and strategies of other encoders are all taken', async () => {
  const content = Buffer.concat([randomBytes(70_000), Buffer.alloc(70_000, 'x')]);
  for (const options of [
    { level: 0 },
    { level: 9 },
    { strategy: constants.Z_HUFFMAN_ONLY },
    { windowBits: 9 },
  ]) {
    const stream = deflateSync(content, options);
    const bundle = Buffer.concat([
      Buffer.from('etc/lists/x|//@@//|'),
      stream,
      Buffer.from(separator),
      metadataMember(),
    ]);
    assert.deepEqual((await readBundle(bundle)).members.get('etc/lists/x'), content);
  }
});

function metadataMember(): Buffer {
  return Buffer.concat([Buffer.from('files_metadata.json|//@@//|'), deflateSync('{}')]);
}

function encode(content: Uint8Array, level: number): Buffer {
  const segments = function* (): Generator<Uint8Array> {
    for (let at = 0; at < content.length; at += segmentBytes) {
      yield content.subarray(at, at + segmentBytes);
    }
  };
  return Buffer.concat([...deflateMember(segments(), level)]);
}

/** Inflates to the content, and no separator begins before the one that follows. */
function checkMember(content: Buffer, level: number): void {
  const stream = encode(content, level);
  assert.deepEqual(inflateSync(stream), content);
  assert.equal(Buffer.concat([stream, fileSeparator]).indexOf(fileSeparator), stream.length);
}

/** Append bytes to `head` until its Adler-32 is `wanted`: solved by searching two sums. */
function withAdler(wanted: number, head: Buffer): Buffer {
  const low = wanted & 0xffff;
  const high = wanted >>> 16;
  for (let zeros = 0; zeros < 400; zeros++) {
    for (let count = 40; count < 70; count++) {
      const found = fillSums(head, Buffer.alloc(zeros), count, low, high);
      if (found !== undefined) return found;
    }
  }
  throw new Error('no content found');
}

/** `count` bytes between 0 and 255 whose sum and weighted sum are what is missing. */
function fillSums(
  head: Buffer,
  zeros: Buffer,
  count: number,
  low: number,
  high: number,
): Buffer | undefined {
  const start = Buffer.concat([zeros, Buffer.alloc(count), head]);
  const base = adler32(start);
  const needLow = (low - (base & 0xffff) + 65_521) % 65_521;
  const needHigh = (high - (base >>> 16) + 65_521) % 65_521;
  const weights = Array.from({ length: count }, (_, index) => count - index + head.length);
  const bytes = Buffer.alloc(count);
  for (let turns = 0; turns < 40; turns++) {
    const target = needHigh + turns * 65_521;
    bytes.fill(0);
    let sum = needLow;
    for (let index = 0; index < count && sum > 0; index++) {
      const part = Math.min(255, sum);
      bytes[index] = part;
      sum -= part;
    }
    if (sum > 0) return undefined;
    if (balance(bytes, weights, target)) return Buffer.concat([zeros, bytes, head]);
  }
  return undefined;
}

/** Shift units from heavy to light places, one weight step at a time, until the sum fits. */
function balance(bytes: Buffer, weights: readonly number[], target: number): boolean {
  const weighted = (): number =>
    weights.reduce((sum, weight, index) => sum + weight * (bytes[index] ?? 0), 0);
  let over = weighted() - target;
  for (let index = bytes.length - 2; index >= 0 && over > 0; index--) {
    for (let to = bytes.length - 1; to > index && over > 0; to--) {
      const step = to - index;
      const units = Math.min(bytes[index] ?? 0, 255 - (bytes[to] ?? 0), Math.floor(over / step));
      bytes[index] = (bytes[index] ?? 0) - units;
      bytes[to] = (bytes[to] ?? 0) + units;
      over -= units * step;
    }
  }
  return over === 0;
}

function entryOf(): { modTime: number; itemKey: string; hash: string; merge: undefined } {
  return { modTime: 1, itemKey: 'etc/lists/', hash: 'ab'.repeat(64), merge: undefined };
}

function sampleFiles(): Map<FileName, Buffer> {
  return new Map([
    [parseName('etc/lists/empty'), Buffer.alloc(0)],
    [parseName('etc/lists/text'), Buffer.from('key:value\n'.repeat(500))],
    [parseName('etc/lists/noise'), randomBytes(100_000)],
    [parseName('etc/lists/sep'), Buffer.from(`${separator}|//@@//|${separator}`.repeat(50))],
    [parseName('etc/lists/ü "x"\n'), Buffer.from('odd')],
  ]);
}

function changesFor(files: ReadonlyMap<FileName, Buffer>): typeof noChanges {
  return { ...noChanges, missing: new Map([...files.keys()].map((name) => [name, entryOf()])) };
}

function sourceOf(files: ReadonlyMap<FileName, Buffer>): {
  open(name: FileName): OpenFile | undefined;
} {
  return {
    open: (name) => {
      const content = files.get(name);
      if (content === undefined) return undefined;
      let at = 0;
      const read = (): Buffer => {
        at += segmentBytes;
        return content.subarray(at - segmentBytes, at);
      };
      return { sizeBytes: content.length, read, close: () => undefined };
    },
  };
}

function collect(packing: Generator<Uint8Array, Packed>): { bundle: Buffer; packed: Packed } {
  const parts: Uint8Array[] = [];
  for (;;) {
    const next = packing.next();
    if (next.done === true) return { bundle: Buffer.concat(parts), packed: next.value };
    parts.push(Buffer.from(next.value));
  }
}
