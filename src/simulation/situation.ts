/** What one sidecar of the world sees, put together for the real `decide`. */
import type { Health } from '../health/judge.ts';
import type { Manager } from '../list/model.ts';
import { chanceOf } from '../list/select.ts';
import { connectionOf } from '../sidecar/decide-connection.ts';
import type { Situation } from '../sidecar/decide-view.ts';
import type { Memory } from '../sidecar/memory.ts';
import type { FileSeen, RankedList, Seen, ServerSeen } from '../sidecar/seen.ts';
import type { AgentFacts } from '../wazuh/agent-facts.ts';
import { agentIdOf, agentState, neverLooked } from './fleet.ts';
import type { Published } from './published-list.ts';
import { chanceFor, rankingsOf } from './rankings.ts';
import { isInRelay, relaySeen } from './relay-seen.ts';
import { addressOf, relayAt, type World } from './world.ts';

/** This agent's own order of the list it has just taken, by the real `rankManagers`. */
export function rankAgent(world: World, agent: number): void {
  const { fleet, logic } = world;
  const number = world.listByHash.get(fleet.memory[agent]?.list?.hash ?? '') ?? -1;
  const published = world.lists[number];
  if (published === undefined) return;
  const place = { agentId: agentIdOf(agent), zone: 'z' };
  const ask = (): readonly number[] =>
    logic
      .rank(published.list.managers, place, (agentId, id) =>
        chanceOfPair(world, agent, agentId, id),
      )
      .map(({ id }) => numberOf(id));
  fleet.rankingLength[agent] = rankingsOf(world).rank(agent, published, ask);
  fleet.rankedList[agent] = number;
}

/** Managers of other worlds (a rogue list names one) are asked each time. */
function chanceOfPair({ fleet }: World, agent: number, agentId: string, id: string): number {
  const number = numberOf(id);
  const isOwn = number >= 0 && number < fleet.width && agentId === agentIdOf(agent);
  return isOwn ? chanceFor(fleet, agent, number) : chanceOf(agentId, id);
}

const numbers = new Map(Array.from({ length: 100 }, (_, number) => [`m${number}`, number]));

/** -1 for a manager that is not of this world. */
export function numberOf(id: string): number {
  return numbers.get(id) ?? -1;
}

export function publishedOf(world: World, agent: number): Published | undefined {
  return world.lists[world.fleet.rankedList[agent] ?? -1];
}

/** The list in use in this agent's own order. */
export function rankedListOf(world: World, agent: number): RankedList | undefined {
  const published = publishedOf(world, agent);
  const accepted = world.fleet.memory[agent]?.list;
  if (published === undefined || accepted === undefined) return undefined;
  return {
    list: published.list,
    hash: published.hash,
    acceptedAtMs: accepted.acceptedAtMs,
    ranking: rankingOf(world, agent, published),
  };
}

/** By manager id, as the probes of this host have it. */
export function healthOf({ fleet, lists }: World, agent: number): ReadonlyMap<string, Health> {
  const health = new Map<string, Health>();
  lists[fleet.rankedList[agent] ?? -1]?.byNumber.forEach((manager, number) => {
    const one = fleet.health[agent * fleet.width + number];
    if (manager !== undefined && one !== undefined) health.set(manager.id, one);
  });
  return health;
}

export function situationOf(world: World, agent: number): Situation | undefined {
  const memory = world.fleet.memory[agent];
  const list = rankedListOf(world, agent);
  if (list === undefined || memory === undefined) return undefined;
  const seen = seenOf(world, agent);
  return {
    memory: withLastManager(memory, list, seen),
    list,
    seen,
    policy: world.policy,
    agentId: agentIdOf(agent),
    nowMs: world.wallMs(agent),
  };
}

function rankingOf(world: World, agent: number, { byNumber }: Published): readonly Manager[] {
  const { fleet } = world;
  const ranking: Manager[] = [];
  for (let place = 0; place < (fleet.rankingLength[agent] ?? 0); place += 1) {
    const manager = byNumber[fleet.ranking[agent * fleet.width + place] ?? -1];
    if (manager !== undefined) ranking.push(manager);
  }
  return ranking;
}

/** Where the agent is connected now is where it was last, as `sidecar/situation.ts` has it. */
function withLastManager(memory: Memory, list: RankedList, seen: Seen): Memory {
  const connection = connectionOf({ memory, list, seen });
  if (connection.kind !== 'listed' || connection.manager.id === memory.lastManager) return memory;
  return { ...memory, lastManager: connection.manager.id };
}

