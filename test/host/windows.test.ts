/** The Windows adapters' logic, with their two system calls played by the documented states. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  findWindowsPids,
  openWindowsAgent,
  type SystemTool,
} from '../../src/host/agent-windows.ts';
import { openBackupStore } from '../../src/host/backup-store.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import { openWindowsConfigFile, type WindowsTools } from '../../src/host/windows-config-file.ts';
import { planRecovery } from '../../src/host/windows-recovery.ts';
import { agentHome } from '../../src/wazuh/agent-home.ts';
import { failsWith, newText, oldText } from './config-fixture.ts';

type Replace = WindowsTools['replaceFile'];

async function withFile(
  replaceFile: Replace,
  body: (file: ReturnType<typeof openWindowsConfigFile>, directory: string) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'pf-win-'));
  const path = join(directory, 'ossec.conf');
  await writeFile(path, oldText);
  const calm = {
    ...systemClock,
    after: (_: number, task: () => void) => systemClock.after(0, task),
  };
  const file = openWindowsConfigFile({
    path,
    maxBytes: 1024 * 1024,
    backups: openBackupStore(join(directory, 'state')),
    tools: { protect: () => Promise.resolve(), replaceFile },
    clock: calm,
    random: systemRandom,
  });
  try {
    await body(file, directory);
  } finally {
    await rm(directory, { recursive: true, maxRetries: 9 });
  }
}

const works: Replace = async (target, replacement, backup) => {
  await rename(target, backup);
  await rename(replacement, target);
  return undefined;
};
const contentOf = (directory: string): Promise<string> =>
  readFile(join(directory, 'ossec.conf'), 'utf8');
const fresh = Buffer.from(newText);

test('a replace that works leaves the new file and none of ours beside it', () =>
  withFile(works, async (file, directory) => {
    await file.replace(await file.read(), fresh);
    assert.equal(await contentOf(directory), newText);
    assert.deepEqual((await readdir(directory)).sort(), ['ossec.conf', 'state']);
  }));

const halfStates: readonly (readonly [string, Replace])[] = [
  ['1175: both keep their names', () => Promise.resolve(1175)],
  ['1176: both keep their names', () => Promise.resolve(1176)],
  [
    '1177: the old file has the backup name, the target is missing',
    async (target, _replacement, backup) => {
      await rename(target, backup);
      return 1177;
    },
  ],
  [
    '1176 without backup: the target is gone',
    async (target) => {
      await unlink(target);
      return 1176;
    },
  ],
];
for (const [what, replaceFile] of halfStates) {
  test(`half state ${what}: the old file is back, nothing is left over`, () =>
    withFile(replaceFile, async (file, directory) => {
      await assert.rejects(
        file.replace(await file.read(), fresh),
        failsWith('write_failed', /117/),
      );
      assert.equal(await contentOf(directory), oldText);
      assert.deepEqual((await readdir(directory)).sort(), ['ossec.conf', 'state']);
    }));
}

test('a kill in the middle of the call is recovered at the next start', () =>
  withFile(works, async (file, directory) => {
    await rename(join(directory, 'ossec.conf'), join(directory, `pf-${'a'.repeat(24)}.bak`));
    await writeFile(join(directory, `pf-${'a'.repeat(24)}.new`), newText);
    const notes = await file.recover();
    assert.match(notes.join(), /put back from pf-a+\.bak/);
    assert.equal(await contentOf(directory), oldText);
    assert.deepEqual((await readdir(directory)).sort(), ['ossec.conf']);
  }));

test('what an editor saved while the replace waited for it stays, also when the call itself works', async () => {
  const edited = oldText.replace('10.0.0.1', '10.9.9.9');
  let calls = 0;
  const saved: Replace = async (target, ...names) => {
    calls += 1;
    if (calls < 3) return 32;
    await writeFile(target, edited);
    return works(target, ...names);
  };
  await withFile(saved, async (file, directory) => {
    const replacing = file.replace(await file.read(), fresh);
    await assert.rejects(replacing, failsWith('changed_meanwhile'));
    assert.equal(await contentOf(directory), edited);
    assert.deepEqual((await readdir(directory)).sort(), ['ossec.conf', 'state']);
  });
});

test('a sharing violation is tried again, ten times at most', async () => {
  let calls = 0;
  const busy: Replace = (...names) => {
    calls += 1;
    return calls < 4 ? Promise.resolve(32) : works(...names);
  };
  await withFile(busy, async (file, directory) => {
    await file.replace(await file.read(), fresh);
    assert.equal(await contentOf(directory), newText);
  });
  assert.equal(calls, 4);
  calls = -1_000;
  await withFile(busy, async (file) => {
    await assert.rejects(file.replace(await file.read(), fresh), failsWith('write_failed', /32/));
  });
  assert.equal(calls, -990);
});

test('a recovery makes no file that somebody else removed: an upgrade may be at work', () =>
  withFile(works, async (file, directory) => {
    await file.replace(await file.read(), fresh); // keeps a generation to go back to
    await unlink(join(directory, 'ossec.conf'));
    assert.deepEqual(await file.recover(), []);
    await assert.rejects(file.read(), failsWith('not_found'));
    assert.deepEqual(await readdir(directory), ['state']);
  }));

test('a missing file is made anew, and one that came back is left alone', () =>
  withFile(works, async (file, directory) => {
    await unlink(join(directory, 'ossec.conf'));
    assert.match((await file.create(fresh, undefined)).notes.join(), /made anew/);
    assert.equal(await contentOf(directory), newText);
    const again = file.create(Buffer.from(oldText), undefined);
    await assert.rejects(again, failsWith('changed_meanwhile'));
    assert.equal(await contentOf(directory), newText);
    assert.deepEqual(await readdir(directory), ['ossec.conf']);
  }));

test('case 79: a file changed since it was read is left alone', () =>
  withFile(works, async (file, directory) => {
    const before = await file.read();
    await writeFile(join(directory, 'ossec.conf'), `${oldText}<!-- gpo -->`);
    await assert.rejects(file.replace(before, fresh), failsWith('changed_meanwhile'));
    assert.equal(await contentOf(directory), `${oldText}<!-- gpo -->`);
  }));

test('recovery never removes a backup that is the only copy', () => {
  const steps = planRecovery({ target: false, backups: ['a.bak', 'b.bak'], temps: ['c.new'] });
  assert.deepEqual(steps, [
    { kind: 'rename_to_target', name: 'a.bak' },
    { kind: 'remove', name: 'b.bak' },
    { kind: 'remove', name: 'c.new' },
  ]);
});

test('recovery writes the newest generation only where a leftover shows that we removed the file', () => {
  const steps = planRecovery({ target: false, backups: [], temps: ['c.new'] });
  assert.deepEqual(steps, [{ kind: 'write_newest_generation' }, { kind: 'remove', name: 'c.new' }]);
  assert.deepEqual(planRecovery({ target: false, backups: [], temps: [] }), []);
});

test('facts of the Windows agent come from its files, tasklist and netstat', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'pf-win-'));
  const windows = agentHome('windows', directory);
  const home = {
    ...windows,
    configPath: join(directory, 'ossec.conf'),
    statePath: join(directory, 'wazuh-agent.state'),
    waitPath: join(directory, '.wait'),
    versionPaths: [join(directory, 'VERSION.json')],
    upgradeLocks: [],
  };
  const tool: SystemTool = (name, parameters) => {
    if (name === 'tasklist.exe')
      return Promise.resolve('"wazuh-agent.exe","4242","Services","0","9 K"\r\n');
    const four = '  TCP    10.0.0.5:50123   10.0.0.1:1514   ESTABLISHED   4242\r\n';
    return Promise.resolve(parameters.includes('TCP') ? four : '');
  };
  await writeFile(home.configPath, oldText);
  await writeFile(home.statePath, "status='connected'\r\nlast_ack='2026-11-21 02:53:46'\r\n");
  await writeFile(join(directory, 'VERSION.json'), '{"version":"4.14.8"}');
  try {
    const facts = await openWindowsAgent(home, systemClock, tool).readFacts();
    assert.deepEqual(
      [facts.installed, facts.version, facts.running, facts.pids, facts.status, facts.waiting],
      [true, '4.14.8', true, [4242], 'connected', false],
    );
    assert.deepEqual(facts.peers, [{ address: '10.0.0.1', port: 1514, localPort: 50123 }]);
    const none: SystemTool = () => Promise.resolve('INFO: No tasks are running.\r\n');
    assert.deepEqual(await findWindowsPids('wazuh-agent.exe', none), []);
  } finally {
    await rm(directory, { recursive: true, maxRetries: 9 });
  }
});
