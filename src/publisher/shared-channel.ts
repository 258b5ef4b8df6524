/**
 * The list through Wazuh's own channel: a file in the shared folder of a group, which the cluster
 * carries to every node and remoted to every agent of that group. Each new content costs the agents:
 * one of 4.14 reloads its modules. So it changes on membership, and otherwise only before the list
 * in it ends; not with every signature, not while a change is still rolled out, not with health.
 */
import { type Clock, sleep } from '../clock.ts';
import { PilotfishError } from '../errors.ts';
import { parseEnvelope } from '../list/envelope.ts';
import { parseList } from '../list/parse-list.ts';
import { sharedListName, sharedRootName } from '../list/shared-names.ts';
import type { Log } from '../log.ts';
import type { Complaints } from './complaints.ts';
import { isSameContent, membershipOf } from './content.ts';
import { type History, listExpiresAtMs, type PublishedList } from './history.ts';

/** Port: the shared folders of a manager's home. */
export interface SharedFolders {
  /** Undefined when there is none. */
  read(group: string, name: string): Promise<Uint8Array | undefined>;
  /** Whole or not at all. Throws HostError `not_found` without such a group, `write_failed`. */
  write(group: string, name: string, bytes: Uint8Array): Promise<void>;
}

export interface ChannelParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly complaints: Complaints;
  readonly history: History;
  readonly folders: SharedFolders;
  readonly groups: readonly string[];
  /** Envelope of each root version. */
  roots(): ReadonlyMap<number, Uint8Array>;
}

/** A manager that was lost is told as lost until it has been back for so long. */
const settleMs = 60_000;
const lookEveryMs = 2_000;

/** Why the file must be written anew; undefined: it need not. `held`: the version in it. */
export function channelDue(
  held: PublishedList | undefined,
  newest: PublishedList,
  nowMs: number,
): string | undefined {
  if (newest.rollout !== undefined) return undefined;
  if (held === undefined) return 'nothing of ours is there';
  if (held.version === newest.version) return undefined;
  if (held.epoch !== newest.epoch || held.rootVersion !== newest.rootVersion) return 'another root';
  if (!isSameContent(membershipOf(held.content), membershipOf(newest.content))) {
    return 'another membership';
  }
  const isLost = (id: string): boolean => newest.content.unready?.includes(id) === true;
  const isBack = held.content.unready?.some((id) => !isLost(id)) === true;
  if (isBack && nowMs - newest.issuedAtMs >= settleMs) return 'a manager is back';
  const halfMs = (held.content.validFor * 1_000) / 2;
  return listExpiresAtMs(held) - nowMs < halfMs ? 'half its validity is over' : undefined;
}

/** Until `signal` aborts. */
export async function keepChannel(parts: ChannelParts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (const group of parts.groups) await tendGroup(parts, group);
    await sleep(parts.clock, lookEveryMs, signal).catch(() => undefined);
  }
}

/** One look at the file of one group. */
export async function tendGroup(parts: ChannelParts, group: string): Promise<void> {
  const { complaints } = parts;
  const topic = `shared.${group}`;
  try {
    await writeWhenDue(parts, group);
    complaints.end(topic);
  } catch (thrown) {
    if (!(thrown instanceof PilotfishError)) throw thrown;
    complaints.begin(topic, thrown.message);
  }
}

async function writeWhenDue(parts: ChannelParts, group: string): Promise<void> {
  const { history, folders, clock, log } = parts;
  const newest = history.newest();
  if (newest === undefined) return;
  const held = heldVersion(history, await folders.read(group, sharedListName));
  const why = channelDue(held, newest, clock.nowMs());
  if (why === undefined) return;
  for (const [version, envelope] of parts.roots()) {
    const name = sharedRootName(sharedListName, version);
    if ((await folders.read(group, name)) === undefined) {
      await folders.write(group, name, envelope);
    }
  }
  await folders.write(group, sharedListName, newest.envelope);
  log.info('shared.written', { group, version: newest.version, why });
}

/** Undefined for what is damaged, or no version of ours: it is written over. */
function heldVersion(history: History, bytes: Uint8Array | undefined): PublishedList | undefined {
  if (bytes === undefined) return undefined;
  try {
    const { version } = parseList(parseEnvelope(bytes).payloadBytes);
    const found = history.find(version);
    return found !== undefined && Buffer.from(found.envelope).equals(bytes) ? found : undefined;
  } catch (thrown) {
    if (!(thrown instanceof PilotfishError)) throw thrown;
    return undefined;
  }
}
