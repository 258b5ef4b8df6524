/**
 * What a running publisher shows to Prometheus. Everything is computed from what is known when it
 * is asked for; labels are manager ids of the list, and words of closed sets, so their number is
 * bounded whatever agents and nodes call themselves. Never an agent's id (anchors 3.3).
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Clock } from '../../clock.ts';
import type { Health } from '../../health/judge.ts';
import type { Manager } from '../../list/model.ts';
import type { Complaint } from '../complaints.ts';
import type { FollowFacts } from '../follow/follower.ts';
import { listExpiresAtMs, type PublishedList } from '../history.ts';
import type { AgentEvent, AgentRow } from '../reports/agent-book.ts';
import type { ReportCounts } from '../reports/report-desk.ts';
import { type State, standingOf, type Target } from '../reports/standing.ts';

/** What is asked when somebody looks. */
export interface FleetView {
  newest(): PublishedList | undefined;
  target(): Target | undefined;
  managers(): readonly Manager[];
  healths(): ReadonlyMap<string, Health>;
  rows(): Iterable<AgentRow>;
  reports(): ReportCounts | undefined;
  complaints(): readonly Complaint[];
  /** Sidecars that wait for a change. */
  waiting(): number;
  lagMs(): number;
  /** Does this publisher sign? */
  leads(): boolean;
  rootExpiresAtMs(): number;
  /** How far each manager's keys are behind, where the cluster tells; milliseconds. */
  keyLagsMs(): ReadonlyMap<string, number>;
  /** Present on a follower: where its list came from. */
  readonly followed?: () => FollowFacts | undefined;
  readonly version: string;
}

export interface FleetMetrics {
  readonly contentType: string;
  render(): Promise<string>;
  /** Told of everything that changed for an agent. */
  note(event: AgentEvent): void;
}

const prefix = 'pilotfish_publisher_';
const states: readonly State[] = ['on_target', 'waiting', 'behind', 'failed', 'away', 'silent'];
/** Words of our own; anything else that is heard counts as `other`. */
const refusals = [
  'wrong_mac',
  'replayed',
  'bad_report',
  'too_fast',
  'too_many',
  'too_big',
  'no_keys',
];
const outcomes = ['moved', 'written', 'unchanged', 'restored', 'refused', 'held'];
/** A look at 100 000 agents takes a tenth of a second: whoever asks more often gets the last answer. */
const cacheMs = 2_000;

export function buildFleetMetrics(view: FleetView, clock: Clock): FleetMetrics {
  const registry = new Registry();
  const gauges = buildGauges(registry);
  const live = buildLive(registry);
  let cached: { readonly atMs: number; readonly text: Promise<string> } | undefined;
  const look = (): Promise<string> => {
    fill(gauges, view, clock.nowMs());
    return registry.metrics();
  };
  return {
    contentType: registry.contentType,
    render() {
      const nowMs = clock.monotonicMs();
      if (cached === undefined || nowMs - cached.atMs >= cacheMs) {
        cached = { atMs: nowMs, text: look() };
      }
      return cached.text;
    },
    note: (event) => noteEvent(live, view, event),
  };
}

function buildLive(registry: Registry) {
  const registers = [registry];
  return {
    moves: new Counter({
      name: `${prefix}moves_total`,
      help: 'Agents that were reported on another manager than before.',
      registers,
    }),
    results: new Counter({
      name: `${prefix}applies_total`,
      help: 'How appliers ended, as reported.',
      labelNames: ['result'] as const,
      registers,
    }),
    ack: new Histogram({
      name: `${prefix}publish_to_ack_seconds`,
      help: 'From signing a version to the report of an agent that holds it.',
      buckets: [1, 2, 5, 10, 30, 60, 120, 300, 900, 3_600],
      registers,
    }),
  };
}

function noteEvent(live: ReturnType<typeof buildLive>, view: FleetView, event: AgentEvent): void {
  const { kind, text, atMs } = event;
  if (kind === 'manager' && text.includes(' -> ')) live.moves.inc();
  if (kind === 'result') {
    const word = text.split(' ')[0] ?? '';
    live.results.inc({ result: outcomes.includes(word) ? word : 'other' });
  }
  const newest = view.newest();
  if (kind !== 'list' || newest === undefined) return;
  const { epoch, term, version, issuedAtMs } = newest;
  if (text === `holds ${epoch}/${term}/${version}`) {
    live.ack.observe(Math.max(0, atMs - issuedAtMs) / 1_000);
  }
}

