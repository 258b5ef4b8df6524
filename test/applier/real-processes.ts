/** The applier's world over real files and processes: a stand-in agent's home, our state beside it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { encodeMemory, newMemory } from '../../src/applier/memory.ts';
import { type ApplierSettings, defaultSettings } from '../../src/applier/settings.ts';
import { trustRoot } from '../../src/applier/verify-again.ts';
import type { ApplierWorld } from '../../src/applier/world.ts';
import { sha256Tag } from '../../src/bytes.ts';
import { openAgentControl } from '../../src/host/agent-control.ts';
import { openUnixAgent } from '../../src/host/agent-files.ts';
import { openAgentLog } from '../../src/host/agent-log-file.ts';
import { openPreflight } from '../../src/host/agent-preflight.ts';
import { openBackupStore } from '../../src/host/backup-store.ts';
import { gnuAttributes } from '../../src/host/file-attributes.ts';
import { acquireLock } from '../../src/host/lock.ts';
import { readBounded } from '../../src/host/read-bounded.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import { openTwoGenerationFile } from '../../src/host/two-generation-file.ts';
import { openUnixConfigFile } from '../../src/host/unix-config-file.ts';
import type { ManagerList } from '../../src/list/model.ts';
import { renderRoot } from '../../src/list/parse-root.ts';
import { silentLog } from '../../src/log.ts';
import { agentHome } from '../../src/wazuh/agent-home.ts';
import type { StandInHome } from '../fakes/agent-home.ts';
import { aList, aManager, aRoot, signedList, signedRoot } from '../list/documents.ts';

/** A list of managers at these loopback addresses, made just now. */
export function listOf(
  addresses: readonly string[],
  changes: Partial<ManagerList> = {},
): Uint8Array {
  const managers = addresses.map((address, index) => aManager(`wm-0${index + 1}`, { address }));
  return signedList(aList({ managers, issuedAtMs: Date.now() - 60_000, ...changes }));
}

export async function realWorld(
  context: TestContext,
  home: StandInHome,
  changes: Partial<ApplierSettings> = {},
): Promise<ApplierWorld> {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'pf-applier-'));
  context.after(() => rmSync(stateDirectory, { recursive: true, force: true, maxRetries: 9 }));
  const agent = agentHome('linux', home.path);
  const backups = openBackupStore(join(stateDirectory, 'backups'));
  const memory = openTwoGenerationFile(join(stateDirectory, 'memory'));
  const root = aRoot({ expiresAtMs: Date.now() + 10 ** 9 });
  const pin = { org: root.org, rootHash: sha256Tag(renderRoot(root)) };
  await memory.write(encodeMemory(newMemory(await trustRoot(signedRoot(root), pin, 0))));
  const settings: ApplierSettings = {
    ...defaultSettings,
    site: 'eu-1',
    control: { kind: 'wazuh_control' },
    pollMs: 20,
    stableMs: 200,
    killAfterMs: 300,
    ...changes,
  };
  const shared = { clock: systemClock, random: systemRandom };
  return {
    settings,
    home: agent,
    clock: systemClock,
    log: silentLog,
    memory,
    file: openUnixConfigFile({
      ...shared,
      path: home.configPath,
      stateDirectory,
      maxBytes: 8 * 1024 * 1024,
      onLostAttributes: 'refuse',
      attributes: gnuAttributes,
      backups,
    }),
    backups,
    agent: openUnixAgent(agent, systemClock),
    control: openAgentControl({ home: agent, clock: systemClock, log: silentLog }),
    preflight: openPreflight(agent, stateDirectory),
    agentLog: openAgentLog(agent.logPath),
    readSharedConfig: async () =>
      (await readBounded(agent.sharedConfigPath, 1024 * 1024)) ?? Buffer.alloc(0),
    lock: () =>
      acquireLock({ path: join(stateDirectory, 'apply.lock'), reason: 'lock_held', ...shared }),
  };
}
