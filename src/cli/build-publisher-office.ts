/** A publisher's directory opened: configuration, roots, keys and history, each proven or refused. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { encodeBase64Url } from '../bytes.ts';
import { ConfigError, HostError, ListError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { openHistory } from '../host/history-database.ts';
import { openPublisherFolder } from '../host/publisher-folder.ts';
import { openReports } from '../host/report-database.ts';
import { systemClock, systemRandom } from '../host/system-clock.ts';
import type { Root } from '../list/model.ts';
import type { AcceptedRoot } from '../list/root.ts';
import {
  parseSigningKey,
  renderSigningKey,
  type SigningKey,
  signingKeyFromSeed,
} from '../list/sign.ts';
import type { History } from '../publisher/history.ts';
import type { PublisherFolder } from '../publisher/init.ts';
import { changeKeys, type KeyChange, type KeyOutcome } from '../publisher/keys.ts';
import { loadRoots } from '../publisher/load-roots.ts';
import type { PublishDesk } from '../publisher/publish.ts';
import { renewRoot } from '../publisher/renew-root.ts';
import type { AgentBook, AgentRow } from '../publisher/reports/agent-book.ts';
import type { ReportStore } from '../publisher/reports/report-keeper.ts';
import { planRollout } from '../publisher/rollout/plan.ts';
import { reportedAgents } from '../publisher/roster/claims.ts';
import { commandWriter } from './build-publisher-leader.ts';
import type { FollowConfig } from './follow-config.ts';
import { type PublisherConfig, parsePublisherConfig } from './publisher-config.ts';
import type { PublisherOffice, RenewFlags } from './publisher-host.ts';
import { planSettingsOf } from './rollout-config.ts';

/** A follower signs nothing: the error names where the writer is. */
export function followerError(path: string, { from, token }: FollowConfig): ConfigError {
  const writers = [...new Set([...from, ...token.publishers])].join(', ');
  const seen = `${path} follows a writer and signs nothing`;
  return new ConfigError('is_follower', `${seen}; the writer is behind ${writers}`);
}

/** Throws ConfigError `is_follower` where one is; what else is wrong there is told elsewhere. */
export async function refuseOnFollower(path: string): Promise<void> {
  const text = await openPublisherFolder(path)
    .read(configName)
    .catch(() => undefined);
  if (text === undefined || !/^follow:/m.test(text)) return;
  const { follow } = parsePublisherConfig(text, join(path, configName));
  if (follow !== undefined) throw followerError(path, follow);
}

const clock = systemClock;
export const configName = 'publisher.yml';

/** Throws ConfigError, ListError, HostError. */
export async function openOffice(path: string): Promise<PublisherOffice> {
  const folder = openPublisherFolder(path);
  const config = await readConfig(folder);
  if (config.follow !== undefined) throw followerError(path, config.follow);
  const roots = await loadRoots(folder, config.files.roots, config.org);
  const { root } = roots.newest;
  const listKey = await openListKey(folder, config.files.listKey, root);
  const history = openHistory(resolve(path, config.files.history));
  const reportsPath = resolve(path, config.files.reports);
  // Where no reports are taken any more, nobody would ever judge a wave.
  const stored = () => (config.reports.enabled ? readReports(reportsPath, rowsOf) : undefined);
  const plan = buildPlan(
    () => config,
    history,
    () => stored() ?? [],
  );
  const agents = () => readReports(reportsPath, countOf) ?? 0;
  const loads = () => readLoads(reportsPath);
  const writer = commandWriter({ directory: path, config, history, root, listKey });
  const bare = { history, root, listKey, clock, plan, agents, loads };
  const desk = writer === undefined ? bare : { ...bare, writer };
  return {
    config,
    roots,
    history,
    desk,
    withReports(work) {
      const store = openReports(reportsPath);
      try {
        return work(store);
      } finally {
        store.close();
      }
    },
    close: () => history.close(),
  };
}

/**
 * The desk of a running publisher: its own writer and probes, and the reports that it holds instead of
 * their file, which may be damaged, full or locked without holding up a list.
 */
export function atWork(
  office: PublisherOffice,
  own: Required<Pick<PublishDesk, 'writer' | 'seesDead'>>,
  book: AgentBook | undefined,
  /** As read last: a reload may have changed it. */
  config: () => PublisherConfig,
): PublisherOffice {
  const { history, desk } = office;
  if (book === undefined) return { ...office, desk: { ...desk, ...own } };
  const plan = buildPlan(config, history, () => book.rows());
  const reported = { plan, agents: () => book.size(), loads: () => book.loads() };
  return { ...office, desk: { ...desk, ...own, ...reported } };
}

/** The planning of changes; `rows`: what the fleet looks like. */
function buildPlan(
  config: () => PublisherConfig,
  history: History,
  rows: () => Iterable<AgentRow>,
): NonNullable<PublishDesk['plan']> {
  return (before, content) => {
    const { rollout } = config();
    const stableVersion = before.rollout?.stableVersion ?? before.version;
    const stable = history.find(stableVersion) ?? before;
    return planRollout({
      version: before.version + 1,
      stableVersion: stable.version,
      stable: stable.content,
      content,
      rows: rollout.enabled ? rows() : [], // read for waves only
      settings: planSettingsOf(rollout),
      nowMs: clock.nowMs(),
      ...(before.rollout === undefined ? {} : { salt: before.rollout.salt }),
      newSalt: () => encodeBase64Url(systemRandom.bytes(12)),
    });
  };
}