function seenOf(world: World, agent: number): Seen {
  const { fleet } = world;
  const health = healthOf(world, agent);
  const relay = relaySeen(world, agent);
  const facts = factsOf(world, agent);
  const lostSinceAtMs = watchLoss(world, agent, facts);
  const foundAtMs = fleet.foundAtMs[agent] ?? Number.NaN;
  const stuckForMs = fleet.isAway(agent)
    ? world.nowMs - (fleet.lastHeardMs[agent] ?? world.nowMs)
    : 0;
  return {
    agent: facts,
    file: fileOf(world, agent),
    health,
    ...(relay === undefined ? {} : { relay }),
    ...(lostSinceAtMs === undefined ? {} : { lostSinceAtMs }),
    ...(Number.isNaN(foundAtMs) ? {} : { foundAtMs }),
    ...(facts.running ? { stuckForMs } : {}),
  };
}

function factsOf(world: World, agent: number): AgentFacts {
  const { fleet, nowMs } = world;
  const state = fleet.state[agent];
  const looksConnected =
    state === agentState.connected || state === agentState.doomed || state === agentState.wedged;
  const isRunning = state !== agentState.stopped;
  const heardMs = fleet.isAway(agent) ? (fleet.lastHeardMs[agent] ?? nowMs) : nowMs;
  return {
    installed: true,
    version: '4.14.8',
    running: isRunning,
    pids: isRunning ? [1] : [],
    status: looksConnected ? 'connected' : 'disconnected',
    waiting: isRunning && !looksConnected,
    stateWrittenAtMs: world.wallMs(agent),
    lastAckAtMs: world.wallMs(agent, heardMs),
    lastKeepaliveAtMs: world.wallMs(agent, heardMs),
    msgSent: Math.floor(heardMs / 1000),
    msgBuffer: state === agentState.wedged ? Math.min(5_000, Math.floor((nowMs - heardMs) / 5)) : 0,
    peers: peersOf(world, agent, looksConnected),
    upgrade: undefined,
  };
}

function peersOf(world: World, agent: number, looksConnected: boolean): AgentFacts['peers'] {
  const manager = world.fleet.on[agent] ?? -1;
  if (isInRelay(world, agent)) return [relayAt];
  return looksConnected && manager >= 0 ? [{ address: addressOf(manager), port: 1514 }] : [];
}

/** What the loss watch keeps of a connected agent. */
export function noteConnected(world: World, agent: number): void {
  const { fleet } = world;
  const isNew = !Number.isNaN(fleet.lostSinceMs[agent] ?? Number.NaN);
  if (isNew) fleet.foundAtMs[agent] = world.wallMs(agent);
  fleet.lostSinceMs[agent] = Number.NaN;
}

/** The same rule as `sidecar/loss-watch.ts`, without an object per agent. */
function watchLoss(world: World, agent: number, facts: AgentFacts): number | undefined {
  const { fleet } = world;
  const wallMs = world.wallMs(agent);
  const isLost = facts.running && (facts.waiting || facts.peers.length === 0);
  const since = fleet.lostSinceMs[agent] ?? Number.NaN;
  // A process that just started was not there when it happened: the last ack tells.
  const heardMs = since === neverLooked ? (facts.lastAckAtMs ?? wallMs) : wallMs;
  if (!isLost) noteConnected(world, agent);
  else if (!(since > neverLooked && since <= wallMs)) {
    fleet.lostSinceMs[agent] = Math.min(heardMs, wallMs);
  }
  return isLost ? (fleet.lostSinceMs[agent] ?? wallMs) : undefined;
}

function fileOf(world: World, agent: number): FileSeen {
  const { fleet } = world;
  if (fleet.isFileWhole[agent] !== 1) {
    return { kind: 'refused', code: 'E504', why: 'the file is cut off' };
  }
  const servers: ServerSeen[] = fleet.fileHasRelay[agent] === 1 ? [world.relayEntry] : [];
  for (let place = 0; place < (fleet.fileLength[agent] ?? 0); place += 1) {
    const manager = fleet.entry(agent, place);
    servers.push(world.entries[manager] ?? world.stranger);
  }
  return { kind: 'readable', dialect: '4', servers, hash: 'sha256:file' };
}
