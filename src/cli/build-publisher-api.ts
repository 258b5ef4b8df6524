/** The API of a running publisher from real parts; its tokens and its audit log for the commands too. */
import { join, resolve } from 'node:path';
import { sleep } from '../clock.ts';
import { ConfigError, HostError } from '../errors.ts';
import type { Health } from '../health/judge.ts';
import { followTokens } from '../host/api-token-file.ts';
import { openAudit } from '../host/audit-database.ts';
import { readJournal } from '../host/event-journal.ts';
import { openPublisherFolder } from '../host/publisher-folder.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import { readPage } from '../host/web-page.ts';
import type { Log } from '../log.ts';
import type { Origin } from '../publisher/api/answers.ts';
import { parseTokenFile, renderTokenFile, type TokenRecord } from '../publisher/api/token.ts';
import type { ApiWorld } from '../publisher/api/world.ts';
import { type Board, buildBoard } from '../publisher/board/board.ts';
import { LoadHistory, type LoadSample, sampleEveryMs } from '../publisher/board/load-history.ts';
import type { Complaints } from '../publisher/complaints.ts';
import type { ConnectionLedger } from '../publisher/connection-ledger.ts';
import { stableOf } from '../publisher/daemon.ts';
import type { Leadership } from '../publisher/leadership.ts';
import type { ListService } from '../publisher/list-service.ts';
import type { Page, PageReader } from '../publisher/page-route.ts';
import { targetOf } from '../publisher/rollout/overview.ts';
import type { RunningStatus } from '../publisher/status/running.ts';
import type { ClusterNode } from './build-cluster.ts';
import { readConfig } from './build-publisher-office.ts';
import type { ReportOffice } from './build-publisher-reports.ts';
import { calendarOf } from './build-publisher-rollout.ts';
import type { PublisherConfig } from './publisher-config.ts';
import type { AuditLog, PublisherOffice } from './publisher-host.ts';
import { gateSettingsOf } from './rollout-config.ts';
import { versionText } from './version.ts';

export interface ApiGround {
  readonly path: string;
  readonly office: PublisherOffice;
  readonly service: ListService;
  readonly ledger: ConnectionLedger;
  readonly complaints: Complaints;
  readonly reports: ReportOffice | undefined;
  readonly log: Log;
  readonly roots: PublisherOffice['roots'];
  readonly config: PublisherConfig;
  readonly roster: RunningStatus['roster'];
  /** Our own node of the cluster, while it runs. */
  readonly node: ClusterNode | undefined;
  readonly healths?: () => ReadonlyMap<string, Health>;
  readonly leadership: Leadership;
}

export interface OpenedApi {
  readonly world: ApiWorld;
  /** Absent where `api.page` is off. */
  readonly page?: PageReader;
  /** Until `stop` aborts. */
  run(): Promise<void>;
  close(): void;
}

/** Undefined where `api.enabled` is off. Throws HostError `store_failed` for the audit log. */
export function openApi(ground: ApiGround, stop: AbortSignal): OpenedApi | undefined {
  const { api, files } = ground.config;
  if (!api.enabled) return undefined;
  const audit = openAudit(resolve(ground.path, files.audit));
  const world = worldOf(ground, audit, stop);
  return {
    world,
    ...(api.page ? { page: () => openPage(ground.complaints) } : {}),
    run: () => keepLoads(world, ground, stop),
    close: () => audit.close(),
  };
}

/** Worth less than the list: without its files the publisher runs on, and tells. */
export async function openPage(complaints: Complaints): Promise<Page | undefined> {
  try {
    return await readPage();
  } catch (thrown) {
    if (!(thrown instanceof HostError)) throw thrown;
    complaints.begin('page.missing', thrown.message);
    return undefined;
  }
}

function worldOf(ground: ApiGround, audit: ApiWorld['audit'], stop: AbortSignal): ApiWorld {
  const { path, office, service, ledger, complaints, reports, log } = ground;
  const { history } = office;
  return {
    ...{ clock, log, history, audit, stop, waiters: ledger },
    tokens: followTokens(resolve(path, ground.config.files.tokens), clock, complaints),
    desk: () => ({ ...office.desk, root: ground.roots.newest.root }),
    configured: () => ground.config.configured,
    serveNewest() {
      const newest = history.newest();
      if (newest !== undefined) service.serve(newest, stableOf(history, newest, clock.nowMs()));
    },
    rows: () => reports?.book.rows() ?? [],
    agents: () => reports?.book.size() ?? 0,
    row: (agent) => reports?.book.row(agent),
    loads: () => reports?.book.loads() ?? new Map(),
    events: (agent, limit) => reports?.past?.events(agent, limit) ?? [],
    recent: (sinceMs, limit) => reports?.past?.recent(sinceMs, limit) ?? [],
    journal: () => readJournal(path),
    board: boardOf(ground),
    loadHistory: new LoadHistory(readLoads(ground)),
    fileStates: () => ground.node?.data?.book,
    target() {
      const newest = history.newest();
      if (newest === undefined) return undefined;
      const { rollout } = newest;
      return targetOf(newest, rollout && history.find(rollout.stableVersion));
    },
    healths: () => ground.healths?.() ?? new Map(),
    complaints: () => complaints.list(),
    origin: () => originOf(ground),
  };
}

