/** Received files on the disk: contained, atomic, right mode, folders cleaned (5.6, 5.7). */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { faultSummary } from '../../../src/cluster/files/apply.ts';
import { parseClusterJson } from '../../../src/cluster/files/cluster-json.ts';
import type { ApplyReport } from '../../../src/cluster/files/jobs.ts';
import { noOrder } from '../../../src/cluster/files/manifest.ts';
import type { Origin } from '../../../src/cluster/files/place.ts';
import type { FilesWorker } from '../../../src/host/cluster-files-worker.ts';
import {
  gather,
  makeHome,
  opened,
  packAll,
  readTree,
  saveBundle,
  sealAll,
  stagingOf,
  type Tree,
  workerOn,
} from './homes.ts';
import { ownBundle } from './own-bundle.ts';
import { rawBundle } from './raw-bundle.ts';

type Groups = {
  readonly missing?: Tree;
  readonly shared?: Tree;
  readonly extra?: readonly string[];
};

function entryOf(name: string, content = ''): Record<string, unknown> {
  const key =
    /^(?:etc\/(?:shared|rules|decoders|lists)|var\/multigroups)\//.exec(name)?.[0] ?? 'etc/';
  const hash = createHash('blake2b512').update(content).digest('hex');
  return { mod_time: 1.5, cluster_item_key: key, merged: false, hash };
}

function entriesOf(files: Tree): Record<string, unknown> {
  return Object.fromEntries(Object.keys(files).map((name) => [name, entryOf(name)]));
}

async function receive(
  worker: FilesWorker,
  home: string,
  { missing = {}, shared = {}, extra = [] }: Groups,
  origin: Origin = 'master',
): Promise<ApplyReport> {
  const members = Object.entries({ ...missing, ...shared }).map(([name, content]) => ({
    name,
    content,
  }));
  const groups = {
    missing: entriesOf(missing),
    shared: entriesOf(shared),
    extra: Object.fromEntries(extra.map((name) => [name, entryOf(name)])),
  };
  const metadata = origin === 'master' ? groups : groups.missing;
  const bundlePath = saveBundle(home, rawBundle(members, metadata));
  const unpacked = await worker.unpack({ bundlePath, stagingFolder: stagingOf(home), origin });
  return worker.apply({ id: unpacked.id, extra: unpacked.extra });
}

test('files are created, replaced and removed, with the modes of their item kinds', async (t) => {
  const home = makeHome(t, {
    'etc/client.keys': 'old',
    'etc/lists/gone': 'x',
    'etc/lists/stays': 's',
  });
  const report = await receive(workerOn(home), home, {
    missing: { 'etc/shared/new/deep/agent.conf': 'n', 'etc/rules/r.xml': '<group/>' },
    shared: { 'etc/client.keys': 'new' },
    extra: ['etc/lists/gone', 'etc/lists/never'],
  });
  assert.deepEqual(report.faults, []);
  assert.deepEqual(report.removed, ['etc/lists/gone', 'etc/lists/never']);
  assert.deepEqual(readTree(home), {
    'etc/client.keys': 'new',
    'etc/lists/stays': 's',
    'etc/rules/r.xml': '<group/>',
    'etc/shared/new/deep/agent.conf': 'n',
  });
  const modeOf = (name: string): number => statSync(join(home, name)).mode & 0o7777;
  assert.equal(modeOf('etc/client.keys'), 0o640);
  assert.equal(modeOf('etc/rules/r.xml'), 0o660);
  assert.equal(modeOf('etc/shared/new'), 0o770);
  assert.equal(modeOf('etc/shared/new/deep'), 0o770);
});

test('symlink-swap: nothing is written or removed through a symlinked folder', async (t) => {
  const outside = makeHome(t, { 'victim/agent.conf': 'untouched', 'victim/old': 'untouched' });
  const home = makeHome(t, { 'etc/shared/fine/a': 'a' });
  symlinkSync(join(outside, 'victim'), join(home, 'etc/shared/evil'));
  const report = await receive(workerOn(home), home, {
    missing: {
      'etc/shared/evil/agent.conf': 'e',
      'etc/shared/evil/new/x': 'e',
      'etc/shared/fine/b': 'b',
    },
    extra: ['etc/shared/evil/old'],
  });
  assert.equal(report.faults.length, 3);
  assert.match(report.faults[0]?.text ?? '', /is a symlink or not a folder/);
  assert.equal(
    faultSummary(report.faults),
    'Found errors: 0 overwriting, 2 creating and 1 removing',
  );
  assert.equal(report.placedFiles, 1);
  assert.equal(readFileSync(join(home, 'etc/shared/fine/b'), 'utf8'), 'b');
  assert.deepEqual(readdirSync(join(outside, 'victim')).sort(), ['agent.conf', 'old']);
  assert.equal(readFileSync(join(outside, 'victim/agent.conf'), 'utf8'), 'untouched');
});

