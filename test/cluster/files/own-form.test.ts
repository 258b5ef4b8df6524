/** The form of bundles between our own nodes: what goes in comes out, and nothing of it is believed. */
import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { type Changes, noChanges, noOrder } from '../../../src/cluster/files/manifest.ts';
import { defaultUnpackLimits, type UnpackLimits } from '../../../src/cluster/files/member-count.ts';
import { type FileName, parseName } from '../../../src/cluster/files/name.ts';
import { type OwnSink, ownForm, unpackOwn } from '../../../src/cluster/files/own-form.ts';
import { type FileSource, packChanges } from '../../../src/cluster/files/pack.ts';
import { FileRefusal } from '../../../src/cluster/files/refusal.ts';
import { gather, makeHome, opened, saveBundle, sealAll, stagingOf, workerOn } from './homes.ts';
import { ownBundle } from './own-bundle.ts';

const proof = hash('blake2b512', 'whatever', 'hex');
const itemKey = 'etc/lists/';

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
      const step = stepwise(member.content, 1000);
      let read = 0;
      return {
        sizeBytes: member.content.length,
        read: () => {
          const bytes = step();
          read += Math.max(1, bytes.length);
          return bytes;
        },
        isAtEnd: () => read > 0 && read < 1000,
        provenHash: () => member.provenHash,
        close: () => undefined,
      };
    },
  };
  const entry = { modTime: 1, itemKey, hash: proof, merge: undefined };
  const changes: Changes = {
    ...noChanges,
    missing: new Map(entries.map(([name]) => [name, entry])),
  };
  const limits = { zipBytes: 2 ** 30, level: 1, form: ownForm() };
  return Buffer.concat([...packChanges(changes, source, limits)].map((part) => Buffer.from(part)));
}

interface Read {
  readonly files: ReadonlyMap<string, Buffer>;
  readonly hashes: ReadonlyMap<string, string | undefined>;
  /** Group, folder, item key. */
  readonly folders: readonly string[];
  readonly metadata: string;
}

function read(bundle: Buffer, more: Partial<UnpackLimits> = {}, step = bundle.length): Read {
  const files = new Map<string, Buffer>();
  const hashes = new Map<string, string | undefined>();
  const source = stepwise(bundle, step);
  const folders: string[] = [];
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
  const sink: OwnSink = {
    open,
    folder: (folder, kind) => void folders.push(`${kind.group} ${folder} ${kind.itemKey}`),
    put(name, content, known) {
      const one = open(name);
      one.write(content);
      one.end(known);
    },
  };
  const metadata = unpackOwn(source, sink, { ...defaultUnpackLimits, ...more });
  return { files, hashes, folders, metadata: metadata.toString() };
}

test('files of any size come back with their proof, however the bundle is cut', () => {
  const members = {
    'etc/lists/empty': { content: Buffer.alloc(0) },
    'etc/lists/nothing': { content: Buffer.alloc(0), provenHash: proof },
    'etc/lists/in/ä ö': { content: Buffer.from('odd'), provenHash: proof },
    'etc/lists/small': { content: Buffer.from('|@@//@@|small|//@@//|'), provenHash: proof },
    'etc/lists/large': { content: randomBytes(40_000), provenHash: proof },
  };
  const bundle = bundleOf(members);
  for (const step of [1, 999, bundle.length]) {
    const { files, hashes, folders, metadata } = read(bundle, {}, step);
    assert.deepEqual(
      [...files],
      Object.entries(members).map(([name, { content }]) => [name, content]),
    );
    assert.deepEqual([...hashes.values()], [undefined, ...Array(4).fill(proof)]);
    const ends = ['etc/lists', 'etc/lists/in', 'etc/lists'];
    assert.deepEqual(
      folders,
      ends.map((folder) => `missing ${folder} ${itemKey}`),
    );
    assert.deepEqual(JSON.parse(metadata), { missing: {}, shared: {}, extra: {} });
  }
});

function withLength(text: string): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(Buffer.byteLength(text));
  return Buffer.concat([length, Buffer.from(text)]);
}

/** A folder of new files. */
function folder(name: string): Buffer {
  return Buffer.concat([Buffer.of(1), withLength(name), withLength(itemKey)]);
}

/** In its folder, whole or in parts. */
function member(name: string, ...parts: readonly Buffer[]): Buffer {
  const end = Math.max(0, name.lastIndexOf('/'));
  return Buffer.concat([folder(name.slice(0, end)), inParts(name.slice(end + 1), ...parts)]);
}

function whole(base: string, content: Buffer, contentBytes = content.length): Buffer {
  const head = Buffer.alloc(11);
  head[0] = 4;
  head.writeUInt16BE(Buffer.byteLength(base), 1);
  head.writeUInt32BE(contentBytes, 3);
  head.writeUInt32BE(crc32(content), 7);
  return Buffer.concat([head, Buffer.from(proof, 'hex'), Buffer.from(base), content]);
}

function inParts(base: string, ...parts: readonly Buffer[]): Buffer {
  const head = Buffer.concat([Buffer.of(5), withLength(base)]);
  const tail = Buffer.alloc(9);
  tail.writeUInt32BE(crc32(Buffer.concat(parts)), 4);
  const lengths = parts.flatMap((part) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(part.length);
    return [length, part];
  });
  return Buffer.concat([head, ...lengths, tail]);
}

/** The end, metadata of two bytes. */
const rest = Buffer.concat([Buffer.of(0), inParts('', Buffer.from('{}')).subarray(3, -1)]);

