/** The seat of this publisher from real parts: for the one that runs, and for commands beside it. */
import { hostname } from 'node:os';
import type { PilotfishError } from '../errors.ts';
import { openInstance, readInstance } from '../host/publisher-instance.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import type { Holder, LeaseEngine, SeatEngine } from '../leader/engine.ts';
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
import {
  buildLocalWriter,
  firstTerm,
  isNamesake,
  isSeatOf,
  notLeader,
  type SeatOwner,
  type Writer,
} from '../publisher/writer.ts';
import { openEtcdClient } from './build-etcd.ts';
import type { PublisherConfig } from './publisher-config.ts';

/** Between two looks, milliseconds: the own file is looked at for what cannot happen. */
const pace = { file: 5_000, etcd: 500 } as const;

/** Throws ConfigError for files that cannot be read. */
async function openEtcd(
  directory: string,
  config: Pick<PublisherConfig, 'leader' | 'org'>,
  instance: string | undefined,
): Promise<{ readonly engine: LeaseEngine; close(): void }> {
  const { client, door, prefix } = await openEtcdClient(directory, config);
  const { url = '', ttl } = config.leader;
  const named = { name: leaderName(config), ...(instance === undefined ? {} : { instance }) };
  const engine = buildEtcdEngine(client, { prefix, ttlMs: ttl, url, ...named });
  return { engine, close: () => door.close() };
}

export interface CommandGround {
  readonly directory: string;
  readonly config: PublisherConfig;
  readonly history: SeatedHistory;
  readonly root: VerifiedRoot;
  readonly listKey: SigningKey;
}

/** A command writes with the token of the publisher that runs in the same place; undefined: alone. */
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
  const own = { name: leaderName(config), instance: await readInstance(directory) };
  const { engine } = await openEtcd(directory, config, own.instance);
  const writer: SharedWriter = new SharedWriter({
    ...{ engine, history, clock, listKey },
    root: () => root,
    async seat() {
      const look = await engine.look(writer.knownRevision());
      const { holder } = look;
      if (holder === undefined || !isSeatOf(holder, own)) {
        throw notLeader(holder, 'the seat is empty; start `run`', own);
      }
      await writer.follow(look);
      return holder.token;
    },
  });
  return writer;
}

/** What this publisher is called among the others. */
export function leaderName({ leader }: Pick<PublisherConfig, 'leader'>): string {
  return leader.name ?? hostname().slice(0, 64);
}

export interface LeaderGround extends Omit<CommandGround, 'root'> {
  readonly root: () => VerifiedRoot;
  readonly log: Log;
  readonly complaints: Complaints;
  /** A newer version came from another publisher. */
  readonly adopted: (entry: PublishedList) => void;
}

const topics = { store: 'leader.store', state: 'leader.state', name: 'leader.name' } as const;

/** The seat of the publisher that runs. Throws ConfigError for files that cannot be read. */
export async function openLeadership(ground: LeaderGround): Promise<Leadership> {
  const { config, history } = ground;
  const { url = '', engine: kind } = config.leader;
  const name = leaderName(config);
  if (kind === 'file') {
    const engine = buildFileEngine(history, { name, url });
    const keeper = keeperOf(ground, engine, { knownRevision: () => 0 });
    const writer = buildLocalWriter(history, () => keeper.standing());
    return leadershipOf(ground, keeper, writer, () => undefined);
  }
  const own = { name, instance: await openInstance(ground.directory, random) };
  const { engine, close } = await openEtcd(ground.directory, config, own.instance);
  const { root, adopted, listKey } = ground;
  const writer: SharedWriter = new SharedWriter({
    ...{ engine, history, clock, listKey, root, adopted },
    async seat() {
      const now = keeper.standing();
      if (now.kind === 'leader') return now.token;
      throw notLeader(now.holder, now.why, own);
    },
    fenced: (token) => keeper.fenced(token),
  });
  const keeper = keeperOf(ground, engine, {
    knownRevision: () => writer.knownRevision(),
    seen(look) {
      tellNamesake(ground.complaints, look.holder, own);
      return writer.follow(look);
    },
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

function tellNamesake(complaints: Complaints, holder: Holder | undefined, own: SeatOwner): void {
  if (holder === undefined || !isNamesake(holder, own)) {
    complaints.end(topics.name);
    return;
  }
  const where = holder.url === '' ? '' : ` (${holder.url})`;
  complaints.begin(topics.name, `another publisher is called ${holder.name} as well${where}`);
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
      const name = leaderName(config);
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
