/** `explain AGENT`: why this agent is where it is, from its report, its list and the hash. Pure. */
import type { ManagerList } from '../../list/model.ts';
import { renderPosition } from '../../list/position.ts';
import { shareOf } from '../../list/rollout.ts';
import { rankManagers } from '../../list/select.ts';
import type { AgentEvent, AgentRow } from './agent-book.ts';
import { isBehindBalancer, standingOf, type Target } from './standing.ts';

export interface ExplainGround {
  readonly row: AgentRow;
  readonly target: Target;
  /** The list that the agent holds, while this publisher still has it. */
  readonly held: ManagerList | undefined;
  /** Per cent of its weight that a busy manager gets now, by id. */
  readonly shares?: Readonly<Record<string, number>> | undefined;
  /** Newest first. */
  readonly events: readonly AgentEvent[];
  readonly nowMs: number;
}

export interface Explanation {
  readonly agent: string;
  readonly lines: readonly string[];
  readonly ranking: readonly {
    readonly id: string;
    readonly state: string;
    readonly verdict: string;
  }[];
  readonly events: readonly AgentEvent[];
}

export function explainAgent(ground: ExplainGround): Explanation {
  const { row, target, held, nowMs } = ground;
  const { report } = row;
  const standing = standingOf(row, target, nowMs);
  const place = {
    agentId: report.place,
    ...(report.zone === undefined ? {} : { zone: report.zone }),
  };
  const verdicts = new Map(report.health.map(({ id, verdict }) => [id, verdict]));
  const ranking = (held === undefined ? [] : rankManagers(held.managers, place)).map(
    ({ id, state }) => ({ id, state, verdict: verdicts.get(id) ?? 'unknown' }),
  );
  const lines = [
    `reported ${Math.round((nowMs - row.receivedAtMs) / 1_000)} s ago: ${report.os} agent ${report.agentVersion ?? '?'}, sidecar ${report.sidecar}, group ${report.group}, site ${report.site}, zone ${report.zone ?? 'none'}`,
    ...skewLine(ground),
    `${standing.state}: ${standing.reason}`,
    `holds ${report.list === undefined ? 'no list' : renderPosition(report.list.position)}, should hold ${renderPosition(standing.target)}`,
    ...waveLines(ground),
    whyManager(ground, ranking),
    ...zoneLine(ground),
    ...shareLine(ground),
    `its own last reason: ${report.why === '' ? 'none given' : report.why}`,
    ...moveLines(ground),
  ];
  return { agent: report.agent, lines, ranking, events: ground.events };
}

function waveLines({ row, target }: ExplainGround): readonly string[] {
  if (target.rollout === undefined || target.stable === undefined) return [];
  const share = shareOf(target.rollout, row.report.place);
  const { pct } = target.rollout;
  const side = share < pct ? 'in the wave' : 'not yet in the wave';
  return [
    `rollout ${target.rollout.id}: its place is ${share.toFixed(2)} %, the wave is at ${pct} %: ${side}`,
  ];
}

function whyManager({ row, held }: ExplainGround, ranking: Explanation['ranking']): string {
  const { manager, connected, mode } = row.report;
  if (isBehindBalancer(row.report))
    return 'behind a load balancer of list.balancers: which manager it is on, the balancer knows';
  if (manager === undefined)
    return connected ? 'connected to a manager that its list does not name' : 'not connected';
  if (held === undefined) return `on ${manager}; its list is no longer kept here`;
  const rank = ranking.findIndex(({ id }) => id === manager);
  if (rank < 0) return `on ${manager}, which its list does not name`;
  if (rank === 0) return `on ${manager}: the first of its own order (hash of agent and manager)`;
  const passed = ranking.slice(0, rank).map(({ id, verdict }) => `${id} (${verdict})`);
  return `on ${manager}, number ${rank + 1} of its own order, after ${passed.join(', ')}; mode ${mode}: an agent that fares well is not moved back at once`;
}

/** Other agents dial other addresses: say which one this agent has. */
function zoneLine({ row: { report }, held }: ExplainGround): readonly string[] {
  const { manager, zone } = report;
  const own = held?.managers.find(({ id }) => id === manager);
  const special = own?.addresses?.find((one) => one.zone === zone);
  if (own === undefined || special === undefined) return [];
  const { address, port = own.port } = special;
  return [`dials ${own.id} at ${address} port ${port}, its address for zone ${special.zone}`];
}

/** Managers that are too busy draw fewer agents; those that are there stay. */
function shareLine({ shares = {} }: ExplainGround): readonly string[] {
  const told = Object.entries(shares).map(([id, share]) => `${id} ${share} %`);
  return told.length === 0
    ? []
    : [`weights follow the load: ${told.join(', ')} of what was configured`];
}

function moveLines({ row: { report } }: ExplainGround): readonly string[] {
  const { move, result } = report;
  const at = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
  return [
    ...(move === undefined
      ? []
      : [`last order: ${move.kind} to ${move.to} at ${at(move.at)}, ${move.outcome}`]),
    ...(result === undefined
      ? []
      : [
          `its applier ended: ${result.outcome}${result.code === undefined ? '' : ` ${result.code}`} at ${at(result.at)}`,
        ]),
  ];
}

const skewMs = 600_000;

function skewLine({ row: { report, receivedAtMs } }: ExplainGround): readonly string[] {
  const offMs = report.at - receivedAtMs;
  if (Math.abs(offMs) < skewMs) return [];
  return [
    `its clock is ${Math.round(Math.abs(offMs) / 1_000)} s ${offMs > 0 ? 'ahead' : 'behind'}`,
  ];
}