test('CVE-2026-25770-own-form: paths that leave the home are refused', () => {
  assert.equal(read(Buffer.concat([member('etc/lists/a', Buffer.from('a')), rest])).metadata, '{}');
  for (const name of ['../x', 'etc/../../x', '/etc/passwd', 'etc//x', 'etc/\0', 'etc/./x']) {
    assert.throws(() => read(Buffer.concat([member(name), rest])), FileRefusal, name);
  }
  for (const base of ['..', '.', '', '../x', '/x', 'in/x', 'x\0']) {
    for (const bytes of [whole(base, Buffer.from('a')), inParts(base)]) {
      assert.throws(
        () => read(Buffer.concat([folder('etc/lists'), bytes, rest])),
        FileRefusal,
        base,
      );
    }
  }
});

test('PR-37119-own-form: floods, lies about lengths, changed content and every cut are refused', () => {
  const one = member('etc/lists/a', Buffer.alloc(300, 'a'), Buffer.alloc(10, 'b'));
  const two = whole('w', Buffer.from('wxyz'));
  const good = Buffer.concat([one, two, rest]);
  assert.equal(read(good).files.get('etc/lists/a')?.length, 310);
  assert.equal(read(good).files.get('etc/lists/w')?.toString(), 'wxyz');
  for (let end = 0; end < good.length; end++) {
    assert.throws(() => read(good.subarray(0, end)), FileRefusal, `cut at ${end}`);
  }
  const changed = Buffer.from(good);
  changed.writeUInt8(0x62, 100);
  const changedWhole = Buffer.from(good);
  changedWhole.writeUInt8(0x62, good.indexOf('wxyz'));
  const long = Buffer.from(good);
  long.writeUInt32BE(0xffff_ffff, folder('etc/lists').length + 3 + 'a'.length);
  const bad: readonly (readonly [string, Buffer, Partial<UnpackLimits>])[] = [
    ['changed', changed, {}],
    ['changed, whole', changedWhole, {}],
    ['a part too long', long, {}],
    ['a whole file too long', Buffer.concat([one, whole('w', Buffer.alloc(9), 2 ** 21), rest]), {}],
    ['bytes behind', Buffer.concat([good, Buffer.from('x')]), {}],
    ['a name too long', member('n'.repeat(5000)), {}],
    ['a base name too long', Buffer.concat([one, whole('n'.repeat(5000), two), rest]), {}],
    ['a folder too long', member(`${'n'.repeat(5000)}/a`), {}],
    ['a file without a folder', Buffer.concat([two, rest]), {}],
    ['a folder without a file', Buffer.concat([folder('etc/lists'), good]), {}],
    ['a folder at the end', Buffer.concat([one, folder('etc/lists/b'), rest]), {}],
    ['an unknown record', Buffer.concat([one, Buffer.of(6), rest]), {}],
    ['a large member', good, { memberBytes: 309 }],
    ['a large whole member', Buffer.concat([folder('a'), two, rest]), { memberBytes: 3 }],
    [
      'much in all',
      Buffer.concat([member('etc/lists/b', Buffer.alloc(9)), good]),
      { totalBytes: 311 },
    ],
    ['many members', Buffer.concat([member('etc/lists/b'), good]), { members: 1 }],
    ['large metadata', good, { metadataBytes: 1 }],
    ['long names', good, { metadataBytes: rest.length }],
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

test('PR-37119-own-form: a name comes once, in whatever shape and for whatever it is said to be', async (t) => {
  const home = makeHome(t, { 'etc/shared/old/x': 'x' });
  const worker = workerOn(home);
  const shapes = (['missing', 'shared', undefined] as const).flatMap((group) =>
    [false, true].map((isLarge) => ({ kind: { group, itemKey: 'etc/shared/' }, isLarge })),
  );
  let refused = 0;
  for (const name of [
    'etc/shared/new/a',
    'etc/shared/old/a',
    'etc/nobody',
    'etc/shared/new/a.swp',
  ]) {
    for (const first of shapes) {
      for (const second of shapes) {
        const members = [first, second].map((shape) => ({ name, content: 'one', ...shape }));
        const asked = {
          bundlePath: saveBundle(home, ownBundle(members)),
          origin: 'master',
        } as const;
        const unpacking = worker.unpack({ ...asked, stagingFolder: stagingOf(home) });
        await assert.rejects(
          unpacking,
          /two members are called/,
          `${name} ${JSON.stringify(members)}`,
        );
        refused += 1;
      }
    }
  }
  assert.equal(refused, 4 * shapes.length ** 2);
  assert.deepEqual(readdirSync(stagingOf(home)), []);
});

test('a worker sends no bundle of our own form: its files are judged one by one', async (t) => {
  const home = makeHome(t);
  const kind = { group: 'missing', itemKey: 'etc/shared/' } as const;
  const bundle = ownBundle([{ name: 'etc/shared/new/a', content: 'a', kind }]);
  const asked = { bundlePath: saveBundle(home, bundle), stagingFolder: stagingOf(home) };
  const theirs = workerOn(home);
  await assert.rejects(theirs.unpack({ ...asked, origin: 'worker' }), FileRefusal);
  theirs.scan();
  await assert.rejects(theirs.check(asked.bundlePath), FileRefusal, 'nor is it a manifest');
  const { missingFiles, created } = await theirs.unpack({ ...asked, origin: 'master' });
  assert.deepEqual([missingFiles, [...created]], [1, [['etc/shared/', 1]]]);
});