/** One gauge each; `labelNames` are its own. */
function buildGauges(registry: Registry) {
  const gauge = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
    new Gauge({ name: `${prefix}${name}`, help, labelNames, registers: [registry] });
  return {
    info: gauge('build_info', 'The program that runs.', 'version'),
    leader: gauge('leader', '1 where this publisher signs new versions.'),
    followedInfo: gauge('followed_info', 'Where the list of a follower came from.', 'source'),
    followedTaken: gauge(
      'followed_taken_timestamp_seconds',
      'When a follower took the list that it serves.',
    ),
    followedFresh: gauge(
      'followed_fresh_timestamp_seconds',
      'When the writer last proved that this is its newest list; 0: it did not yet.',
    ),
    listVersion: gauge('list_version', 'Version that is served.'),
    listEpoch: gauge('list_epoch', 'Epoch of the list that is served.'),
    listAge: gauge('list_age_seconds', 'Since the list that is served was signed.'),
    listExpiry: gauge('list_expiry_timestamp_seconds', 'When the list that is served expires.'),
    rootExpiry: gauge('root_expiry_timestamp_seconds', 'When the newest root expires.'),
    nodes: gauge('nodes', 'Managers by what the list says of them.', 'state'),
    up: gauge('manager_up', 'The manager answers the probes of this publisher.', 'manager'),
    weight: gauge('node_weight', 'Share of agents, as listed.', 'manager'),
    nodeAgents: gauge('node_agents', 'Agents that report from this manager.', 'manager'),
    imbalance: gauge(
      'imbalance_ratio',
      'Agents of the fullest manager over its share by weight; 1 is even.',
    ),
    rollout: gauge('rollout_agents', 'Agents by where they stand.', 'phase'),
    rolloutPct: gauge('rollout_percent', 'Share of agents that the wave admits; 100: everybody.'),
    subscribers: gauge('subscribers', 'Sidecars that wait for a change.'),
    reports: gauge('reports_seen', 'Reports since the start, by what became of them.', 'result'),
    keyLag: gauge('keys_sync_lag_seconds', 'How far client.keys of a node is behind.', 'node'),
    troubles: gauge('troubles', 'What is wrong around this publisher, 1 each.', 'topic'),
    lag: gauge('event_loop_lag_seconds', 'How late the event loop is.'),
  };
}

type Gauges = ReturnType<typeof buildGauges>;

function fill(gauges: Gauges, view: FleetView, nowMs: number): void {
  gauges.info.set({ version: view.version }, 1);
  gauges.leader.set(view.leads() ? 1 : 0);
  fillFollowed(gauges, view);
  gauges.rootExpiry.set(view.rootExpiresAtMs() / 1_000);
  gauges.subscribers.set(view.waiting());
  gauges.lag.set(view.lagMs() / 1_000);
  fillList(gauges, view.newest(), nowMs);
  fillManagers(gauges, view);
  fillAgents(gauges, view, nowMs);
  fillReports(gauges, view.reports());
  gauges.keyLag.reset();
  for (const [node, lagMs] of view.keyLagsMs()) gauges.keyLag.set({ node }, lagMs / 1_000);
  gauges.troubles.reset();
  for (const { topic } of view.complaints()) gauges.troubles.set({ topic }, 1);
}

/** One source at a time, out of the few that are configured. */
function fillFollowed(gauges: Gauges, { followed }: FleetView): void {
  const facts = followed?.();
  gauges.followedInfo.reset();
  if (facts === undefined) return;
  gauges.followedInfo.set({ source: facts.source }, 1);
  gauges.followedTaken.set(facts.takenAtMs / 1_000);
  gauges.followedFresh.set((facts.freshAtMs ?? 0) / 1_000);
}

function fillList(gauges: Gauges, newest: PublishedList | undefined, nowMs: number): void {
  if (newest === undefined) return;
  gauges.listVersion.set(newest.version);
  gauges.listEpoch.set(newest.epoch);
  gauges.listAge.set((nowMs - newest.issuedAtMs) / 1_000);
  gauges.listExpiry.set(listExpiresAtMs(newest) / 1_000);
  const { rollout } = newest;
  gauges.rolloutPct.set(rollout === undefined ? 100 : rollout.pct);
}

function fillManagers(gauges: Gauges, view: FleetView): void {
  const managers = view.managers();
  const healths = view.healths();
  for (const one of [gauges.nodes, gauges.up, gauges.weight]) one.reset();
  for (const state of ['up', 'drain', 'down'] as const) {
    gauges.nodes.set({ state }, managers.filter((manager) => manager.state === state).length);
  }
  for (const { id, weight } of managers) {
    gauges.up.set({ manager: id }, Number(healths.get(id)?.verdict === 'up'));
    gauges.weight.set({ manager: id }, weight);
  }
}

function fillAgents(gauges: Gauges, view: FleetView, nowMs: number): void {
  const target = view.target();
  const managers = view.managers();
  const counts = new Map(managers.map(({ id }) => [id, 0]));
  const standing = new Map<State, number>(states.map((state) => [state, 0]));
  for (const row of view.rows()) {
    const { manager } = row.report;
    const before = manager === undefined ? undefined : counts.get(manager);
    // A manager that the list does not name gets no label of its own.
    if (manager !== undefined && before !== undefined) counts.set(manager, before + 1);
    if (target === undefined) continue;
    const { state } = standingOf(row, target, nowMs);
    standing.set(state, (standing.get(state) ?? 0) + 1);
  }
  gauges.nodeAgents.reset();
  for (const [manager, count] of counts) gauges.nodeAgents.set({ manager }, count);
  for (const [phase, count] of standing) gauges.rollout.set({ phase }, count);
  gauges.imbalance.set(imbalanceOf(managers, counts));
}

/** Over the managers that take agents; 1 where nobody reports. */
export function imbalanceOf(
  managers: readonly Manager[],
  counts: ReadonlyMap<string, number>,
): number {
  const open = managers.filter(({ state, weight }) => state === 'up' && weight > 0);
  const weights = open.reduce((total, { weight }) => total + weight, 0);
  const agents = open.reduce((total, { id }) => total + (counts.get(id) ?? 0), 0);
  if (weights === 0 || agents === 0) return 1;
  return Math.max(
    ...open.map(({ id, weight }) => (counts.get(id) ?? 0) / ((agents * weight) / weights)),
  );
}

function fillReports(gauges: Gauges, counts: ReportCounts | undefined): void {
  if (counts === undefined) return;
  gauges.reports.reset();
  gauges.reports.set({ result: 'taken' }, counts.taken);
  for (const name of refusals) gauges.reports.set({ result: name }, counts.refused[name] ?? 0);
}