test('symlink-swap: a symlink or a hard link in the place of the file is replaced, not followed', async (t) => {
  const home = makeHome(t, {
    'etc/ossec.conf': 'mine',
    'etc/shared/g/x': 'x',
    'etc/rules/linked': 'linked',
  });
  symlinkSync('../../ossec.conf', join(home, 'etc/shared/g/agent.conf'));
  linkSync(join(home, 'etc/rules/linked'), join(home, 'etc/rules/r.xml'));
  await receive(workerOn(home), home, {
    shared: { 'etc/shared/g/agent.conf': 'new', 'etc/rules/r.xml': 'new' },
  });
  assert.equal(readFileSync(join(home, 'etc/ossec.conf'), 'utf8'), 'mine');
  assert.equal(readFileSync(join(home, 'etc/rules/linked'), 'utf8'), 'linked');
  assert.equal(lstatSync(join(home, 'etc/shared/g/agent.conf')).isFile(), true);
});

test('symlink-swap: a folder swapped while files are placed never lets one out of the home', async (t) => {
  const outside = makeHome(t, { 'victim/x': 'untouched' });
  const home = makeHome(t, { 'etc/shared/g/x': 'x' });
  const worker = workerOn(home);
  for (let turn = 0; turn < 40; turn++) {
    const members = { [`etc/shared/g/${turn}`]: 'a' };
    const swapped = turn % 2 === 0;
    if (swapped) {
      renameSync(join(home, 'etc/shared/g'), join(home, 'etc/shared/away'));
      symlinkSync(join(outside, 'victim'), join(home, 'etc/shared/g'));
    }
    const report = await receive(worker, home, { missing: members });
    assert.equal(report.faults.length, swapped ? 1 : 0);
    if (swapped) {
      rmSync(join(home, 'etc/shared/g'));
      renameSync(join(home, 'etc/shared/away'), join(home, 'etc/shared/g'));
    }
  }
  assert.deepEqual(readdirSync(join(outside, 'victim')), ['x']);
});

test('one file that cannot be placed does not stop the others, and its old content stays', async (t) => {
  const home = makeHome(t, { 'etc/rules/a': 'old', 'etc/lists/file': 'not a folder' });
  mkdirSync(join(home, 'etc/rules/b'));
  const report = await receive(workerOn(home), home, {
    missing: { 'etc/lists/file/x': 'x', 'etc/rules/b': 'a folder is there', 'etc/rules/c': 'c' },
    shared: { 'etc/rules/a': 'new' },
  });
  assert.deepEqual(
    report.faults.map(({ name }) => name),
    ['etc/lists/file/x', 'etc/rules/b'],
  );
  assert.deepEqual(readTree(home), {
    'etc/lists/file': 'not a folder',
    'etc/rules/a': 'new',
    'etc/rules/c': 'c',
  });
});

test('an order without its member, and a member without an order, place nothing', async (t) => {
  const home = makeHome(t);
  const worker = workerOn(home);
  const metadata = {
    missing: { 'etc/rules/promised': entryOf('etc/rules/promised') },
    extra: {},
    shared: {},
  };
  const bundlePath = saveBundle(
    home,
    rawBundle([{ name: 'etc/rules/stray', content: 's' }], metadata),
  );
  const { id, extra } = await worker.unpack({
    bundlePath,
    stagingFolder: stagingOf(home),
    origin: 'master',
  });
  const report = worker.apply({ id, extra });
  assert.match(report.faults[0]?.text ?? '', /the bundle does not hold it/);
  assert.deepEqual(readTree(home), {});
});

test('only deletions that the bundle named and the guard let through happen', async (t) => {
  const home = makeHome(t, { 'etc/rules/a': 'a', 'etc/rules/b': 'b', 'etc/rules/c': 'c' });
  const worker = workerOn(home);
  const extra = { 'etc/rules/a': entryOf('etc/rules/a'), 'etc/rules/b': entryOf('etc/rules/b') };
  const bundlePath = saveBundle(home, rawBundle([], { missing: {}, extra, shared: {} }));
  const { id, extra: named } = await worker.unpack({
    bundlePath,
    stagingFolder: stagingOf(home),
    origin: 'master',
  });
  const allowed = new Map([...named].filter(([name]) => name === 'etc/rules/a'));
  assert.deepEqual(worker.apply({ id, extra: allowed }).removed, ['etc/rules/a']);
  assert.deepEqual(Object.keys(readTree(home)), ['etc/rules/b', 'etc/rules/c']);
});

