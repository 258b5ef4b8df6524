/** The seat of this publisher from real parts: for the one that runs, and for commands beside it. */
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { ConfigError, type PilotfishError } from '../errors.ts';
import { buildEtcdDoor, type ClosableDoor } from '../host/etcd-door.ts';
import { openPublisherFolder } from '../host/publisher-folder.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import type { LeaseEngine, SeatEngine } from '../leader/engine.ts';
import { EtcdClient } from '../leader/etcd/client.ts';
import { buildEtcdEngine } from '../leader/etcd/etcd-engine.ts';
import { buildFileEngine } from '../leader/file-engine.ts';
import { OfficeKeeper } from '../leader/keep-office.ts';
import type { VerifiedRoot } from '../list/root.ts';
import type { SigningKey } from '../list/sign.ts';
import type { Log } from '../log.ts';
import type { Complaints } from '../publisher/complaints.ts';
import type { PublishedList, SeatedHistory } from '../publisher/history.ts';
import type { Leadership } from '../publisher/leadership.ts';
import { SharedWriter } from '../publisher/shared-writer.ts';
import { buildLocalWriter, firstTerm, notLeader, type Writer } from '../publisher/writer.ts';
import type { PublisherConfig } from './publisher-config.ts';

/** Between two looks, milliseconds: the own file is looked at for what cannot happen. */
const pace = { file: 5_000, etcd: 500 } as const;
const maxFileBytes = 64 * 1024;

/** Throws ConfigError for files that cannot be read. */
async function openEtcd(
  directory: string,
  { leader, org }: Pick<PublisherConfig, 'leader' | 'org'>,
): Promise<{ readonly engine: LeaseEngine; close(): void }> {
  const { etcd, url = '', ttl } = leader;
  const name = nameOf({ leader });
  if (etcd === undefined) throw new ConfigError('config_invalid', 'leader.etcd is missing');
  const read = (file: string) => requireText(directory, file);
  const { ca, cert, key, user, passwordFile, endpoints } = etcd;
  const door: ClosableDoor = buildEtcdDoor({
    ...(ca === undefined ? {} : { ca: await read(ca) }),
    ...(cert === undefined ? {} : { cert: await read(cert) }),
    ...(key === undefined ? {} : { key: await read(key) }),
  });
  const account =
    user === undefined || passwordFile === undefined
      ? {}
      : { account: { user, password: async () => (await read(passwordFile)).trim() } };
  // One endpoint that is gone costs a try, not the lease.
  const tryMs = Math.max(500, ttl / 10);
  const limitMs = Math.max(1_000, ttl / 4);
  const client = new EtcdClient({ door, clock, endpoints, ...account, tryMs, limitMs });
  const prefix = etcd.prefix ?? `/pilotfish/${org}/`;
  const engine = buildEtcdEngine(client, { prefix, ttlMs: ttl, name, url });
  return { engine, close: () => door.close() };
}

async function requireText(directory: string, file: string): Promise<string> {
  const text = await openPublisherFolder(directory).read(file);
  if (text === undefined || text.length > maxFileBytes) {
    const seen = text === undefined ? 'does not exist' : `is larger than ${maxFileBytes} bytes`;
    throw new ConfigError('config_unreadable', `${resolve(directory, file)} ${seen}`);
  }
  return text;
}

export interface CommandGround {
  readonly directory: string;
  readonly config: PublisherConfig;
  readonly history: SeatedHistory;
  readonly root: VerifiedRoot;
  readonly listKey: SigningKey;
}

/** A command writes with the token of the publisher that runs under the same name; undefined: alone. */
export function commandWriter(ground: CommandGround): Writer | undefined {
  if (ground.config.leader.engine === 'file') return undefined;
  let opened: SharedWriter | undefined;
  // Only what writes needs etcd: commands that read go on without.
  const open = async (): Promise<SharedWriter> => {
    opened ??= await openCommandWriter(ground);
    return opened;
  };
  return {
    ready: async () => (await open()).ready(),
    termAfter: (before) => opened?.termAfter(before) ?? before?.term ?? firstTerm,
    append: async (entry, before) => (await open()).append(entry, before),
    noteSource: async (entry, source) => (await open()).noteSource(entry, source),
    mark: async (mark) => (await open()).mark(mark),
  };
}

