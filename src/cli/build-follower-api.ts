/** The API and the page of a follower: what it serves, from where, how it is. It takes no orders. */
import { resolve } from 'node:path';
import type { ConfigError } from '../errors.ts';
import { followTokens } from '../host/api-token-file.ts';
import { openAudit } from '../host/audit-database.ts';
import { readJournal } from '../host/event-journal.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import type { Log } from '../log.ts';
import type { Origin } from '../publisher/api/answers.ts';
import type { ApiWorld } from '../publisher/api/world.ts';
import { buildBoard } from '../publisher/board/board.ts';
import { LoadHistory } from '../publisher/board/load-history.ts';
import type { Complaints } from '../publisher/complaints.ts';
import type { ConnectionLedger } from '../publisher/connection-ledger.ts';
import type { FollowedHistory } from '../publisher/follow/followed-history.ts';
import type { Follower } from '../publisher/follow/follower.ts';
import type { ListService } from '../publisher/list-service.ts';
import { targetOf } from '../publisher/rollout/overview.ts';
import type { ClusterNode } from './build-cluster.ts';
import { type OpenedApi, openPage } from './build-publisher-api.ts';
import { followerError } from './build-publisher-office.ts';
import type { ServedView } from './build-publisher-view.ts';
import type { PublisherConfig } from './publisher-config.ts';
import { gateSettingsOf } from './rollout-config.ts';
import { versionText } from './version.ts';

export interface FollowerApiGround {
  readonly path: string;
  readonly config: PublisherConfig;
  readonly log: Log;
  readonly complaints: Complaints;
  readonly ledger: ConnectionLedger;
  readonly service: ListService;
  readonly follower: Follower;
  readonly history: FollowedHistory;
  readonly view: ServedView;
  /** Our own node of the cluster, while it runs. */
  readonly node: () => ClusterNode | undefined;
}

/** Undefined where `api.enabled` is off. Throws HostError `store_failed` for the audit log. */
export function openFollowerApi(
  ground: FollowerApiGround,
  stop: AbortSignal,
): OpenedApi | undefined {
  const { config, path, complaints } = ground;
  if (!config.api.enabled) return undefined;
  const audit = openAudit(resolve(path, config.files.audit));
  return {
    world: worldOf(ground, audit, stop),
    ...(config.api.page ? { page: () => openPage(complaints) } : {}),
    run: async () => undefined,
    close: () => audit.close(),
  };
}

/** E046, with where the writer is. Throws TypeError where nobody is followed. */
export function refusalOf({ path, config }: Pick<FollowerApiGround, 'path' | 'config'>) {
  const { follow } = config;
  if (follow === undefined) throw new TypeError('not the directory of a follower');
  return (): ConfigError => followerError(path, follow);
}

function originOf({ config, follower }: FollowerApiGround): Origin {
  const { from = [], token } = config.follow ?? {};
  const urls = [...from, ...(token?.publishers ?? [])].filter((one) => one.startsWith('https://'));
  return {
    kind: 'follower',
    writer: urls[0] ?? '',
    sources: [...from],
    ...follower.facts,
  };
}

function worldOf(ground: FollowerApiGround, audit: ApiWorld['audit'], stop: AbortSignal): ApiWorld {
  const { path, config, log, complaints, ledger, history, view } = ground;
  const refuse = refusalOf(ground);
  const nobody = new Map<string, number>();
  return {
    ...{ clock, log, history, audit, stop, waiters: ledger },
    tokens: followTokens(resolve(path, config.files.tokens), clock, complaints),
    refuses: ({ audited, isOfAgents }) =>
      audited !== undefined || isOfAgents === true ? refuse() : undefined,
    desk() {
      throw refuse();
    },
    configured() {
      throw refuse();
    },
    serveNewest: () => undefined,
    rows: () => [],
    agents: () => 0,
    row: () => undefined,
    loads: () => nobody,
    events: () => [],
    recent: () => [],
    journal: () => readJournal(path),
    board: boardOf(ground),
    loadHistory: new LoadHistory([]),
    fileStates: () => ground.node()?.data?.book,
    target() {
      const newest = history.newest();
      return newest && targetOf(newest, undefined);
    },
    healths: () => view.healths(),
    complaints: () => complaints.list(),
    origin: () => originOf(ground),
  };
}

function boardOf(ground: FollowerApiGround) {
  const { config, service, complaints, view } = ground;
  const nobody = new Map<string, number>();
  return buildBoard({
    clock,
    org: config.org,
    program: versionText(),
    served: () => service.served()?.entry,
    find: () => undefined,
    markOf: () => undefined,
    frozen: () => undefined,
    gate: (agents) => gateSettingsOf(config.rollout, agents),
    rows: () => [],
    agents: () => 0,
    loads: () => nobody,
    healths: () => view.healths(),
    roster: () => undefined,
    nodeOf: () => undefined,
    complaints: () => complaints.list(),
    waiting: () => service.waiting(),
    origin: () => originOf(ground),
  });
}
