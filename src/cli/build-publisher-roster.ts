/** The roster of a running publisher from real parts. */
import { resolve } from 'node:path';
import { LocalClient } from '../cluster/local/local-client.ts';
import { ConfigError, PeerError, PilotfishError } from '../errors.ts';
import type { Health } from '../health/judge.ts';
import { dialUnix, localSocketPath } from '../host/cluster-local-socket.ts';
import { readManagerHome } from '../host/manager-home.ts';
import { readBounded } from '../host/read-bounded.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import { buildWazuhApi } from '../host/wazuh-api.ts';
import type { Log } from '../log.ts';
import type { Complaints } from '../publisher/complaints.ts';
import { stableOf } from '../publisher/daemon.ts';
import type { ListService } from '../publisher/list-service.ts';
import { rosterOrder } from '../publisher/orders.ts';
import { type PublishDesk, publish } from '../publisher/publish.ts';
import type { AgentRow } from '../publisher/reports/agent-book.ts';
import { ClaimBook } from '../publisher/roster/claims.ts';
import { keepRoster, type RosterParts } from '../publisher/roster/keep-roster.ts';
import { knownReadiness } from '../publisher/roster/readiness.ts';
import { type RunningStatus, seenRound } from '../publisher/status/running.ts';
import type { ClusterNode } from './build-cluster.ts';
import { nodeLags } from './build-cluster-status.ts';
import type { Peers } from './build-publisher-peers.ts';
import type { PublisherConfig } from './publisher-config.ts';
import { type RosterConfig, readinessSettingsOf } from './roster-config.ts';

export interface RosterGround {
  readonly desk: () => PublishDesk;
  readonly service: Pick<ListService, 'serve'>;
  readonly config: () => PublisherConfig;
  /** Relative paths are below it. */
  readonly folder: string;
  readonly healths: () => ReadonlyMap<string, Health>;
  readonly rows: () => Iterable<AgentRow>;
  /** Our own node of the cluster, while it runs. */
  readonly ownNode: () => ClusterNode | undefined;
  /** Only then is anything published. */
  readonly leads: () => boolean;
  /** This host is being stopped. */
  readonly isLeaving: () => boolean;
  /** What publishers that stand by said of the managers of their hosts. */
  readonly told: () => ReadonlyMap<string, boolean>;
  /** What publishers that stand by see of the managers. */
  readonly voices: Peers['voices'];
  readonly noteRound: (seen: NonNullable<RunningStatus['roster']>) => void;
  readonly log: Log;
  readonly complaints: Complaints;
}

/** Until `signal` aborts; at once where no roster is kept. */
export async function runRoster(ground: RosterGround, signal: AbortSignal): Promise<void> {
  const { desk, config, log, complaints } = ground;
  if (!config().roster.enabled) return;
  const { history } = desk();
  const content = history.newest()?.content;
  const listed = () => history.newest()?.content.managers ?? config().configured.managers;
  const offered = listed()
    .map(({ id }) => id)
    .filter((id) => content?.unready?.includes(id) !== true);
  const parts: RosterParts = {
    clock,
    log,
    complaints,
    managers: listed,
    nodeOf: (id) => config().nodes.get(id),
    healths: ground.healths,
    rows: ground.rows,
    claims: new ClaimBook(),
    ...asking(ground),
    ...(ground.voices === undefined ? {} : { peers: ground.voices }),
    noteRound: (views, round) =>
      ground.noteRound(seenRound(views, round, clock.nowMs(), ground.voices?.seen())),
    settings: () => {
      const { roster } = config();
      const { site, interval: everyMs, maxAge: maxAgeMs } = roster;
      return { ...readinessSettingsOf(roster), everyMs, maxAgeMs, site };
    },
    async publish(unready, round) {
      if (!ground.leads()) return;
      const names = unready.map((id) => `${id}: ${round.readiness.get(id)?.why ?? ''}`);
      const detail = names.length === 0 ? 'all are ready' : names.join('; ').slice(0, 500);
      const { configured, roster } = config();
      const here = ground.isLeaving() ? undefined : roster.local;
      const leaving = leavingManagers(ground, here);
      const order = rosterOrder(configured, unready, detail, leaving);
      const { kind, entry } = await publish(desk(), order);
      if (kind === 'published')
        ground.service.serve(entry, stableOf(history, entry, clock.nowMs()));
    },
  };
  await keepRoster(parts, knownReadiness(offered, clock.nowMs()), signal);
}

/** The manager of this host runs, so it is not leaving; of workers our own master was told. */
function leavingManagers(
  { config, ownNode, told: words }: RosterGround,
  here: string | undefined,
): ReadonlyMap<string, boolean> {
  const nodes = ownNode()?.leaving() ?? new Map<string, boolean>();
  const { configured, nodes: nodeNames } = config();
  const told = configured.managers.flatMap(({ id }) => {
    const isLeaving = nodes.get(nodeNames.get(id) ?? '');
    return isLeaving === undefined ? [] : [[id, isLeaving] as const];
  });
  return new Map([...words(), ...told, ...(here === undefined ? [] : [[here, false] as const])]);
}

type Asking = Pick<RosterParts, 'askCluster' | 'lagsOf' | 'readLocal'>;

/** *beside*: the node whose home is named; *member*, *whole*: our own node, in this process. */
function asking(ground: RosterGround): Asking {
  const { roster, cluster } = ground.config();
  const home = roster.home ?? cluster?.home;
  const asked = askingOf(ground);
  const { local } = roster;
  if (local === undefined || home === undefined) return asked;
  return {
    ...asked,
    async readLocal() {
      const seen = await readManagerHome(home);
      return new Map(seen === undefined ? [] : [[local, seen]]);
    },
  };
}

function askingOf(ground: RosterGround): Asking {
  const { roster, cluster } = ground.config();
  if (roster.home !== undefined) return askingSocket(roster.home);
  if (roster.api !== undefined) return askingApi(roster.api, ground.folder);
  return cluster === undefined ? {} : askingOwnNode(ground);
}

function askingApi(settings: NonNullable<RosterConfig['api']>, folder: string): Asking {
  const { url, user, passwordFile, pin } = settings;
  const path = resolve(folder, passwordFile);
  const api = buildWazuhApi({
    ...{ url, user, clock, pins: [pin] },
    async readPassword() {
      const bytes = await readBounded(path, maxPasswordBytes);
      if (bytes !== undefined) return bytes.toString('utf8').trim();
      throw new ConfigError('config_unreadable', `${path} cannot be read`);
    },
  });
  return { askCluster: (signal) => api.health(signal) };
}

const maxPasswordBytes = 1_024;

function askingSocket(home: string): Asking {
  const dial = (signal: AbortSignal) => dialUnix(clock, localSocketPath(home), signal);
  const client = new LocalClient({ clock, random, dial });
  return { askCluster: (signal) => client.health(null, { signal }) };
}

function askingOwnNode({ ownNode, complaints }: RosterGround): Asking {
  return {
    async askCluster(signal) {
      const node = ownNode();
      if (node === undefined) throw new PeerError('not_found', 'our own node does not run');
      return node.health(signal);
    },
    lagsOf(name) {
      try {
        const lags = nodeLags(name, ownNode()?.data);
        complaints.end('roster.lags');
        return lags;
      } catch (thrown) {
        if (!(thrown instanceof PilotfishError)) throw thrown;
        complaints.begin('roster.lags', thrown.message);
        return undefined;
      }
    },
  };
}
