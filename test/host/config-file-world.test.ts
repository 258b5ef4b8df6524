import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openBackupStore } from '../../src/host/backup-store.ts';
import { encodeJournal } from '../../src/host/write-journal.ts';
import { readAttributes, setAttributes } from './attribute-fixture.ts';
import { failsWith, newText, oldText, withConfig } from './config-fixture.ts';

const fresh = Buffer.from(newText);

/** True when `argv` works here; otherwise the test ends as skipped with that reason. */
function may(context: TestContext, argv: readonly string[]): boolean {
  const [program = '', ...parameters] = argv;
  try {
    execFileSync(program, parameters, { stdio: 'pipe' });
    return true;
  } catch (error) {
    context.skip(`${argv.join(' ')} does not work here: ${String(error).split('\n')[0]}`);
    return false;
  }
}

async function withTmpfs(
  context: TestContext,
  size: string,
  body: (mount: string) => Promise<void>,
): Promise<void> {
  const mount = await mkdtemp(join(tmpdir(), 'pf-tmpfs-'));
  const options = `size=${size},mode=755`;
  try {
    if (!may(context, ['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', mount])) return;
    try {
      await body(mount);
    } finally {
      execFileSync('umount', [mount]);
    }
  } finally {
    await rm(mount, { recursive: true, maxRetries: 9 });
    await rm(`${mount}-backups`, { recursive: true, force: true, maxRetries: 9 });
  }
}

for (const freeKiB of [0, 4, 8, 16, 36]) {
  test(`case 81: a disk with ${freeKiB} KiB free for a 50 KB file: old file kept, no temp left`, (context) =>
    withTmpfs(context, '128k', (mount) =>
      withConfig(async ({ open, path, names, directory }) => {
        const file = open({ backups: openBackupStore(`${mount}-backups`) });
        const before = await file.read();
        execFileSync('sh', ['-c', `cat /dev/zero > ${join(mount, 'full')} 2>/dev/null; true`]);
        const filled = await stat(join(mount, 'full'));
        await writeFile(join(mount, 'full'), Buffer.alloc(filled.size - freeKiB * 1024));
        await assert.rejects(
          file.replace(before, Buffer.concat([fresh, randomBytes(50_000)])),
          failsWith('write_failed', /ENOSPC/),
        );
        assert.equal(await readFile(path, 'utf8'), oldText);
        assert.deepEqual(await names(), ['ossec.conf'], directory);
      }, mount),
    ));
}

test('case 81: a read-only file system is an error, and nothing is changed', (context) =>
  withTmpfs(context, '256k', (mount) =>
    withConfig(async ({ open, path }) => {
      const file = open({ backups: openBackupStore(`${mount}-backups`) });
      const before = await file.read();
      execFileSync('mount', ['-o', 'remount,ro', mount]);
      await assert.rejects(file.replace(before, fresh), failsWith('write_failed', /EROFS/));
      execFileSync('mount', ['-o', 'remount,rw', mount]);
      assert.equal(await readFile(path, 'utf8'), oldText);
    }, mount),
  ));

for (const what of ['the file', 'the directory']) {
  test(`case 80: an immutable flag on ${what} is never cleared`, (context) =>
    withConfig(async ({ open, path, directory, names }) => {
      const target = what === 'the file' ? path : directory;
      if (!may(context, ['chattr', '+i', target])) return;
      try {
        const file = open();
        await assert.rejects(
          file.replace(await file.read(), fresh),
          failsWith('write_failed', /immutable flag is never cleared/),
        );
        assert.match(execFileSync('lsattr', ['-d', target]).toString(), /^-+i/);
        assert.equal(await readFile(path, 'utf8'), oldText);
      } finally {
        execFileSync('chattr', ['-i', target]);
      }
      assert.deepEqual(await names(), ['ossec.conf']);
    }));
}

test('case 80: ACL, SELinux label and user attributes are kept', (context) =>
  withConfig(async ({ open, path }) => {
    const wanted = {
      'user.note': 'hello\0world',
      'security.selinux': 'system_u:object_r:etc_t:s0\0',
      'system.posix_acl_access': aclFor(4321),
    };
    if (!setAttributes(context, path, wanted)) return;
    await chmod(path, 0o640);
    const before = readAttributes(path);
    const file = open();
    const done = await file.replace(await file.read(), fresh);
    assert.deepEqual(done.notes, []);
    assert.equal(before.size, 3);
    assert.deepEqual(readAttributes(path), before);
    assert.equal((await stat(path)).mode & 0o7777, 0o640);
  }));