const rowsOf = (store: ReportStore) => store.rows();
const countOf = (store: ReportStore) => store.count();

/** A publisher that never took a report has no file of them: undefined. */
function readReports<Value>(path: string, read: (store: ReportStore) => Value): Value | undefined {
  if (!existsSync(path)) return undefined;
  const store = openReports(path);
  try {
    return read(store);
  } finally {
    store.close();
  }
}

/** They only slow a list down: reports that cannot be read hold up no order. */
function readLoads(path: string): ReadonlyMap<string, number> {
  try {
    return reportedAgents(readReports(path, rowsOf) ?? [], clock.nowMs());
  } catch (thrown) {
    if (thrown instanceof HostError) return new Map();
    throw thrown;
  }
}

const keyDirectory = 'root-keys';

export async function renewInOffice(path: string, flags: RenewFlags): Promise<AcceptedRoot> {
  const folder = openPublisherFolder(path);
  const config = await readConfig(folder);
  const { newest } = await loadRoots(folder, config.files.roots, config.org);
  const keys = await readRootKeys(folder, flags.keyFiles);
  const request = { managers: flags.managers, keys, directory: config.files.roots };
  const renew = (more: { readonly newListKey?: SigningKey }) =>
    renewRoot({ folder, clock }, newest, { ...request, ...more });
  if (!flags.newListKey) return renew({});
  return rotateInOffice(folder, config.files.listKey, (newListKey) => renew({ newListKey }));
}

/**
 * A new list key: its file first, then the root that names it, then the file in its place. A crash
 * between them is repaired when the directory is opened.
 */
async function rotateInOffice(
  folder: PublisherFolder,
  name: string,
  renew: (newListKey: SigningKey) => Promise<AcceptedRoot>,
): Promise<AcceptedRoot> {
  const key = signingKeyFromSeed(systemRandom.bytes(32));
  const text = `${JSON.stringify(renderSigningKey(key))}\n`;
  await folder.write(`${name}${nextSuffix}`, text);
  const accepted = await renew(key);
  await folder.write(name, text);
  return accepted;
}

const nextSuffix = '.next';

async function openListKey(folder: PublisherFolder, name: string, root: Root): Promise<SigningKey> {
  const { kids } = root.roles.list;
  const key = await readKey(folder, name);
  if (kids.includes(key.kid)) return key;
  const next = `${name}${nextSuffix}`;
  const text = await folder.read(next);
  const waiting = text === undefined ? undefined : await readKey(folder, next);
  if (text !== undefined && waiting !== undefined && kids.includes(waiting.kid)) {
    await folder.write(name, text);
    return waiting;
  }
  const seen = `${name} holds ${key.kid}`;
  throw new ListError('unknown_key', `${seen}; root ${root.version} does not let it sign lists`);
}

export async function changeKeysInOffice(
  path: string,
  change: KeyChange,
  keyFiles: readonly string[],
): Promise<KeyOutcome> {
  const folder = openPublisherFolder(path);
  const { files, org } = await readConfig(folder);
  const { newest } = await loadRoots(folder, files.roots, org);
  const rootKeys = await readRootKeys(folder, keyFiles);
  const ground = { current: newest, rootKeys, roots: files.roots };
  return changeKeys({ folder, clock, random: systemRandom }, ground, change);
}

/** Those in the directory and those named, each once. */
export async function readRootKeys(
  folder: PublisherFolder,
  keyFiles: readonly string[],
): Promise<readonly SigningKey[]> {
  const here = (await folder.list(keyDirectory)).map((name) => join(keyDirectory, name));
  const named = keyFiles.map((name) => resolve(name));
  const keys = await Promise.all([...here, ...named].map((name) => readKey(folder, name)));
  return [...new Map(keys.map((key) => [key.kid, key])).values()];
}

export async function readConfig(folder: PublisherFolder): Promise<PublisherConfig> {
  const text = await requireFile(folder, configName);
  return parsePublisherConfig(text, join(folder.path, configName));
}

export async function readKey(folder: PublisherFolder, name: string): Promise<SigningKey> {
  const text = await requireFile(folder, name);
  try {
    return parseSigningKey(JSON.parse(text));
  } catch (error) {
    const seen = `${join(folder.path, name)}: ${error instanceof ListError ? messageOf(error) : 'not JSON'}`;
    throw new ConfigError('config_unreadable', seen, { cause: error });
  }
}

export async function requireFile(folder: PublisherFolder, name: string): Promise<string> {
  const text = await folder.read(name);
  if (text !== undefined) return text;
  const seen = `${join(folder.path, name)} does not exist`;
  const hint = '--dir names another directory, `pilotfish-publisher init` makes one';
  throw new ConfigError('config_unreadable', `${seen}; ${hint}`);
}
