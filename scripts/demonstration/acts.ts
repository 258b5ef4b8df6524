/**
 * The play: a list arrives, then the manager in use is killed, the next one is hung, the third is
 * drained. Each fault is healed and seen healthy before the next one.
 */
import { renderDuration } from '../../src/cli/terminal.ts';
import { eventually } from '../../test/fakes/processes.ts';
import { serverAddresses } from './outside.ts';
import type { Stage, StageManager } from './stage.ts';
import type { Timeline } from './timeline.ts';

export interface ActResult {
  readonly fault: 'none' | 'killed' | 'hung' | 'drained';
  readonly from: string;
  readonly to: string;
  /** From the fault (drain: from the lost connection) until a live manager has the agent. */
  readonly awayMs: number;
  /** Server entries of ossec.conf afterwards. */
  readonly servers: readonly string[];
}

const patienceMs = 40_000;

interface Session {
  readonly manager: StageManager;
  readonly atMs: number;
}

/** The newest `agent_connected` of all managers at or after `sinceMs`. */
export function sessionSince(
  stage: Stage,
  sinceMs: number,
  except?: StageManager,
): Session | undefined {
  return stage.managers
    .filter((manager) => manager !== except)
    .flatMap((manager) =>
      manager.process.events
        .filter((event) => event.event === 'agent_connected' && event.atMs >= sinceMs)
        .map((event) => ({ manager, atMs: event.atMs })),
    )
    .sort((left, right) => left.atMs - right.atMs)[0];
}

export async function listArrives(stage: Stage, timeline: Timeline): Promise<ActResult> {
  stage.startSidecar();
  const wanted = stage.managers.map(({ address }) => address).sort();
  await eventually(
    'ossec.conf names every manager of the list',
    () => [...serverAddresses(stage.home.readConfig())].sort().join() === wanted.join(),
    patienceMs,
  );
  const servers = serverAddresses(stage.home.readConfig());
  timeline.add('sidecar', `list proven, written to ossec.conf: ${servers.join(', ')}`, 'good');
  const current = await currentSession(stage);
  timeline.add('agent', `connected to ${current.manager.id} all the time, no restart`, 'good');
  return { fault: 'none', from: '-', to: current.manager.id, awayMs: 0, servers };
}

/** Who has the agent now. One that was cut off may never hear that the agent left: the newest counts. */
export function currentSession(stage: Stage): Promise<Session> {
  const look = (): Session | undefined =>
    stage.managers
      .filter(({ process }) => process.isRunning)
      .flatMap((manager) => {
        const last = manager.process.events.findLast(({ event }) =>
          ['agent_connected', 'agent_lost'].includes(event),
        );
        return last?.event === 'agent_connected' ? [{ manager, atMs: last.atMs }] : [];
      })
      .sort((left, right) => right.atMs - left.atMs)[0];
  return eventually('the agent is connected', look, patienceMs);
}

export async function managerFails(
  stage: Stage,
  timeline: Timeline,
  fault: 'killed' | 'hung',
): Promise<ActResult> {
  const { manager } = await currentSession(stage);
  const sinceMs = Date.now();
  if (fault === 'killed') await manager.process.kill();
  else manager.process.stop();
  const how = fault === 'killed' ? 'killed (SIGKILL)' : 'hung (SIGSTOP: accepts, says nothing)';
  timeline.add(manager.id, `${how}, while the agent is on it`, 'fault', sinceMs);
  const found = await eventually(
    `the agent is on another manager than ${manager.id}`,
    () => sessionSince(stage, sinceMs, manager),
    patienceMs,
  );
  const awayMs = found.atMs - sinceMs;
  timeline.add(
    'agent',
    `on ${found.manager.id}, away ${renderDuration(awayMs)}`,
    'good',
    found.atMs,
  );
  const servers = await written(stage, found.manager);
  timeline.add('sidecar', `ossec.conf: ${servers.join(', ')}`);
  await heal(stage, timeline, manager, fault);
  return { fault, from: manager.id, to: found.manager.id, awayMs, servers };
}

/** A move puts its target first. */
async function written(stage: Stage, target: StageManager): Promise<readonly string[]> {
  return eventually(
    `${target.id} stands first in ossec.conf`,
    () => {
      const servers = serverAddresses(stage.home.readConfig());
      return servers[0] === target.address && servers;
    },
    patienceMs,
  );
}

async function heal(
  stage: Stage,
  timeline: Timeline,
  manager: StageManager,
  fault: 'killed' | 'hung',
): Promise<void> {
  if (fault === 'killed') await stage.revive(manager);
  else manager.process.cont();
  timeline.add(manager.id, fault === 'killed' ? 'started again' : 'goes on');
  await stage.seenAs(manager, 'up', patienceMs);
  timeline.add('sidecar', `sees ${manager.id} up again; the agent stays where it is`, 'good');
}

export async function managerDrains(stage: Stage, timeline: Timeline): Promise<ActResult> {
  const { manager } = await currentSession(stage);
  const sinceMs = Date.now();
  stage.publisherRun('drain', manager.id);
  timeline.add('operator', `pilotfish-publisher drain ${manager.id}`, 'fault', sinceMs);
  const found = await eventually(
    `the agent has left ${manager.id}`,
    () => sessionSince(stage, sinceMs, manager),
    patienceMs,
  );
  const lost = manager.process.events.findLast(
    (event) => event.event === 'agent_lost' && event.atMs >= sinceMs,
  );
  const awayMs = Math.max(0, found.atMs - (lost?.atMs ?? sinceMs));
  timeline.add(
    'agent',
    `on ${found.manager.id}, ${renderDuration(found.atMs - sinceMs)} after the order, away ${renderDuration(awayMs)}`,
    'good',
    found.atMs,
  );
  const servers = await written(stage, found.manager);
  timeline.add('sidecar', `ossec.conf: ${servers.join(', ')}`);
  stage.publisherRun('undrain', manager.id);
  timeline.add('operator', `pilotfish-publisher undrain ${manager.id}`);
  await stage.seenAs(manager, 'up', patienceMs);
  timeline.add('sidecar', `sees ${manager.id} up again; the agent stays where it is`, 'good');
  return { fault: 'drained', from: manager.id, to: found.manager.id, awayMs, servers };
}
