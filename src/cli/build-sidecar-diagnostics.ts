/** What goes into the sidecar's diagnostics bundle, and which secrets are taken out of it. */
import { join } from 'node:path';
import { makeBundle, type Part } from '../diagnosis/bundle.ts';
import { renderEventLine } from '../diagnosis/event-line.ts';
import { buildRedactor } from '../diagnosis/redact.ts';
import {
  listFolder,
  readTail,
  readText,
  readUnitLog,
  secretsOfClientKeys,
  secretsOfFile,
  systemFacts,
} from '../host/diagnostic-facts.ts';
import { readJournal } from '../host/event-journal.ts';
import { asOwnerOf } from '../host/privilege.ts';
import { readAgentFile } from '../host/sidecar-files.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import { fileSeenOf } from '../sidecar/file-seen.ts';
import { type Memory, readMemory } from '../sidecar/memory.ts';
import { examineSidecar } from './build-sidecar-doctor.ts';
import { configPathOf, openRooms, readConfig, readStatus } from './build-sidecar-open.ts';
import type { Rooms } from './build-sidecar-rooms.ts';
import { knownList } from './build-sidecar-world.ts';

/** Throws ConfigError when the configuration cannot be read: then there is nothing to look at. */
export async function diagnoseSidecar(
  configPath: string | undefined,
  version: string,
  folder: string,
): Promise<Buffer> {
  const rooms = await openRooms(await readConfig(configPath), version);
  const doctor = await examineSidecar(configPath, version);
  const work = async (): Promise<Buffer> => {
    const configText = await readText(configPathOf(configPath));
    const redactor = buildRedactor(await secretsOf(rooms));
    const parts = [
      { name: 'doctor.json', content: doctor },
      { name: 'pilotfish.yml', content: configText },
      ...(await partsOf(rooms)),
    ];
    return makeBundle(folder, parts, redactor, clock.nowMs());
  };
  return asOwnerOf(rooms.stateDirectory, work);
}

async function secretsOf({ keysPath, home, files, config, stateDirectory }: Rooms) {
  const found = await Promise.all([
    secretsOfClientKeys(keysPath),
    secretsOfFile(join(home.home, 'etc/authd.pass')),
    secretsOfFile(join(home.home, 'authd.pass')),
    secretsOfFile(join(stateDirectory, 'dns/list-key.jwk')),
  ]);
  // A join token holds no secret, but it names everything that is ours.
  const tokens = [config.joinToken, await files.readToken()].filter((one) => one !== undefined);
  return [...found.flat(), ...tokens];
}

async function partsOf(rooms: Rooms): Promise<readonly Part[]> {
  const { home, stateDirectory, applierDirectory } = rooms;
  const events = [...(await readJournal(stateDirectory)), ...(await readJournal(applierDirectory))];
  const log = await readTail(home.logPath);
  return [
    { name: 'system.json', content: { sidecar: rooms.version, ...systemFacts() } },
    { name: 'status.json', content: (await readStatus(rooms.files))?.report },
    {
      name: 'memory.json',
      content: memoryFacts(await readMemory(rooms.memoryFile).catch(() => undefined)),
    },
    { name: 'list.json', content: (await knownList(rooms).catch(() => undefined))?.list.list },
    { name: 'servers.json', content: await serversOf(rooms) },
    { name: 'state-files.json', content: await listFolder(stateDirectory) },
    { name: 'events.json', content: events.map(renderEventLine).join(''), keep: 'tail' },
    { name: 'sidecar.log', content: await readUnitLog('pilotfish.service'), keep: 'tail' },
    { name: 'agentd.log', content: log === undefined ? undefined : agentdLines(log), keep: 'tail' },
  ];
}

/** Only the daemon that talks to managers; what other modules log is not ours to carry away. */
function agentdLines(log: string): string {
  return log
    .split('\n')
    .filter((line) => /(?:wazuh|ossec)-agent(?:d)?(?:\.exe)?:/.test(line))
    .join('\n');
}

function memoryFacts(memory: Memory | undefined): object | undefined {
  if (memory === undefined) return undefined;
  const { attempts, held, floorMs, freshAtMs, stalePolls, lastPublisher, lastManager } = memory;
  const position = memory.list?.position;
  return { position, attempts, held, floorMs, freshAtMs, stalePolls, lastPublisher, lastManager };
}

/** The entries as the agent loads them; the rest of ossec.conf may hold anything. */
async function serversOf({ home }: Rooms): Promise<object> {
  const bytes = await readAgentFile(home.configPath);
  if (bytes === 'missing') return { kind: 'missing' };
  return bytes instanceof Uint8Array ? fileSeenOf(bytes, undefined) : bytes;
}
