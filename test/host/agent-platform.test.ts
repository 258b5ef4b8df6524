/** Each platform gets its own adapters; what differs between them is what is looked at here. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openAgent, openConfigFile, openControl } from '../../src/host/agent-platform.ts';
import type { SystemTool } from '../../src/host/agent-windows.ts';
import { openBackupStore } from '../../src/host/backup-store.ts';
import { systemClock as clock, systemRandom as random } from '../../src/host/system-clock.ts';
import type { WindowsTools } from '../../src/host/windows-config-file.ts';
import { silentLog as log } from '../../src/log.ts';
import { type AgentHome, agentHome, type Platform } from '../../src/wazuh/agent-home.ts';
import { setAttributes } from './attribute-fixture.ts';
import { failsWith, newText, oldText } from './config-fixture.ts';

const fresh = Buffer.from(newText);

async function homeOf(context: TestContext, platform: Platform): Promise<AgentHome> {
  const directory = await mkdtemp(join(tmpdir(), 'pf-platform-'));
  context.after(() => rm(directory, { recursive: true, maxRetries: 9 }));
  const configPath = join(directory, 'ossec.conf');
  await writeFile(configPath, oldText);
  return { ...agentHome(platform, directory), configPath };
}

function fileOf(home: AgentHome, tools?: WindowsTools) {
  const stateDirectory = `${home.home}-state`;
  const backups = openBackupStore(join(stateDirectory, 'backups'));
  return openConfigFile({ home, stateDirectory, backups, clock, random }, tools);
}

test('on Windows the file goes through ReplaceFileW and a protected temp file', async (context) => {
  const home = await homeOf(context, 'windows');
  context.after(() => rm(`${home.home}-state`, { recursive: true, maxRetries: 9 }));
  const calls: string[] = [];
  const tools: WindowsTools = {
    protect: async () => void calls.push('protect'),
    replaceFile: async (target, replacement, backup) => {
      calls.push('ReplaceFileW');
      await rename(target, backup);
      await rename(replacement, target);
      return undefined;
    },
  };
  const file = fileOf(home, tools);
  await file.replace(await file.read(), fresh);
  assert.deepEqual(calls, ['protect', 'ReplaceFileW']);
  assert.equal(await readFile(home.configPath, 'utf8'), newText);
});

test('without tools of its own Windows uses icacls and PowerShell: elsewhere nothing is written', async (context) => {
  const home = await homeOf(context, 'windows');
  const file = fileOf(home);
  const replacing = file.replace(await file.read(), fresh);
  await assert.rejects(replacing, failsWith('write_failed', /icacls/));
  assert.equal(await readFile(home.configPath, 'utf8'), oldText);
});

test('on Linux attributes are looked at and kept; what cannot be kept is refused', async (context) => {
  const home = await homeOf(context, 'linux');
  context.after(() => rm(`${home.home}-state`, { recursive: true, maxRetries: 9 }));
  if (!setAttributes(context, home.configPath, { 'user.note': 'kept' })) return;
  const file = fileOf(home);
  const { kind, notes } = await file.replace(await file.read(), fresh);
  assert.deepEqual([kind, notes], ['renamed', []]);
});

test('on macOS nobody can look at attributes, and the result says so', async (context) => {
  const home = await homeOf(context, 'macos');
  context.after(() => rm(`${home.home}-state`, { recursive: true, maxRetries: 9 }));
  const file = fileOf(home);
  const { notes } = await file.replace(await file.read(), fresh);
  assert.match(notes.join(), /attributes were not looked at/);
});

test('on Windows processes come from tasklist, for the facts and for the control', async (context) => {
  const home = await homeOf(context, 'windows');
  const tool: SystemTool = (name) =>
    Promise.resolve(
      name === 'tasklist.exe' ? '"wazuh-agent.exe","4242","Services","0","9 K"\r\n' : '',
    );
  assert.deepEqual((await openAgent(home, clock, { tool }).readFacts()).pids, [4242]);
  assert.equal(await openControl({ home, clock, log }, tool).isRunning('agentd'), true);
  const gone: SystemTool = () => Promise.resolve('INFO: No tasks are running.\r\n');
  const control = openControl({ home, clock, log }, gone);
  await control.perform({ kind: 'await_exit', timeoutMs: 1_000 }, 1_000);
  const unix = agentHome('linux', home.home);
  assert.equal(await openControl({ home: unix, clock, log }, tool).isRunning('agentd'), false);
});

test('on Windows STOPPED is not believed until the process is gone', async (context) => {
  const home = await homeOf(context, 'windows');
  let looks = 0;
  const tool: SystemTool = () => {
    looks += 1;
    const line = '"wazuh-agent.exe","4242","Services","0","9 K"\r\n';
    return Promise.resolve(looks < 4 ? line : 'INFO: No tasks are running.\r\n');
  };
  const control = openControl({ home, clock, log }, tool);
  await control.perform({ kind: 'await_exit', timeoutMs: 5_000 }, 1_000);
  assert.ok(looks >= 4, `${looks} looks`);
});
