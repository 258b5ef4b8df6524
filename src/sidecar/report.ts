/** What `status`, `check` and the dashboard read: one plain JSON value of the last cycle. Pure. */

import type { ApplierReport } from '../applier/report.ts';
import type { FaultCounts } from '../dns/exchange.ts';
import type { PilotfishError } from '../errors.ts';
import { isJsonObject } from '../guards.ts';
import { verdictOf } from '../health/judge.ts';
import { expiresAtMs } from '../list/freshness.ts';
import { renderPosition } from '../list/position.ts';
import { rootStatus } from '../list/root.ts';
import type { CycleReport } from './cycle.ts';
import { connectionOf } from './decide-connection.ts';
import { heldNow } from './held.ts';
import { type NodeStatus, nodeAlarms, nodeStatus } from './report-node.ts';
import type { RankedList, RelaySeen, Seen } from './seen.ts';
import { type SourceFault, staleAlarmPolls } from './source.ts';
import type { HoldReason, Step } from './step.ts';

export interface ManagerStatus {
  readonly id: string;
  readonly address: string;
  readonly port: number;
  /** What the list says: `up`, `drain`, `down`. */
  readonly state: string;
  /** What it adds up to here. */
  readonly verdict: string;
  readonly sinceAtMs?: number;
  readonly seen?: string;
  /** 1 is this agent's first choice; absent for managers it never uses. */
  readonly rank?: number;
  readonly isCurrent: boolean;
  /** Absent for managers whose node was never asked for. */
  readonly node?: NodeStatus;
}

export interface Alarm {
  readonly level: 'warning' | 'critical';
  readonly text: string;
}

export interface StatusReport {
  readonly atMs: number;
  readonly agentId: string;
  readonly org: string;
  readonly group: string;
  readonly site: string;
  readonly agent?: {
    readonly installed: boolean;
    readonly version?: string;
    readonly running: boolean;
    readonly status: string;
    readonly connectedTo?: string;
  };
  readonly list?: {
    readonly position: string;
    readonly hash: string;
    readonly acceptedAtMs: number;
    readonly expiresAtMs: number;
    readonly pending?: string;
  };
  readonly rootVersion: number;
  readonly freshAtMs?: number;
  readonly stalePolls: number;
  readonly managers: readonly ManagerStatus[];
  /** Absent where no relay is configured. */
  readonly relay?: RelaySeen;
  readonly step: Step;
  readonly trace: readonly string[];
  /** The last thing that was ordered, and how it ended. */
  readonly lastAttempt?: CycleReport['memory']['attempts'][number];
  readonly lastResult?: CycleReport['result'];
  readonly faults: readonly {
    readonly source: string;
    readonly error: ReturnType<PilotfishError['toJSON']>;
  }[];
  readonly alarms: readonly Alarm[];
  /** Forged, damaged or oversized DNS answers since the start, by kind; absent while there are none. */
  readonly dnsRefused?: Partial<FaultCounts>;
  /** Drift and spending of the applier; absent where its state may not be read. */
  readonly applier?: ApplierReport;
}

/**
 * Is this a status as this program tells it? Around an upgrade another version has written the
 * file, and whoever looks must not stumble over what is missing in it.
 */
export function isStatusReport(value: unknown): value is StatusReport {
  if (!isJsonObject(value)) return false;
  const { atMs, agentId, stalePolls, rootVersion, step, managers, alarms, trace, faults } = value;
  return (
    [atMs, stalePolls, rootVersion].every((one) => typeof one === 'number') &&
    typeof agentId === 'string' &&
    isJsonObject(step) &&
    [managers, alarms, faults].every((list) => Array.isArray(list) && list.every(isJsonObject)) &&
    Array.isArray(trace)
  );
}

/** `faults`: what the last poll met; cycles between two polls bring no news of their own. */
export function reportOf(
  cycle: CycleReport,
  agentId: string,
  faults: readonly SourceFault[] = cycle.news.flatMap((news) => news.faults),
): StatusReport {
  const { memory, trust, list, seen, decision, result } = cycle;
  const lastAttempt = memory.attempts.at(-1);
  return {
    atMs: cycle.atMs,
    agentId,
    org: trust.token.org,
    group: trust.audience.group,
    site: trust.audience.site,
    ...(seen === undefined || list === undefined ? {} : { agent: agentStatus(cycle, list, seen) }),
    ...(list === undefined ? {} : { list: listStatus(cycle, list) }),
    rootVersion: trust.newest.root.version,
    ...(memory.freshAtMs === undefined ? {} : { freshAtMs: memory.freshAtMs }),
    stalePolls: memory.stalePolls,
    managers: list === undefined ? [] : managerStatuses(cycle, list),
    ...(seen?.relay === undefined ? {} : { relay: seen.relay }),
    step: decision.step,
    trace: decision.trace,
    ...(lastAttempt === undefined ? {} : { lastAttempt }),
    ...(result === undefined ? {} : { lastResult: result }),
    faults: faults.map(({ source, error }) => ({ source, error: error.toJSON() })),
    alarms: [...alarmsOf(cycle), ...faultAlarms(faults)].sort(worstFirst),
  };
}

