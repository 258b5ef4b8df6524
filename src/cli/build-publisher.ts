/** What the publisher's commands need, from real parts; each changing command under a lock. */
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { ConfigError } from '../errors.ts';
import { buildCertificateMaker } from '../host/certificate-maker.ts';
import { tellPublisher } from '../host/change-socket.ts';
import { readJournal } from '../host/event-journal.ts';
import { acquireLock } from '../host/lock.ts';
import { asOwnerOf, becomeOwnerOf } from '../host/privilege.ts';
import { buildProber } from '../host/probe-socket.ts';
import { openPublisherFolder } from '../host/publisher-folder.ts';
import { systemClock, systemRandom } from '../host/system-clock.ts';
import { writeDurably } from '../host/two-generation-file.ts';
import { readUserName } from '../host/user-name.ts';
import { initPublisher } from '../publisher/init.ts';
import { loadAnyRoots } from '../publisher/load-roots.ts';
import { recoverPublisher } from '../publisher/recover.ts';
import { buildPromotionDesk } from './build-promotion-desk.ts';
import { changeApiTokens, withAuditLog } from './build-publisher-api.ts';
import { diagnosePublisher } from './build-publisher-diagnostics.ts';
import { examinePublisher } from './build-publisher-doctor.ts';
import { exportSite } from './build-publisher-export.ts';
import { isFollower, readFollowed, runFollower } from './build-publisher-follow.ts';
import {
  changeKeysInOffice,
  configName,
  openOffice,
  readKey,
  readRootKeys,
  refuseOnFollower,
  renewInOffice,
  requireFile,
} from './build-publisher-office.ts';
import { calendarOf } from './build-publisher-rollout.ts';
import { runOffice, socketName } from './build-publisher-run.ts';
import { parsePublisherConfig } from './publisher-config.ts';
import type { FollowRequest, PublisherHost } from './publisher-host.ts';
import { renderFollowerConfig, renderPublisherConfig } from './publisher-template.ts';
import { versionText } from './version.ts';

const clock = systemClock;
const random = systemRandom;
const maker = buildCertificateMaker(clock, random);

export function buildPublisherHost(): PublisherHost {
  return {
    clock,
    random,
    prober: buildProber(clock),
    promotion: buildPromotionDesk(),
    hostName: () => hostname(),
    userName: readUserName,
    frozen: ({ rollout }, nowMs) => calendarOf(rollout)(nowMs),
    async init(directory, request) {
      await becomeOwnerOf(resolve(directory));
      await refuseOnFollower(resolve(directory));
      const folder = openPublisherFolder(resolve(directory));
      const tools = { folder, maker, clock, random, renderConfig: renderPublisherConfig };
      return locked(directory, 'init', () => initPublisher(tools, request));
    },
    async open(directory) {
      await becomeOwnerOf(resolve(directory));
      return openOffice(resolve(directory));
    },
    async follow(directory, request) {
      await becomeOwnerOf(resolve(directory));
      await locked(directory, 'init', () => writeFollower(resolve(directory), request));
    },
    async readFollowed(directory) {
      await becomeOwnerOf(resolve(directory));
      return readFollowed(resolve(directory));
    },
    ...buildKeyDesk(),
    readKeyFile: (path) => readKey(openPublisherFolder('.'), resolve(path)),
    async withAudit(directory, work) {
      await becomeOwnerOf(resolve(directory));
      return withAuditLog(resolve(directory), work);
    },
    exportSite: (directory, folder, wish) =>
      asOwnerOf(resolve(directory), () => exportSite(resolve(directory), folder, wish)),
    async examine(directory) {
      await becomeOwnerOf(resolve(directory));
      return examinePublisher(directory, versionText());
    },
    async diagnose(directory, folder, output) {
      // The archive is the caller's, the directory its owner's.
      const bundle = await asOwnerOf(resolve(directory), () =>
        diagnosePublisher(directory, versionText(), folder),
      );
      await writeDurably(resolve(output), bundle);
      return bundle.length;
    },
    journal: (directory) => readJournal(resolve(directory)),
    announce: async (directory) =>
      (await tellPublisher(join(resolve(directory), socketName), 'changed', clock)) || undefined,
    askStatus: (directory) => tellPublisher(join(resolve(directory), socketName), 'status', clock),
    async run(directory, signals) {
      await becomeOwnerOf(resolve(directory));
      await requireFile(openPublisherFolder(resolve(directory)), configName);
      const run = (await isFollower(resolve(directory))) ? runFollower : runOffice;
      await locked(directory, 'run', () => run(resolve(directory), signals));
    },
  };
}

/** What changes keys and roots, never on a follower, and tokens, which each publisher has of its own. */
function buildKeyDesk(): Pick<
  PublisherHost,
  'renewRoot' | 'changeKeys' | 'recover' | 'changeTokens'
> {
  return {
    async renewRoot(directory, flags) {
      await becomeOwnerOf(resolve(directory));
      await refuseOnFollower(resolve(directory));
      await requireFile(openPublisherFolder(resolve(directory)), configName);
      const renew = () => renewInOffice(resolve(directory), flags);
      // A running publisher signs with the key it began with.
      const alone = flags.newListKey ? () => locked(directory, 'run', renew) : renew;
      return locked(directory, 'init', alone);
    },
    changeKeys: (directory, change, keyFiles) =>
      locked(directory, 'init', async () => {
        await refuseOnFollower(resolve(directory));
        return changeKeysInOffice(resolve(directory), change, keyFiles);
      }),
    recover: (directory, request, keyFiles) =>
      locked(directory, 'init', async () => {
        await refuseOnFollower(resolve(directory));
        const folder = openPublisherFolder(resolve(directory));
        const rootKeys = await readRootKeys(folder, keyFiles);
        const { newest } = await loadAnyRoots(folder);
        const tools = { folder, maker, clock, random, renderConfig: renderPublisherConfig };
        const whole = { ...request, org: newest.root.org };
        return recoverPublisher(tools, { current: newest, rootKeys, request: whole });
      }),
    async changeTokens(directory, change) {
      await becomeOwnerOf(resolve(directory));
      return change === undefined
        ? changeApiTokens(resolve(directory), undefined)
        : locked(directory, 'init', () => changeApiTokens(resolve(directory), change));
    },
  };
}

/** Throws ConfigError `already_initialised`: a directory is a writer's or a follower's for good. */
async function writeFollower(path: string, request: FollowRequest): Promise<void> {
  const folder = openPublisherFolder(path);
  const found = (await folder.list()).filter((name) => name === configName || name === 'ca.key');
  if (found.length > 0) {
    throw new ConfigError('already_initialised', `${path} holds ${found.join(', ')} already`);
  }
  const text = renderFollowerConfig(request);
  parsePublisherConfig(text, 'the publisher.yml to be made');
  await folder.write(configName, text);
}

/** One at a time in this directory: a running publisher, a change of keys or roots. */
async function locked<Value>(
  directory: string,
  name: 'init' | 'run',
  work: () => Promise<Value>,
): Promise<Value> {
  const reason = name === 'run' ? 'second_instance' : 'lock_held';
  const lock = await acquireLock({ path: join(resolve(directory), name), reason, clock, random });
  try {
    return await work();
  } finally {
    await lock.release();
  }
}