test('folders that a removal left empty go where the item says so; the item folder never', async (t) => {
  const home = makeHome(t, {
    'etc/shared/g/a': 'a',
    'etc/shared/g/ar.conf': 'excluded',
    'etc/shared/h/a': 'a',
    'etc/shared/h/keep': 'k',
    'etc/rules/s/a': 'a',
    'var/multigroups/m/merged.mg': 'm',
    'etc/shared/top': 't',
  });
  await receive(workerOn(home), home, {
    extra: ['etc/shared/g/a', 'etc/shared/h/a', 'etc/rules/s/a', 'var/multigroups/m/merged.mg'],
  });
  assert.deepEqual(readdirSync(join(home, 'etc/shared')).sort(), ['h', 'top']);
  assert.deepEqual(readdirSync(join(home, 'etc/rules')), ['s']);
  assert.deepEqual(readdirSync(join(home, 'var/multigroups')), []);
  await receive(workerOn(home), home, {
    extra: ['etc/shared/h/a', 'etc/shared/h/keep', 'etc/shared/top'],
  });
  assert.deepEqual(readdirSync(join(home, 'etc/shared')), []);
});

test('CVE-2026-74043-files: a worker places nothing on its master, called directly', async (t) => {
  const home = makeHome(t, { 'etc/client.keys': 'mine' });
  const report = await receive(
    workerOn(home),
    home,
    { missing: { 'etc/client.keys': 'evil', 'etc/rules/r': 'evil', 'etc/shared/a/b': 'evil' } },
    'worker',
  );
  assert.deepEqual(
    report.faults.map(({ text }) => text.replace(/^.*?: /, '')),
    [
      'Error 3007 - a worker does not send the keys of agents',
      'Error 3022 - File not allowed to be synced from worker: "etc/rules/r"',
      'Error 3022 - File not allowed to be synced from worker: "etc/shared/a/b"',
    ],
  );
  assert.deepEqual(readTree(home), { 'etc/client.keys': 'mine' });
});

test('a worker adds files of items that our configuration marks extra_valid, and of no others', async (t) => {
  const home = makeHome(t);
  const { catalogue } = parseClusterJson({ files: { 'etc/lists/': { extra_valid: true } } });
  const report = await receive(
    workerOn(home, { catalogue }),
    home,
    { missing: { 'etc/lists/a': 'a', 'etc/rules/a': 'a' } },
    'worker',
  );
  assert.deepEqual([report.placedFiles, report.faults.length], [1, 1]);
  assert.deepEqual(readTree(home), { 'etc/lists/a': 'a' });
});

test('CVE-2026-74043-replace: a worker adds to a marked item and never replaces', async (t) => {
  const home = makeHome(t, { 'etc/lists/a': 'mine' });
  const { catalogue } = parseClusterJson({ files: { 'etc/lists/': { extra_valid: true } } });
  const worker = workerOn(home, { catalogue });
  const report = await receive(worker, home, { missing: { 'etc/lists/a': 'theirs' } }, 'worker');
  assert.match(report.faults[0]?.text ?? '', /3022 - a worker adds and never replaces/);
  assert.deepEqual(readTree(home), { 'etc/lists/a': 'mine' });
});

test('a stock master marks *.merged as merged; it is placed like any file', async (t) => {
  const home = makeHome(t);
  const worker = workerOn(home);
  const name = 'etc/shared/x/foo.merged';
  const entry = {
    ...entryOf(name),
    merged: true,
    merge_type: 'TYPE',
    merge_name: '/var/ossec/etc/shared/x/foo.merged',
  };
  const bundlePath = saveBundle(
    home,
    rawBundle([{ name, content: '7 a b' }], { missing: { [name]: entry }, extra: {}, shared: {} }),
  );
  const { id, extra } = await worker.unpack({
    bundlePath,
    stagingFolder: stagingOf(home),
    origin: 'master',
  });
  assert.deepEqual(worker.apply({ id, extra }).faults, []);
  assert.deepEqual(readTree(home), { [name]: '7 a b' });
});