/** The status with what the applier knows; its alarms stand among the others, worst first. */
export function withApplier(
  status: StatusReport,
  applier: ApplierReport,
  alarms: readonly Alarm[],
): StatusReport {
  return { ...status, applier, alarms: [...status.alarms, ...alarms].sort(worstFirst) };
}

function worstFirst(left: Alarm, right: Alarm): number {
  return Number(left.level !== 'critical') - Number(right.level !== 'critical');
}

/** Refusals for want of trust are alarms at once; an unreachable publisher shows in the stale polls. */
export function faultAlarms(faults: readonly SourceFault[]): readonly Alarm[] {
  return faults.flatMap(trustAlarm);
}

function trustAlarm({ source, error }: SourceFault): readonly Alarm[] {
  const text = `${error.code} ${error.reason} from ${source}: ${error.message}`;
  if (/^E4(01|02|03|06|10|13)$/.test(error.code)) return [warning(text)];
  return error.exit === 4 ? [critical(text)] : [];
}

function agentStatus({ memory }: CycleReport, list: RankedList, seen: Seen) {
  const { installed, version, running, status } = seen.agent;
  const connection = connectionOf({ memory, list, seen });
  return {
    installed,
    ...(version === undefined ? {} : { version }),
    running,
    status,
    ...(connection.kind === 'listed' ? { connectedTo: connection.manager.id } : {}),
    ...(connection.kind === 'unlisted' ? { connectedTo: connection.address } : {}),
  };
}

function listStatus({ trust }: CycleReport, { list, hash, acceptedAtMs }: RankedList) {
  const { pending } = trust;
  return {
    position: renderPosition(list),
    hash,
    acceptedAtMs,
    expiresAtMs: expiresAtMs(list),
    ...(pending === undefined ? {} : { pending: renderPosition(pending.position) }),
  };
}

function managerStatuses(
  { seen, memory, atMs }: CycleReport,
  list: RankedList,
): readonly ManagerStatus[] {
  const connection = seen === undefined ? undefined : connectionOf({ memory, list, seen });
  return list.list.managers.map(({ id, address, port, state }) => {
    const health = seen?.health.get(id);
    const node = seen === undefined ? undefined : nodeStatus(id, seen, atMs);
    const rank = list.ranking.findIndex((one) => one.id === id) + 1;
    return {
      id,
      address,
      port,
      state,
      verdict: verdictOf(state, health),
      ...(health === undefined ? {} : { sinceAtMs: health.sinceAtMs, seen: health.seen }),
      ...(rank === 0 ? {} : { rank }),
      isCurrent: connection?.kind === 'listed' && connection.manager.id === id,
      ...(node === undefined ? {} : { node }),
    };
  });
}

/** Everything that somebody should look at, worst first. */
function alarmsOf(cycle: CycleReport): readonly Alarm[] {
  const { memory, trust, list, seen, decision, atMs } = cycle;
  const held = heldNow(memory, seen?.pause, atMs);
  const alarms: (Alarm | false | undefined)[] = [
    seen?.file.kind === 'refused' && critical(`ossec.conf: ${seen.file.why}`),
    seen?.agent.running === false && critical('the agent is not running'),
    seen?.agent.running && isAway(seen) && critical('the agent is not connected'),
    seen?.relay?.kind === 'refused' && critical(`no relay: ${seen.relay.code} ${seen.relay.why}`),
    list === undefined && critical('no list was ever accepted here'),
    decision.step.kind === 'hold' && holdAlarm(decision.step),
    held !== undefined && appliedAlarm(held, atMs),
    memory.stalePolls >= staleAlarmPolls &&
      warning(`E406 no proof of freshness in ${memory.stalePolls} polls; the last good list stays`),
    list !== undefined &&
      memory.stalePolls > 0 &&
      atMs >= expiresAtMs(list.list) &&
      warning('the list has expired; it stays in use'),
    rootStatus(trust.newest.root, atMs) === 'expired' && warning('E304 the root has expired'),
    ...(list === undefined || seen === undefined ? [] : nodeAlarms(list, seen, atMs).map(warning)),
  ];
  return alarms.filter((one) => one !== false && one !== undefined);
}

/** Waiting for the right moment is no fault; being kept from acting is. */
const patient: readonly HoldReason[] = [
  'paused',
  'upgrade_running',
  'agent_reconnecting',
  'slot',
  'cooldown',
  'min_apply_interval',
  'native_loop',
  'coming_back',
  'asking',
  'window',
  'freeze',
  'apply_held', // told with its cause
];

function holdAlarm({ reason }: { readonly reason: HoldReason }): Alarm {
  const text = `held: ${reason}`;
  return patient.includes(reason) ? warning(text) : critical(text);
}

/** What the applier last said no to, while it is not asked again. */
function appliedAlarm(held: { readonly untilMs: number; readonly why: string }, atMs: number) {
  return critical(
    `not applied, asked again in ${Math.ceil((held.untilMs - atMs) / 1000)} s: ${held.why}`,
  );
}

function isAway({ agent }: Seen): boolean {
  return agent.waiting || (agent.peers.length === 0 && agent.status !== 'connected');
}

function warning(text: string): Alarm {
  return { level: 'warning', text };
}

function critical(text: string): Alarm {
  return { level: 'critical', text };
}