/** The one that signs, by its URL where it tells one. */
function originOf({ leadership }: ApiGround): Origin {
  if (!leadership.isShared) return { kind: 'alone', writer: '', sources: [] };
  const { leads, holder } = leadership.status();
  const writer = holder === undefined ? '' : holder.url || holder.name;
  return { kind: leads ? 'leader' : 'standby', writer, sources: [] };
}

function boardOf(ground: ApiGround): Board {
  const { office, service, complaints, reports } = ground;
  const { history } = office;
  let calendar = calendarOf(ground.config.rollout);
  let built = ground.config.rollout;
  return buildBoard({
    clock,
    org: ground.config.org,
    program: versionText(),
    served: () => service.served()?.entry,
    find: (version) => history.find(version),
    markOf: (id) => history.markOf(id),
    frozen() {
      const { rollout } = ground.config;
      if (rollout !== built) calendar = calendarOf(rollout);
      built = rollout;
      return calendar(clock.nowMs());
    },
    gate: (agents) => gateSettingsOf(ground.config.rollout, agents),
    rows: () => reports?.book.rows() ?? [],
    agents: () => reports?.book.size() ?? 0,
    loads: () => reports?.book.loads() ?? new Map(),
    healths: () => ground.healths?.() ?? new Map(),
    roster: () => ground.roster,
    nodeOf: (manager) => ground.config.nodes.get(manager),
    complaints: () => complaints.list(),
    waiting: () => service.waiting(),
    origin: () => originOf(ground),
  });
}

const loadsTopic = 'loads.store';

/** A plot is worth less than the publisher: what cannot be read begins anew. */
function readLoads({ reports, complaints }: ApiGround): readonly LoadSample[] {
  return attempt(complaints, () => reports?.past?.loads()) ?? [];
}

/** What the page's plot shows; nobody else needs it. */
async function keepLoads(
  { board, loadHistory }: ApiWorld,
  { reports, complaints }: ApiGround,
  stop: AbortSignal,
): Promise<void> {
  while (!stop.aborted) {
    const loads = board.loads();
    if (loads.size > 0) {
      const atMs = clock.nowMs();
      loadHistory.note(atMs, loads);
      attempt(complaints, () => reports?.past?.addLoads({ atMs, loads }));
    }
    // Before the first list is served there is nobody to count.
    const waitMs = loads.size > 0 ? sampleEveryMs : 1_000;
    await sleep(clock, waitMs, stop).catch(() => undefined);
  }
}

function attempt<Value>(complaints: Complaints, work: () => Value): Value | undefined {
  try {
    const value = work();
    complaints.end(loadsTopic);
    return value;
  } catch (thrown) {
    if (!(thrown instanceof HostError)) throw thrown;
    complaints.begin(loadsTopic, thrown.message);
    return undefined;
  }
}

type TokenChange = (tokens: readonly TokenRecord[]) => readonly TokenRecord[];

/** Throws ConfigError when the file is damaged: what it held is not overwritten. */
export async function changeApiTokens(
  path: string,
  change: TokenChange | undefined,
): Promise<readonly TokenRecord[]> {
  const folder = openPublisherFolder(path);
  const { files } = await readConfig(folder);
  const text = await folder.read(files.tokens);
  const tokens = text === undefined ? [] : parseTokenFile(text);
  if (tokens === undefined) {
    const seen = `${join(path, files.tokens)} is damaged; remove it and make new tokens`;
    throw new ConfigError('config_unreadable', seen);
  }
  if (change === undefined) return tokens;
  const changed = change(tokens);
  await folder.write(files.tokens, renderTokenFile(changed));
  return changed;
}

export async function withAuditLog<Value>(
  path: string,
  work: (log: AuditLog) => Value,
): Promise<Value> {
  const { files } = await readConfig(openPublisherFolder(path));
  const log = openAudit(resolve(path, files.audit));
  try {
    return work(log);
  } finally {
    log.close();
  }
}
