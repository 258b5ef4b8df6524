/** The form of bundles between our own nodes: what goes in comes out, and nothing of it is believed. */
import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { type Changes, noChanges, noOrder } from '../../../src/cluster/files/manifest.ts';
import { defaultUnpackLimits, type UnpackLimits } from '../../../src/cluster/files/member-count.ts';
import { type FileName, parseName } from '../../../src/cluster/files/name.ts';
import { ownForm, unpackOwn } from '../../../src/cluster/files/own-form.ts';
import { type FileSource, packChanges } from '../../../src/cluster/files/pack.ts';
import { FileRefusal } from '../../../src/cluster/files/refusal.ts';
import { gather, makeHome, opened, saveBundle, sealAll, stagingOf, workerOn } from './homes.ts';

const proof = hash('blake2b512', 'whatever', 'hex');

interface Member {
  readonly content: Buffer;
  readonly provenHash?: string;
}

/** The next `step` bytes, again and again. */
function stepwise(bytes: Buffer, step: number): () => Buffer {
  let at = 0;
  return () => {
    at += step;
    return bytes.subarray(at - step, at);
  };
}

function bundleOf(members: Readonly<Record<string, Member>>): Buffer {
  const entries = Object.entries(members).map(
    ([name, member]) => [parseName(name), member] as const,
  );
  const source: FileSource = {
    open(name) {
      const member = members[name];
      if (member === undefined) return undefined;
      const read = stepwise(member.content, 1000);
      const provenHash = (): string | undefined => member.provenHash;
      return { sizeBytes: member.content.length, read, provenHash, close: () => undefined };
    },
  };
  const entry = { modTime: 1, itemKey: 'etc/lists/', hash: proof, merge: undefined };
  const changes: Changes = {
    ...noChanges,
    missing: new Map(entries.map(([name]) => [name, entry])),
  };
  const limits = { zipBytes: 2 ** 30, level: 1, form: ownForm };
  return Buffer.concat([...packChanges(changes, source, limits)].map((part) => Buffer.from(part)));
}

interface Read {
  readonly files: ReadonlyMap<string, Buffer>;
  readonly hashes: ReadonlyMap<string, string | undefined>;
  readonly metadata: string;
}

function read(bundle: Buffer, more: Partial<UnpackLimits> = {}, step = bundle.length): Read {
  const files = new Map<string, Buffer>();
  const hashes = new Map<string, string | undefined>();
  const source = stepwise(bundle, step);
  const open = (name: FileName) => {
    const parts: Buffer[] = [];
    return {
      write: (bytes: Uint8Array) => void parts.push(Buffer.from(bytes)),
      end: (known?: string) => {
        files.set(name, Buffer.concat(parts));
        hashes.set(name, known);
      },
      abort: () => undefined,
    };
  };
  const metadata = unpackOwn(source, open, { ...defaultUnpackLimits, ...more });
  return { files, hashes, metadata: metadata.toString() };
}

test('files of any size come back with their proof, however the bundle is cut', () => {
  const members = {
    'etc/lists/empty': { content: Buffer.alloc(0) },
    'etc/lists/small': { content: Buffer.from('|@@//@@|small|//@@//|'), provenHash: proof },
    'etc/lists/large': { content: randomBytes(40_000), provenHash: proof },
  };
  const bundle = bundleOf(members);
  for (const step of [1, 999, bundle.length]) {
    const { files, hashes, metadata } = read(bundle, {}, step);
    assert.deepEqual(
      [...files],
      Object.entries(members).map(([name, { content }]) => [name, content]),
    );
    assert.deepEqual([...hashes.values()], [undefined, proof, proof]);
    assert.deepEqual(Object.keys(JSON.parse(metadata).missing), Object.keys(members));
  }
});

function member(name: string, ...parts: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(Buffer.byteLength(name));
  const tail = Buffer.alloc(9);
  tail.writeUInt32BE(crc32(Buffer.concat(parts)), 4);
  const lengths = parts.flatMap((part) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(part.length);
    return [length, part];
  });
  return Buffer.concat([head, Buffer.from(name), ...lengths, tail]);
}

/** An empty name, metadata of two bytes. */
const rest = member('', Buffer.from('{}')).subarray(0, -1);

test('CVE-2026-25770-own-form: paths that leave the home are refused', () => {
  assert.equal(read(Buffer.concat([member('etc/lists/a', Buffer.from('a')), rest])).metadata, '{}');
  for (const name of ['../x', 'etc/../../x', '/etc/passwd', 'etc//x', 'etc/\0', 'etc/./x']) {
    assert.throws(() => read(Buffer.concat([member(name), rest])), FileRefusal, name);
  }
});

test('PR-37119-own-form: floods, lies about lengths, changed content and every cut are refused', () => {
  const one = member('etc/lists/a', Buffer.alloc(300, 'a'), Buffer.alloc(10, 'b'));
  const whole = Buffer.concat([one, rest]);
  assert.equal(read(whole).files.get('etc/lists/a')?.length, 310);
  for (let end = 0; end < whole.length; end++) {
    assert.throws(() => read(whole.subarray(0, end)), FileRefusal, `cut at ${end}`);
  }
  const changed = Buffer.from(whole);
  changed.writeUInt8(0x62, 100);
  const long = Buffer.from(whole);
  long.writeUInt32BE(0xffff_ffff, 2 + 'etc/lists/a'.length);
  const bad: readonly (readonly [string, Buffer, Partial<UnpackLimits>])[] = [
    ['changed', changed, {}],
    ['a part too long', long, {}],
    ['the name twice', Buffer.concat([one, whole]), {}],
    ['bytes behind', Buffer.concat([whole, Buffer.from('x')]), {}],
    ['a name too long', member('n'.repeat(5000)), {}],
    ['a large member', whole, { memberBytes: 309 }],
    [
      'much in all',
      Buffer.concat([member('etc/lists/b', Buffer.alloc(9)), whole]),
      { totalBytes: 311 },
    ],
    ['many members', Buffer.concat([member('etc/lists/b'), whole]), { members: 1 }],
    ['large metadata', whole, { metadataBytes: 1 }],
  ];
  for (const [what, bundle, limits] of bad) {
    assert.throws(() => read(bundle, limits), FileRefusal, what);
  }
});

test('a file that changed since the scan comes without a proof, and is hashed where it arrives', async (t) => {
  const [master, worker] = [makeHome(t, { 'etc/lists/a': 'old' }), makeHome(t)];
  const [ours, theirs] = [workerOn(master), workerOn(worker)];
  ours.scan();
  theirs.scan();
  writeFileSync(join(master, 'etc/lists/a'), 'newer');
  const order = { ...noOrder, missing: [parseName('etc/lists/a')] };
  const seal = { order, zipBytes: 2 ** 30, isOwn: true };
  const bundle = await gather(opened(master, (target) => sealAll(ours, { ...seal, ...target })));
  const bundlePath = saveBundle(worker, bundle);
  const asked = { bundlePath, stagingFolder: stagingOf(worker), origin: 'master' } as const;
  const { id, extra } = await theirs.unpack(asked);
  assert.deepEqual(theirs.apply({ id, extra }).faults, []);
  theirs.scan();
  const [found] = Object.values(theirs.hashes(['etc/lists/']));
  assert.equal(found, hash('blake2b512', 'newer', 'hex'));
});
