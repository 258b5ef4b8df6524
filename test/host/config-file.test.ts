import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFile,
  chmod,
  chown,
  link,
  mkdir,
  readFile,
  rename,
  stat,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { FileOwner } from '../../src/applier/config-file.ts';
import { openBackupStore } from '../../src/host/backup-store.ts';
import { failsWith, newText, oldText, withConfig } from './config-fixture.ts';

const fresh = Buffer.from(newText);

test('a replace installs exactly the new bytes and leaves no other name', () =>
  withConfig(async ({ open, path, names }) => {
    const file = open();
    const done = await file.replace(await file.read(), fresh);
    assert.deepEqual(done, { kind: 'renamed', notes: [] });
    assert.equal(await readFile(path, 'utf8'), newText);
    assert.deepEqual(await names(), ['ossec.conf']);
  }));

for (const mode of [0o640, 0o644, 0o660, 0o600]) {
  test(
    `case 80: mode ${mode.toString(8)} and a foreign owner stay`,
    { skip: isRoot() ? false : 'only root may give a file away' },
    () =>
      withConfig(async ({ open, path }) => {
        await chown(path, 4321, 8765);
        await chmod(path, mode);
        const file = open();
        await file.replace(await file.read(), fresh);
        const { uid, gid, mode: after } = await stat(path);
        assert.deepEqual([uid, gid, after & 0o7777], [4321, 8765, mode]);
      }),
  );
}

test('case 78: a symbolic link is refused, and its target untouched', () =>
  withConfig(async ({ open, path, directory }) => {
    await rename(path, join(directory, 'real.conf'));
    await symlink('real.conf', path);
    await assert.rejects(open().read(), failsWith('not_regular', /symbolic link/));
    assert.equal(await readFile(join(directory, 'real.conf'), 'utf8'), oldText);
  }));

test('case 78: a symbolic link in the path is refused', () =>
  withConfig(async ({ open, directory, path }) => {
    await rename(directory, `${directory}-real`);
    await symlink(`${directory}-real`, directory);
    await assert.rejects(open().read(), failsWith('not_regular', /symlink/));
    assert.equal(await readFile(path, 'utf8'), oldText);
  }));

test('case 78: a hard-linked file is refused', () =>
  withConfig(async ({ open, path, directory }) => {
    await link(path, join(directory, 'second-name'));
    await assert.rejects(open().read(), failsWith('not_regular', /2 names/));
  }));

test('case 78: a directory, a FIFO and a missing file are refused at once', () =>
  withConfig(async ({ open, path }) => {
    await unlink(path);
    await assert.rejects(open().read(), failsWith('not_found'));
    execFileSync('mkfifo', [path]);
    await assert.rejects(open().read(), failsWith('not_regular', /not a regular file/));
    await unlink(path);
    await mkdir(path);
    await assert.rejects(open().read(), failsWith('not_regular', /not a regular file/));
  }));

test('a file larger than the limit is refused before it is read', () =>
  withConfig(async ({ open }) => {
    const small = open({ maxBytes: 16 });
    await assert.rejects(small.read(), failsWith('not_regular', /more than 16/));
  }));

const edits: readonly (readonly [string, (path: string) => Promise<void>])[] = [
  ['appended to', (path) => appendFile(path, '<!-- puppet -->\n')],
  ['replaced by another file of equal bytes', replaceByTwin],
  ['changed in mode', (path) => chmod(path, 0o600)],
];
for (const [what, edit] of edits) {
  test(`case 79: a file ${what} between read and replace is left alone`, () =>
    withConfig(async ({ open, path, names }) => {
      const file = open();
      const before = await file.read();
      await edit(path);
      const foreign = await readFile(path, 'utf8');
      await assert.rejects(file.replace(before, fresh), failsWith('changed_meanwhile'));
      assert.equal(await readFile(path, 'utf8'), foreign);
      assert.deepEqual(await names(), ['ossec.conf']);
    }));

  test(`case 79: a file ${what} just before the rename is left alone`, () =>
    withConfig(async ({ open, path, names }) => {
      const file = open({
        wrap: (folder) => ({
          ...folder,
          async commit(temp, before) {
            await edit(path);
            return folder.commit(temp, before);
          },
        }),
      });
      await assert.rejects(file.replace(await file.read(), fresh), failsWith('changed_meanwhile'));
      assert.notEqual(await readFile(path, 'utf8'), newText);
      assert.deepEqual(await names(), ['ossec.conf']);
    }));
}