for (const policy of ['refuse', 'warn'] as const) {
  test(`case 80: an attribute that cannot be carried: ${policy}`, () =>
    withConfig(async ({ open, path }) => {
      const attributes = {
        carry: () => Promise.resolve({ kind: 'lost', names: ['security.selinux'] } as const),
      };
      const file = open({ attributes, onLostAttributes: policy });
      const replacing = file.replace(await file.read(), fresh);
      if (policy === 'warn') {
        assert.match((await replacing).notes.join(), /security\.selinux/);
      } else {
        await assert.rejects(replacing, failsWith('write_failed', /security\.selinux/));
        assert.equal(await readFile(path, 'utf8'), oldText);
      }
    }));
}

async function bindMounted(
  context: TestContext,
  path: string,
  body: () => Promise<void>,
): Promise<void> {
  const source = `${path}.mounted`;
  await writeFile(source, oldText);
  if (!may(context, ['mount', '--bind', source, path])) return;
  try {
    await body();
  } finally {
    execFileSync('umount', [path]);
  }
}

for (const [what, bytes] of [
  ['longer', Buffer.from(newText.repeat(3))],
  ['shorter', Buffer.from('<ossec_config/>\n')],
] as const) {
  test(`case 78: a bind-mounted file is written in place, ${what} than before`, (context) =>
    withConfig(({ open, path, names, stateDirectory }) =>
      bindMounted(context, path, async () => {
        const file = open();
        const inode = (await stat(path)).ino;
        const done = await file.replace(await file.read(), bytes);
        assert.equal(done.kind, 'in_place');
        assert.deepEqual(await readFile(path), bytes);
        assert.equal((await stat(path)).ino, inode);
        assert.deepEqual([...(await names())].sort(), ['ossec.conf', 'ossec.conf.mounted']);
        await assert.rejects(stat(join(stateDirectory, 'conf.journal')), /ENOENT/);
      }),
    ));
}

test('case 78: an in-place write into a bind mount, cut at any byte is finished from the journal', (context) =>
  withConfig(({ open, path, stateDirectory }) =>
    bindMounted(context, path, async () => {
      const before = Buffer.from(oldText);
      const after = Buffer.from(newText.replace('10.0.0.2', 'wm-02.mgr.example'));
      const journal = encodeJournal({ before, after });
      const padded = Buffer.concat([before, Buffer.alloc(after.length - before.length, '\n')]);
      for (let cut = 1; cut < after.length; cut += 7) {
        await writeFile(join(stateDirectory, 'conf.journal'), journal);
        await writeFile(path, Buffer.concat([after.subarray(0, cut), padded.subarray(cut)]));
        await open().recover();
        const now = await readFile(path);
        assert.ok(now.equals(after), `cut at ${cut}`);
      }
    }),
  ));

test('case 78: a journal never overwrites bytes that somebody else wrote since', () =>
  withConfig(async ({ open, path, stateDirectory }) => {
    const journal = encodeJournal({ before: Buffer.from(oldText), after: fresh });
    await writeFile(join(stateDirectory, 'conf.journal'), journal);
    const foreign = oldText.replace('10.0.0.1', '10.9.9.9');
    await writeFile(path, foreign);
    assert.match((await open().recover()).join(), /foreign/);
    assert.equal(await readFile(path, 'utf8'), foreign);
  }));

test('case 78: an edit that looks like a torn write is kept beside, and said where', () =>
  withConfig(async ({ open, path, stateDirectory }) => {
    const after = Buffer.from(oldText.replace('10.0.0.1', '20.0.0.2'));
    const journal = encodeJournal({ before: Buffer.from(oldText), after });
    await writeFile(join(stateDirectory, 'conf.journal'), journal);
    const edited = oldText.replace('10.0.0.1', '10.0.0.2');
    await writeFile(path, edited);
    const notes = (await open().recover()).join();
    assert.equal(await readFile(path, 'utf8'), after.toString());
    const kept = join(stateDirectory, 'conf.torn');
    assert.ok(notes.includes(kept), notes);
    assert.equal(await readFile(kept, 'utf8'), edited);
    assert.equal((await stat(kept)).mode & 0o777, 0o600);
  }));

/** POSIX ACL, version 2: owner rw, user `uid` r, group r, mask r, others none. */
function aclFor(uid: number): string {
  const entries = [
    [0x01, 6, 0xffffffff],
    [0x02, 4, uid],
    [0x04, 4, 0xffffffff],
    [0x10, 4, 0xffffffff],
    [0x20, 0, 0xffffffff],
  ] as const;
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(2, 0);
  entries.forEach(([tag, permissions, id], index) => {
    bytes.writeUInt16LE(tag, 4 + index * 8);
    bytes.writeUInt16LE(permissions, 6 + index * 8);
    bytes.writeUInt32LE(id, 8 + index * 8);
  });
  return bytes.toString('latin1');
}