async function openCommandWriter(ground: CommandGround): Promise<SharedWriter> {
  const { directory, config, history, root, listKey } = ground;
  const { engine } = await openEtcd(directory, config);
  const writer: SharedWriter = new SharedWriter({
    ...{ engine, history, clock, listKey },
    root: () => root,
    async seat() {
      const look = await engine.look(writer.knownRevision());
      const { holder } = look;
      if (holder === undefined || holder.name !== nameOf(config)) {
        throw notLeader(holder, 'the seat is empty; start `run`');
      }
      await writer.follow(look);
      return holder.token;
    },
  });
  return writer;
}

function nameOf({ leader }: Pick<PublisherConfig, 'leader'>): string {
  return leader.name ?? hostname().slice(0, 64);
}

export interface LeaderGround extends Omit<CommandGround, 'root'> {
  readonly root: () => VerifiedRoot;
  readonly log: Log;
  readonly complaints: Complaints;
  /** A newer version came from another publisher. */
  readonly adopted: (entry: PublishedList) => void;
}

const topics = { store: 'leader.store', state: 'leader.state' } as const;

/** The seat of the publisher that runs. Throws ConfigError for files that cannot be read. */
export async function openLeadership(ground: LeaderGround): Promise<Leadership> {
  const { config, history } = ground;
  const { url = '', engine: kind } = config.leader;
  const name = nameOf(config);
  if (kind === 'file') {
    const engine = buildFileEngine(history, { name, url });
    const keeper = keeperOf(ground, engine, { knownRevision: () => 0 });
    const writer = buildLocalWriter(history, () => keeper.standing());
    return leadershipOf(ground, keeper, writer, () => undefined);
  }
  const { engine, close } = await openEtcd(ground.directory, config);
  const { root, adopted, listKey } = ground;
  const writer: SharedWriter = new SharedWriter({
    ...{ engine, history, clock, listKey, root, adopted },
    async seat() {
      const now = keeper.standing();
      if (now.kind === 'leader') return now.token;
      throw notLeader(now.holder, now.why);
    },
    fenced: (token) => keeper.fenced(token),
  });
  const keeper = keeperOf(ground, engine, {
    knownRevision: () => writer.knownRevision(),
    seen: (look) => writer.follow(look),
  });
  return leadershipOf(ground, keeper, writer, close);
}

type Seeing = Pick<ConstructorParameters<typeof OfficeKeeper>[0], 'knownRevision' | 'seen'>;

function keeperOf({ log, complaints, config }: LeaderGround, engine: SeatEngine, seeing: Seeing) {
  return new OfficeKeeper({
    ...{ engine, clock, random, lookEveryMs: pace[config.leader.engine], ...seeing },
    changed(now) {
      if (now.kind === 'leader') log.info('leader.took', { token: now.token });
      else log.warn('leader.left', { why: now.why, leads: now.holder?.name });
    },
    failed: (error) => tellFailure(complaints, error),
  });
}

/** Two kinds of trouble: the store does not answer, or holds what is not proven. */
function tellFailure(complaints: Complaints, error: PilotfishError | undefined): void {
  const isStore = error?.reason.startsWith('leader_') === true;
  for (const topic of [topics.store, topics.state]) {
    if (error === undefined || (topic === topics.store) !== isStore) complaints.end(topic);
    else complaints.begin(topic, `${error.code} ${error.reason}: ${error.message}`);
  }
}

function leadershipOf(
  { config, history }: LeaderGround,
  keeper: OfficeKeeper,
  writer: Writer | SharedWriter,
  close: () => void,
): Leadership {
  return {
    writer,
    isShared: writer instanceof SharedWriter,
    leads: () => keeper.standing().kind === 'leader',
    seed: async () => {
      if (writer instanceof SharedWriter) await writer.seed();
    },
    looked: () => keeper.looked(),
    status() {
      const { engine } = config.leader;
      const name = nameOf(config);
      const now = keeper.standing();
      const leads = now.kind === 'leader';
      const sinceAtMs = Math.round(clock.nowMs() - (clock.monotonicMs() - keeper.sinceMs()));
      const holder = leads ? { name, url: config.leader.url ?? '' } : now.holder;
      return {
        ...{ engine, name, leads, sinceAtMs, term: history.newest()?.term ?? 0 },
        why: leads ? `it has the seat with token ${now.token}` : now.why,
        ...(holder === undefined ? {} : { holder: { name: holder.name, url: holder.url } }),
      };
    },
    async run(signal) {
      try {
        await keeper.run(signal);
      } finally {
        close();
      }
    },
  };
}
