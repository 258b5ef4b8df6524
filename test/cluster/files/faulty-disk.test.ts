/** Disks that cannot read or write: nothing false is recorded, nothing is left open, the rest goes on. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseClusterJson } from '../../../src/cluster/files/cluster-json.ts';
import { noOrder } from '../../../src/cluster/files/manifest.ts';
import { encodeMerged } from '../../../src/cluster/files/merged.ts';
import { parseName } from '../../../src/cluster/files/name.ts';
import {
  gather,
  makeHome,
  opened,
  readTree,
  saveBundle,
  sealAll,
  stagingOf,
  workerOn,
  writeFiles,
} from './homes.ts';
import { ownBundle } from './own-bundle.ts';
import { rawBundle } from './raw-bundle.ts';

const listKind = { group: 'missing', itemKey: 'etc/lists/' } as const;
const keyKind = { group: 'missing', itemKey: 'etc/' } as const;
const openFiles = (): number => readdirSync('/proc/self/fd').length;

/** The output of `argv`; undefined after the test was skipped, as it does not work here. */
function may(t: TestContext, program: string, ...argv: readonly string[]): string | undefined {
  try {
    return execFileSync(program, argv, { encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch (error) {
    t.skip(`${program} does not work here: ${String(error).split('\n')[0]}`);
    return undefined;
  }
}

/** `undo` is done in the opposite order. */
function mountPoint(t: TestContext): { root: string; home: string; undo: (() => unknown)[] } {
  const root = mkdtempSync(join(tmpdir(), 'pf-disk-'));
  const undo = [(): unknown => rmSync(root, { recursive: true, force: true, maxRetries: 9 })];
  t.after(() => {
    for (const step of undo.reverse()) step();
  });
  const home = join(root, 'mnt');
  mkdirSync(home);
  return { root, home, undo };
}

/**
 * A disk that ends in the middle of `target` once it was shrunk: a loop device that was made shorter.
 * Undefined: not possible here.
 */
function shrinkingDisk(t: TestContext): { home: string; shrink(): void } | undefined {
  const { root, home, undo } = mountPoint(t);
  const image = join(root, 'image');
  execFileSync('truncate', ['-s', '16M', image]);
  if (may(t, 'mkfs.ext4', '-q', '-b', '4096', '-O', '^has_journal', image) === undefined) return;
  const device = may(t, 'losetup', '--find', '--show', image);
  if (device === undefined) return;
  undo.push(() => execFileSync('losetup', ['--detach', device]));
  if (may(t, 'mount', device, home) === undefined) return;
  undo.push(() => execFileSync('umount', ['--lazy', home]));
  return {
    home,
    shrink() {
      const drop = (): void =>
        void execFileSync('dd', [`if=${join(home, target)}`, 'iflag=nocache', 'count=0'], {
          stdio: 'pipe',
        });
      execFileSync('sync', ['-f', home]);
      const [, first = 0] = /\s0:\s+0\.\.\s+\d+:\s+(\d+)\.\./.exec(
        execFileSync('filefrag', ['-v', join(home, target)], { encoding: 'utf8' }),
      ) ?? [0, 0];
      truncateSync(image, (Number(first) + goodBlocks) * 4096);
      execFileSync('losetup', ['--set-capacity', device]);
      drop();
    },
  };
}

const target = 'etc/lists/target';
const goodBlocks = 18;

test('a file that breaks off at a bad sector is left out and not taken for whole', async (t) => {
  const disk = shrinkingDisk(t);
  if (disk === undefined) return;
  const { home } = disk;
  mkdirSync(join(home, 'queue/cluster/w'), { recursive: true });
  const content = randomBytes(200_000);
  writeFiles(home, { 'etc/lists/another': 'another', [target]: content });
  const worker = workerOn(home);
  assert.deepEqual(worker.scan().blind, []);
  const proof = makeHome(t);
  disk.shrink();

  const order = { ...noOrder, missing: [target, 'etc/lists/another'].map(parseName) };
  const seal = { order, zipBytes: 2 ** 30, isOwn: true };
  const bundle = await gather(opened(proof, (to) => sealAll(worker, { ...seal, ...to })));
  const theirs = makeHome(t);
  const receiver = workerOn(theirs);
  const asked = { bundlePath: saveBundle(theirs, bundle), stagingFolder: stagingOf(theirs) };
  const { id } = await receiver.unpack({ ...asked, origin: 'master' });
  receiver.apply({ id, extra: new Map() });
  assert.deepEqual(readTree(theirs), { 'etc/lists/another': 'another' });

  assert.deepEqual(worker.scan().blind, [target], 'what could not be read is looked at again');
  assert.deepEqual(workerOn(home).scan().blind, [target]);
});

test('a name on a worker that cannot even be asked for keeps no other file out', async (t) => {
  const home = makeHome(t, { 'etc/lists/file': 'x' });
  symlinkSync('loop', join(home, 'etc/lists/loop'));
  const worker = workerOn(home);
  for (const odd of ['etc/lists/file/x/y', 'etc/lists/loop/x/y']) {
    const bundle = ownBundle([
      { name: 'etc/client.keys', content: `keys beside ${odd}`, kind: keyKind },
      { name: odd, content: '1', kind: listKind },
    ]);
    const asked = { bundlePath: saveBundle(home, bundle), stagingFolder: stagingOf(home) };
    const { id } = await worker.unpack({ ...asked, origin: 'master' });
    const { faults, placedFiles } = worker.apply({ id, extra: new Map() });
    assert.deepEqual([faults.map(({ name }) => name), placedFiles], [[odd], 1]);
    assert.match(faults[0]?.text ?? '', new RegExp(odd));
    assert.equal(readTree(home)['etc/client.keys'], `keys beside ${odd}`);
  }
});

test('a home that is away when a bundle is to be applied costs no descriptor and no disk', async (t) => {
  const home = makeHome(t);
  const worker = workerOn(home);
  const before = openFiles();
  for (let turn = 0; turn < 3; turn++) {
    const bundle = ownBundle([{ name: 'etc/lists/a', content: 'x', kind: listKind }]);
    const asked = { bundlePath: saveBundle(home, bundle), stagingFolder: stagingOf(home) };
    const { id } = await worker.unpack({ ...asked, origin: 'master' });
    renameSync(home, `${home}-away`);
    assert.throws(() => worker.apply({ id, extra: new Map() }), /ENOENT/);
    renameSync(`${home}-away`, home);
  }
  assert.equal(openFiles(), before);
});

test('a merged file that the disk has no room for leaves nothing open behind', async (t) => {
  const { home, undo } = mountPoint(t);
  if (may(t, 'mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', home) === undefined) return;
  undo.push(() => execFileSync('umount', ['--lazy', home]));
  mkdirSync(join(home, 'queue/cluster/w'), { recursive: true });
  const extra = { 'etc/extra/': { ...itemText, extra_valid: true } };
  const { catalogue } = parseClusterJson({ files: extra });
  const worker = workerOn(home, { catalogue });
  const blob = Buffer.concat([
    ...encodeMerged([
      { base: 'a', content: randomBytes(400_000), modifiedMs: 1e12 },
      { base: 'b', content: Buffer.alloc(200_000), modifiedMs: 1e12 },
    ]),
  ]);
  const name = 'queue/cluster/w/TYPE.merged';
  const mark = { merged: true, merge_type: 'TYPE', merge_name: name };
  const entry = { mod_time: 1, cluster_item_key: 'etc/extra/', ...mark };
  const bundlePath = saveBundle(
    makeHome(t),
    rawBundle([{ name, content: blob }], { [name]: entry }),
  );
  const before = openFiles();
  for (let turn = 0; turn < 3; turn++) {
    const asked = { bundlePath, stagingFolder: stagingOf(home), origin: 'worker' } as const;
    const { id } = await worker.unpack(asked);
    const { faults } = worker.apply({ id, extra: new Map() });
    assert.match(faults[0]?.text ?? '', /ENOSPC/);
  }
  assert.equal(openFiles(), before);
});

const itemText = {
  permissions: '0o660',
  source: 'master',
  files: ['all'],
  recursive: true,
  restart: false,
  remove_subdirs_if_empty: false,
  description: 'of a test',
};

test('a file whose owner cannot be set is closed once', async (t) => {
  if (process.geteuid?.() !== 0) return t.skip('needs root');
  const home = makeHome(t, { 'etc/lists/there': 'x' });
  for (const folder of ['', 'queue', 'queue/cluster', 'queue/cluster/w']) {
    chownSync(join(home, folder), 65_534, 65_534);
  }
  const program = `
    import { workerOn, saveBundle, stagingOf } from '${import.meta.resolve('./homes.ts')}';
    import { ownBundle } from '${import.meta.resolve('./own-bundle.ts')}';
    process.setgroups([]); process.setgid(65534); process.setuid(65534);
    const home = ${JSON.stringify(home)};
    const kind = { group: 'missing', itemKey: 'etc/lists/' };
    const worker = workerOn(home, { owner: { uid: 33, gid: 33 } });
    for (const isLarge of [true, false]) {
      const bundle = ownBundle([{ name: 'etc/lists/a', content: '1', kind, isLarge }]);
      const asked = { bundlePath: saveBundle(home, bundle), stagingFolder: stagingOf(home), origin: 'master' };
      await worker.unpack(asked).then(() => console.log('taken'), (error) => console.log(error.code));
    }`;
  const argv = ['--input-type=module', '--eval', program];
  const said = execFileSync(process.execPath, argv, { encoding: 'utf8' });
  assert.deepEqual(said.trim().split('\n'), ['EPERM', 'EPERM']);
});
