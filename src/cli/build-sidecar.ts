/** The sidecar put together from real parts. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseMemory } from '../applier/memory.ts';
import { endRestore, restore } from '../applier/restore.ts';
import { defaultSettings } from '../applier/settings.ts';
import { applySpool } from '../applier/spool.ts';
import type { ApplierWorld, RootPin } from '../applier/world.ts';
import { HostError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { readJournal, refuseUnreadable, withJournal } from '../host/event-journal.ts';
import { acquireLock, type Lock } from '../host/lock.ts';
import { dpkgLock } from '../host/package-lock.ts';
import { asOwnerOf } from '../host/privilege.ts';
import { buildProber } from '../host/probe-socket.ts';
import { openSpool, sharedMemory } from '../host/spool-directory.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import { openTwoGenerationFile, writeDurably } from '../host/two-generation-file.ts';
import type { JoinToken } from '../list/model.ts';
import { parseToken } from '../list/token.ts';
import { buildLog } from '../log.ts';
import { buildApplierWorld, withoutNetwork } from './build-sidecar-applier.ts';
import { diagnoseSidecar } from './build-sidecar-diagnostics.ts';
import { examineSidecar } from './build-sidecar-doctor.ts';
import { joinHost, joinHostByDns } from './build-sidecar-join.ts';
import { buildNames } from './build-sidecar-names.ts';
import { homeOf, openRooms, readAgentTimes, readConfig, readStatus } from './build-sidecar-open.ts';
import type { Rooms } from './build-sidecar-rooms.ts';
import { cycleOnce, knownList, planOnce, runForever } from './build-sidecar-world.ts';
import { applierSettingsOf } from './sidecar-config.ts';
import type { SidecarHost, SidecarOffice } from './sidecar-host.ts';

/** `version`: what this host says of itself in its reports. */
export function buildSidecarHost(version: string): SidecarHost {
  return {
    clock,
    prober: buildProber(clock),
    names: async (path) => buildNames(await readConfig(path)),
    agentTimes: async (path) => readAgentTimes(await homeOf(await readConfig(path))),
    open: (path) => openOffice(path, version),
    diagnose: (path, folder) => diagnoseSidecar(path, version, folder),
    examine: (path) => examineSidecar(path, version),
    async readFile(path) {
      try {
        return await readFile(path);
      } catch (error) {
        throw new HostError('not_found', `${path}: ${messageOf(error)}`, { cause: error });
      }
    },
    writeFile: (path, bytes) => writeDurably(resolve(path), bytes),
  };
}

async function openOffice(configPath: string | undefined, version: string): Promise<SidecarOffice> {
  const config = await readConfig(configPath);
  const rooms = await openRooms(config, version);
  const { apart } = rooms;
  /** The sidecar's own state is its user's, also when root types the command. */
  const own = <T>(work: () => Promise<T>): Promise<T> => asOwnerOf(rooms.stateDirectory, work);
  return {
    config,
    agentId: rooms.place.agentId,
    join: (flags) => own(() => locked(rooms, () => joinHost(rooms, flags))),
    joinByDns: (flags) => own(() => locked(rooms, () => joinHostByDns(rooms, flags))),
    once: () => own(() => locked(rooms, () => cycleOnce(rooms))),
    run: (stop) => own(() => locked(rooms, () => runForever(rooms, stop))),
    plan: () => own(() => planOnce(rooms)),
    list: () => own(() => knownList(rooms)),
    status: () => own(() => readStatus(rooms.files)),
    async restore(target, { restart, isPackageRemoval }) {
      const world = await applierOf(rooms);
      return restore(isPackageRemoval ? besidePackageLock(world) : world, target, restart);
    },
    async applySpool(directory) {
      const results = config.apply.results ?? apart?.results ?? directory;
      const spool = openSpool(resolve(directory), resolve(results));
      return applySpool(withoutNetwork(await applierOf(inApplierRoom(rooms))), spool);
    },
    async journal() {
      await refuseUnreadable(rooms.stateDirectory);
      const folders = [rooms.stateDirectory, rooms.applierDirectory];
      return (await Promise.all(folders.map(readJournal))).flat();
    },
    async pause(pause) {
      const nowMs = clock.nowMs();
      const ended = { untilMs: nowMs, reason: 'resumed', endedAtMs: nowMs };
      await own(() => rooms.files.writePause(pause ?? ended));
      const mayReachApplier = apart === undefined || config.apply.spool === undefined;
      if (pause !== undefined || !mayReachApplier) return;
      const hasJoined = await own(() => rooms.files.readToken());
      if (hasJoined !== undefined) await endRestore(await applierOf(rooms));
    },
  };
}

/** Root's own events lie in root's own folder, where nobody can turn its writes elsewhere. */
function inApplierRoom(rooms: Rooms): Rooms {
  const { config, applierDirectory: folder } = rooms;
  const log = buildLog(config.log.level);
  return {
    ...rooms,
    log: config.events.enabled ? withJournal(log, { folder, program: 'applier', clock }) : log,
  };
}

/** The lock of dpkg is held by whoever runs us; every other sign of an upgrade counts. */
function besidePackageLock(world: ApplierWorld): ApplierWorld {
  const { agent } = world;
  return {
    ...world,
    agent: {
      async readFacts() {
        const facts = await agent.readFacts();
        return facts.upgrade === dpkgLock ? { ...facts, upgrade: undefined } : facts;
      },
    },
  };
}

/** Two sidecars would undo each other's work (E030). */
async function locked<T>({ stateDirectory }: Rooms, work: () => Promise<T>): Promise<T> {
  const path = join(stateDirectory, 'run.lock');
  const lock: Lock = await acquireLock({ path, reason: 'second_instance', clock, random });
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

/** From the applier's own state and configuration only: the sidecar's is not root's to believe. */
async function applierOf(rooms: Rooms): Promise<ApplierWorld> {
  const host = { platform: rooms.home.platform, hasSystemd: rooms.hasSystemd };
  const { joinToken } = rooms.config;
  const token = joinToken === undefined ? undefined : parseToken(joinToken);
  const own = openTwoGenerationFile(join(rooms.applierDirectory, 'memory'));
  const memory = rooms.apart === undefined ? own : sharedMemory(own, rooms.apart.results);
  const bytes = await memory.read();
  const audience = (bytes && parseMemory(bytes).audience) ??
    token ?? { group: defaultSettings.group, site: defaultSettings.site };
  const { group, site } = audience;
  return {
    ...buildApplierWorld({
      ...rooms,
      settings: applierSettingsOf(rooms.config, host, { group, site }),
      probeDeadlineMs: rooms.config.probe.deadline,
    }),
    memory,
    ...(token === undefined ? {} : { pin: pinOf(token) }),
  };
}

function pinOf({ org, rootHash, group, site }: JoinToken): RootPin {
  return { org, rootHash, audience: { group, site } };
}