test('scan, bundle, place, scan: two homes end up with one manifest, odd names included', async (t) => {
  const segment = fc
    .oneof(
      fc.stringMatching(/^[a-z .'"|@\\\n%~-]{1,12}$/),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
      fc.constantFrom('x.merged', '.hidden', 'a b', '|@@', 'files_metadata.json', '…', '__proto__'),
    )
    .filter((text) => text.isWellFormed() && !/[/\0]/.test(text) && !/^\.{1,2}$/.test(text));
  const folder = fc.constantFrom('etc/shared', 'etc/rules', 'etc/decoders', 'etc/lists');
  const path = fc
    .tuple(folder, fc.array(segment, { minLength: 1, maxLength: 3 }))
    .map(([root, parts]) => `${root}/${parts.join('/')}`);
  const content = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.string(), fc.constant('|@@//@@|'));
  const trees = fc.dictionary(path, content, { maxKeys: 25 }).filter((tree) => {
    const names = Object.keys(tree);
    return !names.some((name) => names.some((other) => other.startsWith(`${name}/`)));
  });
  await fc.assert(
    fc.asyncProperty(trees, trees, async (masterTree, workerTree) => {
      const [master, worker] = [makeHome(t, masterTree), makeHome(t, workerTree)];
      await synchronise(master, worker);
      assert.deepEqual(await differences(master, worker), noOrder);
      assert.deepEqual(readSynchronised(worker), readSynchronised(master));
      rmSync(master, { recursive: true, maxRetries: 9 });
      rmSync(worker, { recursive: true, maxRetries: 9 });
    }),
    { numRuns: 25, seed: 11 },
  );
});

/** One whole cycle as the roles run it, without a connection and with every deletion allowed. */
async function synchronise(master: string, worker: string): Promise<void> {
  const [ours, theirs] = [workerOn(master), workerOn(worker)];
  ours.scan();
  theirs.scan();
  const manifest = saveBundle(master, packAll(theirs, theirs.startManifest()));
  const { order } = await ours.check(manifest);
  const isOwn = order.missing.length % 2 === 0;
  const bundle = await gather(
    opened(master, (target) => sealAll(ours, { order, zipBytes: 2 ** 30, isOwn, ...target })),
  );
  const bundlePath = saveBundle(worker, bundle);
  const unpacked = await theirs.unpack({
    bundlePath,
    stagingFolder: stagingOf(worker),
    origin: 'master',
  });
  assert.deepEqual(theirs.apply({ id: unpacked.id, extra: unpacked.extra }).faults, []);
}

/** What a fresh scan of each would still have to change on the other. */
async function differences(master: string, worker: string): Promise<unknown> {
  const [ours, theirs] = [workerOn(master), workerOn(worker)];
  assert.deepEqual([ours.scan().blind, theirs.scan().blind], [[], []]);
  const { order } = await ours.check(saveBundle(master, packAll(theirs, theirs.startManifest())));
  return order;
}

function readSynchronised(home: string): Record<string, string> {
  const excluded = /(?:~|\.tmp|\.lock|\.swp)$/;
  return Object.fromEntries(
    Object.entries(readTree(home)).filter(([name]) => !excluded.test(name)),
  );
}

const forms = ['stock', 'own'] as const;

interface Around {
  readonly form: (typeof forms)[number];
  readonly names: readonly string[];
  /** Names without an order. */
  readonly stray?: readonly string[];
  readonly worker?: FilesWorker;
}

/** Unpacks files of a folder that is not there, lets `meanwhile` happen, places them. */
async function receiveAround(
  home: string,
  { form, names, stray = [], worker = workerOn(home) }: Around,
  meanwhile: () => void,
): Promise<ApplyReport> {
  const bundle = form === 'own' ? ownOf(names, stray) : stockOf(names, stray);
  const ask = { bundlePath: saveBundle(home, bundle), stagingFolder: stagingOf(home) };
  const { id, extra } = await worker.unpack({ ...ask, origin: 'master' });
  meanwhile();
  return worker.apply({ id, extra });
}

function stockOf(names: readonly string[], stray: readonly string[]): Buffer {
  const members = [...names, ...stray].map((name) => ({ name, content: `of ${name}` }));
  const missing = entriesOf(Object.fromEntries(names.map((name) => [name, ''])));
  return rawBundle(members, { missing, shared: {}, extra: {} });
}

/** The second file comes in parts. */
function ownOf(names: readonly string[], stray: readonly string[]): Buffer {
  const kind = { group: 'missing', itemKey: 'etc/shared/' } as const;
  const told = names.map((name, index) => ({ name, kind, isLarge: index === 1 }));
  const members = [...told, ...stray.map((name) => ({ name }))];
  return ownBundle(members.map((member) => ({ ...member, content: `of ${member.name}` })));
}

const newFiles = ['etc/shared/new/a', 'etc/shared/new/b', 'etc/shared/new/in/c'];

for (const form of forms) {
  test(`a folder that was not there appears with all its files at once, and is not hashed again, ${form} form`, async (t) => {
    const home = makeHome(t);
    mkdirSync(join(home, 'etc/shared'), { recursive: true });
    const inodes: number[] = [];
    const staged = (): void => {
      assert.deepEqual(readdirSync(join(home, 'etc/shared')), []);
      const unpacked = readdirSync(stagingOf(home));
      assert.equal(statSync(join(stagingOf(home), unpacked[0] ?? '')).mode & 0o777, 0o700);
      const folder = join(stagingOf(home), unpacked[0] ?? '', 'member-1');
      // A stamp is remembered once it cannot be that of a later change in the same tick.
      const below = readdirSync(stagingOf(home), { recursive: true, encoding: 'utf8' });
      const changes = below.map((name) => statSync(join(stagingOf(home), name)).ctimeMs);
      while (Date.now() - Math.max(...changes) < 60);
      inodes.push(...[folder, join(folder, 'a')].map((path) => statSync(path).ino));
    };
    const worker = workerOn(home);
    worker.scan();
    const report = await receiveAround(home, { form, names: newFiles, worker }, staged);
    assert.deepEqual([report.faults, report.placedFiles], [[], newFiles.length]);
    const placed = ['etc/shared/new', 'etc/shared/new/a'].map((name) => statSync(join(home, name)));
    assert.deepEqual(
      placed.map(({ mode, ino }) => [mode & 0o7777, ino]),
      [
        [0o770, inodes[0]],
        [0o660, inodes[1]],
      ],
    );
    assert.equal(readFileSync(join(home, 'etc/shared/new/in/c'), 'utf8'), 'of etc/shared/new/in/c');
    assert.deepEqual(readdirSync(stagingOf(home)), []);
    assert.equal(worker.scan().hashedFiles, 0);
  });

  test(`a folder that appeared meanwhile stays what it is, and the files go into it, ${form} form`, async (t) => {
    const home = makeHome(t);
    let inode = 0;
    const report = await receiveAround(home, { form, names: newFiles }, () => {
      mkdirSync(join(home, 'etc/shared/new'), { recursive: true });
      inode = statSync(join(home, 'etc/shared/new')).ino;
    });
    assert.deepEqual([report.faults, report.placedFiles], [[], 3]);
    assert.equal(statSync(join(home, 'etc/shared/new')).ino, inode);
    assert.deepEqual(Object.keys(readTree(home)), newFiles);
  });

  test(`symlink-swap: a symlink in the place of a folder that was not there takes nothing, ${form} form`, async (t) => {
    const outside = makeHome(t, { 'victim/x': 'untouched' });
    const home = makeHome(t, { 'etc/shared/old/x': 'x' });
    const report = await receiveAround(home, { form, names: newFiles }, () =>
      symlinkSync(join(outside, 'victim'), join(home, 'etc/shared/new')),
    );
    assert.deepEqual([report.faults.length, report.placedFiles], [3, 0]);
    assert.match(report.faults[0]?.text ?? '', /is a symlink or not a folder/);
    assert.deepEqual(readdirSync(join(outside, 'victim')), ['x']);
  });

  test(`one file of a new folder that no item takes, or without an order, stays out of it, ${form} form`, async (t) => {
    const home = makeHome(t);
    const names = ['etc/shared/new/a', 'etc/shared/new/b.tmp'];
    const stray = ['etc/shared/new/stray'];
    const report = await receiveAround(home, { form, names, stray }, () => undefined);
    assert.deepEqual(
      report.faults.map(({ name }) => name),
      ['etc/shared/new/b.tmp'],
    );
    assert.deepEqual(Object.keys(readTree(home)), ['etc/shared/new/a']);
  });

  test(`the owner given is the owner of files and of new folders, ${form} form`, async (t) => {
    const home = makeHome(t);
    const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const owner = self.uid === 0 ? { uid: 4321, gid: 4322 } : self; // only root can give away
    const worker = workerOn(home, { owner });
    await receiveAround(home, { form, names: newFiles, worker }, () => undefined);
    for (const name of ['etc/shared/new', ...newFiles]) {
      const { uid, gid } = statSync(join(home, name));
      assert.deepEqual({ uid, gid }, owner);
    }
  });
}