test('three backup generations are kept, newest first, and the original until it is put back', () =>
  withConfig(async ({ open, path, stateDirectory }) => {
    const file = open();
    for (const number of [1, 2, 3, 4, 5]) {
      await file.replace(await file.read(), Buffer.from(`${newText}<!-- ${number} -->`));
    }
    const backups = openBackupStore(join(stateDirectory, 'backups'));
    const text = async (generation: number): Promise<string> =>
      Buffer.from(await backups.read(generation)).toString();
    assert.equal(await text(1), `${newText}<!-- 4 -->`);
    assert.equal(await text(3), `${newText}<!-- 2 -->`);
    await assert.rejects(backups.read(4), failsWith('not_found'));
    assert.equal(Buffer.from((await backups.readOriginal()) ?? '').toString(), oldText);
    const mode = (await stat(join(stateDirectory, 'backups', 'original.conf'))).mode & 0o777;
    assert.equal(mode, 0o600);
    await backups.forgetOriginal();
    await backups.forgetOriginal(); // a restore that was killed does it twice
    assert.equal(await backups.readOriginal(), undefined);
    const theirs = `${oldText}<!-- of the operator -->`;
    await writeFile(path, theirs);
    await file.replace(await file.read(), fresh);
    assert.equal(Buffer.from((await backups.readOriginal()) ?? '').toString(), theirs);
  }));

test('an unwritable state directory means no write at all: without backup nothing is replaced', () =>
  withConfig(async ({ open, path, stateDirectory }) => {
    await writeFile(join(stateDirectory, 'backups'), 'a file where a directory should be');
    const file = open();
    await assert.rejects(file.replace(await file.read(), fresh), failsWith('write_failed'));
    assert.equal(await readFile(path, 'utf8'), oldText);
  }));

test('recover sweeps our own old temp files and nothing else', () =>
  withConfig(async ({ open, directory, names }) => {
    const longAgo = new Date(Date.now() - 2 * 3_600_000);
    const orphan = `.ossec.conf.pf-${'a'.repeat(24)}`;
    const young = `.ossec.conf.pf-${'b'.repeat(24)}`;
    const linked = `.ossec.conf.pf-${'c'.repeat(24)}`;
    const alike = `.ossec.conf.pf-${'d'.repeat(23)}`;
    for (const name of [orphan, young, linked, alike]) await writeFile(join(directory, name), 'x');
    await link(join(directory, linked), join(directory, 'other'));
    for (const name of [orphan, linked, alike]) {
      await utimes(join(directory, name), longAgo, longAgo);
    }
    const notes = await open().recover();
    assert.equal(notes.length, 1);
    assert.deepEqual(
      [...(await names())].sort(),
      [young, linked, alike, 'ossec.conf', 'other'].sort(),
    );
  }));

test('a missing file is made anew with owner, group and mode as recorded, and nothing beside it', () =>
  withConfig(async ({ open, path, names }) => {
    await unlink(path);
    const owner = isRoot() ? { uid: 4321, gid: 8765, mode: 0o640 } : ownOwner();
    const done = await open().create(fresh, owner);
    assert.match(done.notes.join(), /made anew/);
    const { uid, gid, mode } = await stat(path);
    assert.deepEqual({ uid, gid, mode: mode & 0o7777 }, owner);
    assert.equal(await readFile(path, 'utf8'), newText);
    assert.deepEqual(await names(), ['ossec.conf']);
  }));

test(
  'a missing file without a record gets root, the group of its directory, 0660',
  { skip: isRoot() ? false : 'only root may give a file away' },
  () =>
    withConfig(async ({ open, path, directory }) => {
      await unlink(path);
      await chown(directory, 4321, 8765);
      await open().create(fresh, undefined);
      const { uid, gid, mode } = await stat(path);
      assert.deepEqual([uid, gid, mode & 0o7777], [0, 8765, 0o660]);
    }),
);

for (const [what, plant] of [
  ['a file', (path: string) => writeFile(path, oldText)],
  ['a dangling symlink', (path: string) => symlink('/nonexistent/outside', path)],
] as const) {
  test(`${what} that came back meanwhile is left alone by the one who makes it anew`, () =>
    withConfig(async ({ open, path, names }) => {
      await unlink(path);
      await plant(path);
      await assert.rejects(open().create(fresh, ownOwner()), failsWith('changed_meanwhile'));
      assert.deepEqual(await names(), ['ossec.conf']);
    }));
}

function ownOwner(): FileOwner {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, mode: 0o640 };
}

async function replaceByTwin(path: string): Promise<void> {
  await writeFile(`${path}.twin`, await readFile(path));
  await rename(`${path}.twin`, path);
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}
