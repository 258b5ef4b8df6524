/**
 * A program for Windows or Wine: the real tools of the system directory, one line of JSON per step.
 * `wine.test.ts` bundles and runs it; on a Windows host it runs as it is.
 */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openAgentControl } from '../../src/host/agent-control.ts';
import { findWindowsPids, openWindowsAgent, systemTool } from '../../src/host/agent-windows.ts';
import { openBackupStore } from '../../src/host/backup-store.ts';
import { acquireLock } from '../../src/host/lock.ts';
import { systemClock as clock, systemRandom as random } from '../../src/host/system-clock.ts';
import { openTwoGenerationFile } from '../../src/host/two-generation-file.ts';
import { openWindowsConfigFile } from '../../src/host/windows-config-file.ts';
import { windowsTools as tools } from '../../src/host/windows-tools.ts';
import { silentLog as log } from '../../src/log.ts';
import { agentHome } from '../../src/wazuh/agent-home.ts';

const directory = mkdtempSync(join(tmpdir(), 'pf-live-'));
const state = join(directory, 'state');
const path = join(directory, 'ossec.conf');
const backups = openBackupStore(join(state, 'backups'));
const file = openWindowsConfigFile({ path, maxBytes: 1e6, backups, tools, clock, random });
const home = agentHome('windows', directory);
const control = openAgentControl({ home, clock, log, findPids: (name) => findWindowsPids(name) });
const seen = (): unknown => ({
  text: readFileSync(path, 'utf8'),
  names: readdirSync(directory).sort(),
});

const steps: Readonly<Record<string, () => Promise<unknown>>> = {
  replace: async () => file.replace(await file.read(), Buffer.from('new\r\n')),
  replaced: async () => seen(),
  remove: async () => unlinkSync(path),
  recover: () => file.recover(),
  recovered: async () => seen(),
  facts: () => openWindowsAgent(home, clock).readFacts(),
  missingTool: () => systemTool('no-such-tool.exe', []),
  memory: async () => {
    const memory = openTwoGenerationFile(join(state, 'memory'));
    for (const text of ['x', 'y']) await memory.write(Buffer.from(text));
    return Buffer.from((await memory.read()) ?? '').toString();
  },
  lock: async () => {
    const lock = { path: join(state, 'lock'), reason: 'lock_held', clock, random } as const;
    const held = await acquireLock(lock);
    await held.release();
    return (await acquireLock(lock)).release();
  },
  stop: () =>
    control.perform({ kind: 'run', argv: ['sc.exe', 'stop', 'NoSuch'], mayFail: true }, 20_000),
  awaitExit: () => control.perform({ kind: 'await_exit', timeoutMs: 5_000 }, 5_000),
  start: () => control.perform({ kind: 'run', argv: ['sc.exe', 'start', 'NoSuch'] }, 20_000),
};

async function live(): Promise<void> {
  mkdirSync(state);
  writeFileSync(path, 'old\r\n');
  for (const [step, work] of Object.entries(steps)) {
    const outcome = await work().then(
      (value) => ({ value }),
      (error: unknown) => ({ error: String(error) }),
    );
    console.log(JSON.stringify({ step, ...outcome }));
  }
}

void live();
