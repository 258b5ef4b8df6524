/** One node of the cluster as a process runs it: in one role for good, or in the role of the hour. */
import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ReadConfig } from '../cluster/config.ts';
import type { ClusterJson } from '../cluster/files/cluster-json.ts';
import type { ListDesk } from '../cluster/tasks/list-courier.ts';
import { NodeLog } from '../cluster/tasks/node-log.ts';
import { HostError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { ClusterLogFile, handOverLog } from '../host/cluster-log-file.ts';
import { type Account, becomeAccount, findAccount, isRoot } from '../host/manager-account.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import type { Log } from '../log.ts';
import type { RolePorts } from '../promotion/ports.ts';
import type { RoleKeeper } from '../promotion/role-keeper.ts';
import { Complaints } from '../publisher/complaints.ts';
import { editionOf, type ManagerEdition } from '../wazuh/manager-edition.ts';
import { buildClusterNode, type ClusterNode, type NodeOptions } from './build-cluster.ts';
import { advertiseOf } from './build-cluster-addresses.ts';
import { writeStatus } from './build-cluster-status.ts';
import { nodeIn, type OpenedRole, openRole, workersOf } from './build-promotion.ts';
import type { NodeFlags } from './cluster-commands.ts';
import type { ClusterSection } from './cluster-config.ts';
import type { PublisherConfig } from './publisher-config.ts';

export interface Prepared extends ReadConfig {
  readonly section: ClusterSection;
  readonly home: string;
  /** The manager's own configuration; undefined: its options are in publisher.yml. */
  readonly configPath: string | undefined;
  readonly version: string;
  readonly edition: ManagerEdition;
  readonly cluster: ClusterJson;
  readonly debugLevel: number;
  /** Where the seat of the master is, when the role moves. */
  readonly seat: Pick<PublisherConfig, 'leader' | 'org'> | undefined;
}

export interface Told {
  readonly events: Log;
  readonly lists?: ListDesk;
  readonly complaints?: RolePorts['complaints'];
  onNode(node: ClusterNode | undefined): void;
}

/** Until `signal` aborts; at once when the cluster is disabled. Throws HostError, ConfigError. */
export async function runPrepared(
  prepared: Prepared,
  flags: NodeFlags,
  told: Told,
  signal: AbortSignal,
): Promise<void> {
  const { config, notes, home, version, section, debugLevel } = prepared;
  if (config.disabled) return;
  await mkdir(flags.dir, { recursive: true, mode: 0o700 });
  const user = section.user ?? editionOf(version).user;
  const owner = isRoot() ? findAccount(user) : undefined;
  if (isRoot() && owner === undefined) {
    throw new HostError('not_found', `no user ${user} on this host, see cluster.user`);
  }
  if (owner !== undefined) handOverLog(home, owner);
  const role = await openRoleOf(prepared, flags, told);
  if (!flags.keepsRoot && owner !== undefined) becomeAccount(owner);
  const { isForeground } = flags;
  const log = new ClusterLogFile({ home, clock, events: told.events, debugLevel, isForeground });
  const nodeLog = new NodeLog(log, 'Cluster');
  for (const { level, text } of notes) {
    if (level === 'INFO') nodeLog.info(text);
    else nodeLog.warning(text);
  }
  const ground = { prepared, flags, told, log, owner: flags.keepsRoot ? owner : undefined };
  const sayStop = (): void => nodeLog.info(stopText(config.nodeType, messageOf(signal.reason)));
  signal.addEventListener('abort', sayStop, { once: true });
  try {
    if (role === undefined) await runNode(ground, { config }, signal);
    else await runMoving(ground, role.keeper, signal);
  } catch (error) {
    if (!signal.aborted) nodeLog.error(messageOf(error));
    throw error;
  } finally {
    signal.removeEventListener('abort', sayStop);
    log.close();
    await role?.close();
  }
}

/** Before the node becomes another user: its key files may be root's. */
async function openRoleOf(
  { section, seat, config, home, edition, configPath }: Prepared,
  { dir }: NodeFlags,
  { events, complaints = new Complaints(events, clock.nowMs) }: Told,
): Promise<OpenedRole | undefined> {
  const { promotion } = section;
  if (promotion.mode === 'off' || seat === undefined) return undefined;
  const parts = { home, config, edition, configPath, complaints };
  return openRole({ ...seat, ...parts, directory: resolve(dir), section: promotion, log: events });
}

interface NodeGround {
  readonly prepared: Prepared;
  readonly flags: NodeFlags;
  readonly told: Told;
  readonly log: ClusterLogFile;
  readonly owner: Account | undefined;
}

/** The same node in the role that is its own at the time. */
function runMoving(ground: NodeGround, keeper: RoleKeeper, signal: AbortSignal): Promise<void> {
  const { config } = ground.prepared;
  return keeper.run(signal, (assignment, until, listening) =>
    runNode(ground, nodeIn(assignment, config, keeper), until, (node) =>
      listening(() => workersOf(node)),
    ),
  );
}

async function runNode(
  { prepared, flags, told, log, owner }: NodeGround,
  role: Pick<NodeOptions, 'config' | 'fence'>,
  signal: AbortSignal,
  onListening: (node: ClusterNode) => void = () => undefined,
): Promise<void> {
  const { home, version, cluster, section } = prepared;
  const { events, lists, onNode } = told;
  const { peers, maxConnectionsPerAddress, daemons, lameDuck: lameDuckMs } = section;
  const stateFolder = resolve(flags.dir);
  const node = buildClusterNode({
    ...{ ...role, home, stateFolder, version, cluster, peers, maxConnectionsPerAddress, daemons },
    // A role that changes is no host that stops: its agents stay.
    lameDuckMs: role.fence === undefined ? lameDuckMs : 0,
    ...{ owner, log, events },
    ...(section.database === 'none' ? {} : { database: section.database }),
    ...(lists === undefined ? {} : { lists }),
    ...advertiseOf(section),
  });
  onNode(node);
  const ended = new AbortController(); // nothing is written of a node that could not start
  const either = AbortSignal.any([signal, ended.signal]);
  try {
    const running = node.run(signal, () => onListening(node)).finally(() => ended.abort());
    await Promise.all([running, writeStatus(node, role, stateFolder, either)]);
  } finally {
    onNode(undefined);
  }
}

/** As the stock daemon takes its leave. */
function stopText(role: 'master' | 'worker', why: string): string {
  if (why.includes('SIGINT')) return 'SIGINT received. Bye!';
  const more = role === 'master' ? ' Closing cluster connections gracefully.' : '';
  return `SIGNAL [(15)-(SIGTERM)] received.${more} Exit...`;
}
