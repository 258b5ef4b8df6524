/** Joining, and coming back after the state was lost, with real files. */
import { join as joinPath, resolve } from 'node:path';
import { sleep } from '../clock.ts';
import { ConfigError, HostError, PilotfishError } from '../errors.ts';
import { asRoot } from '../host/privilege.ts';
import { sourceFiles } from '../host/sidecar-files.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import { openTwoGenerationFile } from '../host/two-generation-file.ts';
import { listLimits } from '../list/model.ts';
import { parseToken } from '../list/token.ts';
import { isLocalOrg } from '../sidecar/dns-list.ts';
import { join } from '../sidecar/join.ts';
import type { Memory } from '../sidecar/memory.ts';
import { encodeMemory, readMemory } from '../sidecar/memory.ts';
import { readTrust } from '../sidecar/trust.ts';
import { type FirstTrust, trustFirstRoot } from './build-sidecar-applier.ts';
import { openDnsSource, prepareDnsJoin } from './build-sidecar-dns.ts';
import { buildSourceWorld, type Rooms } from './build-sidecar-rooms.ts';
import type { JoinDnsFlags, JoinedHost, JoinFlags } from './sidecar-host.ts';

export async function joinHost(rooms: Rooms, flags: JoinFlags): Promise<JoinedHost> {
  const { listFile, rootFile, reset } = flags;
  const rootEnvelope = rootFile === undefined ? undefined : await readDocument(rootFile);
  const files = listFile === undefined ? rooms.config.sources.files : [resolve(listFile)];
  // A publisher takes over from DNS: the root that is on disk by then is not the one it pins.
  const isByDns = isLocalOrg(parseToken(flags.token).org);
  const dns = isByDns ? await openDnsSource(rooms) : undefined;
  const joined = await join(buildSourceWorld({ ...rooms.config.sources, files }, dns), {
    token: flags.token,
    ...(rootEnvelope === undefined ? {} : { rootEnvelope }),
    before: reset ? undefined : await rememberedBefore(rooms),
    agentId: rooms.place.agentId,
    zone: rooms.place.zone,
  });
  const { memory, news } = joined;
  const trust = await readTrust(memory, clock.nowMs(), rooms.place.zone);
  const { audience } = trust;
  // The applier first: a kill in between leaves a host that has not joined, and joins again.
  if (flags.isByConfiguration !== true || rooms.apart === undefined) {
    await asRoot(() => groundApplier(rooms, memory, { org: trust.token.org, audience, reset }));
  }
  await rooms.files.writeToken(flags.token);
  await rooms.memoryFile.write(encodeMemory(memory));
  return { memory, news, trust };
}

/** The list of this host comes from DNS from now on; a new key and root each time. */
export async function joinHostByDns(rooms: Rooms, flags: JoinDnsFlags): Promise<JoinedHost> {
  const { token, rootFile } = await prepareDnsJoin(rooms, flags);
  return joinHost(rooms, { token, rootFile, listFile: undefined, reset: true });
}

/** A state that cannot be read must not hide that this host belongs to somebody. */
async function rememberedBefore({ memoryFile, files }: Rooms): Promise<Memory | undefined> {
  try {
    return await readMemory(memoryFile);
  } catch (error) {
    if (!(error instanceof HostError) || error.reason !== 'state_unreadable') throw error;
    if ((await files.readToken()) === undefined) return undefined;
    throw new HostError(
      'state_unreadable',
      `${error.message}; \`run\` rebuilds it, --reset forgets it`,
      {
        cause: error,
      },
    );
  }
}

async function groundApplier(
  { applierDirectory }: Rooms,
  memory: Memory,
  first: FirstTrust,
): Promise<void> {
  const [envelope] = memory.roots;
  if (envelope === undefined) throw new ConfigError('not_joined', 'no root is remembered');
  const file = openTwoGenerationFile(joinPath(applierDirectory, 'memory'));
  await trustFirstRoot(file, { envelope, hash: memory.rootPin }, first);
}

const firstPauseMs = 2_000;
const longestPauseMs = 300_000;

/**
 * A host whose configuration names a token joins by itself, however long no publisher answers.
 * `stopped`: `signal` aborted while it tried. Throws ConfigError `token_invalid`.
 */
export async function joinWhenConfigured(
  rooms: Rooms,
  signal: AbortSignal,
): Promise<'settled' | 'stopped'> {
  const { config, log, memoryFile } = rooms;
  const token = config.joinToken;
  if (token === undefined || !(await isUnjoined(memoryFile))) return 'settled';
  parseToken(token);
  for (let attempt = 0; ; attempt += 1) {
    try {
      const flags = { token, rootFile: undefined, listFile: undefined, reset: false };
      await joinHost(rooms, { ...flags, isByConfiguration: true });
      log.info('join.done');
      return 'settled';
    } catch (thrown) {
      if (!(thrown instanceof PilotfishError)) throw thrown;
      log.warn('join.failed', { code: thrown.code, message: thrown.message });
    }
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(attempt, 10));
    await sleep(clock, pauseMs * (0.5 + random.fraction()), signal).catch(() => undefined);
    if (signal.aborted) return 'stopped';
  }
}

/** What is damaged is not "never joined": `recoverMemory` sees to it. */
async function isUnjoined(memoryFile: Rooms['memoryFile']): Promise<boolean> {
  return memoryFile.read().then(
    (bytes) => bytes === undefined,
    () => false,
  );
}

/**
 * E701 with both generations damaged: everything is proven anew from the token's pin. The floor
 * against older lists is the applier's own state, which nobody but the applier writes.
 */
export async function recoverMemory(rooms: Rooms): Promise<void> {
  try {
    await readMemory(rooms.memoryFile);
    return;
  } catch (error) {
    if (!(error instanceof HostError) || error.reason !== 'state_unreadable') throw error;
    const token = await rooms.files.readToken();
    if (token === undefined) throw error;
    rooms.log.error('state.rebuilt', { code: error.code, message: error.message });
    const sources = buildSourceWorld(rooms.config.sources, await openDnsSource(rooms));
    const joined = await join(sources, {
      token,
      before: undefined,
      agentId: rooms.place.agentId,
    });
    await rooms.memoryFile.write(encodeMemory(joined.memory));
  }
}

async function readDocument(path: string): Promise<Uint8Array> {
  // Named by the operator who runs us: read as him.
  const bytes = await asRoot(() => sourceFiles.read(resolve(path), listLimits.maxEnvelopeBytes));
  if (bytes === undefined) throw new HostError('not_found', `${path} does not exist`);
  return bytes;
}
