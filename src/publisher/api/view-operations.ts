/** What the web page looks at, as operations of the API like any other. */
import * as z from 'zod';
import { momentOf } from '../../diagnosis/moments.ts';
import { incidentsOf, inOrder, type Moment } from '../../diagnosis/timeline.ts';
import { ConfigError } from '../../errors.ts';
import { maxHistory } from '../history.ts';
import { listOf } from '../publish.ts';
import { explainAgent } from '../reports/explain.ts';
import { publishedMoment, reportedMoment } from '../story.ts';
import * as answers from './answers.ts';
import type { Operation } from './operation.ts';
import type { ApiWorld } from './world.ts';

const minutes = (max: number, fallback: number) =>
  z.coerce.number().int().min(5).max(max).default(fallback).describe('how far back, minutes');
const week = 7 * 24 * 60;
const maxMoments = 10_000;
const maxIncidents = 50;
const slices = 96;
const maxPoints = 240;
/** So old may the count of agents be that is told to who asks once. */
const countAgeMs = 2_000;

export const viewOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: 'whoami',
    role: 'read',
    summary: 'The name, role and end of the token that asks',
    query: z.strictObject({}),
    answer: answers.who,
    run: async (_world, _query, { name, role, expiresAtMs }) => ({ name, role, expiresAtMs }),
  },
  {
    method: 'GET',
    path: 'overview',
    role: 'read',
    summary: 'Everything at a glance: troubles, managers, agents, rollout',
    query: z.strictObject({}),
    answer: answers.overview,
    async run({ board, clock }) {
      await board.count(countAgeMs);
      return { atMs: clock.nowMs(), ...board.look() };
    },
  },
  {
    method: 'GET',
    path: 'timeline',
    role: 'read',
    summary: 'What happened: incidents with their steps, and the newest moments',
    query: z.strictObject({
      minutes: minutes(week, 24 * 60),
      limit: z.coerce.number().int().min(1).max(500).default(200).describe('how many moments'),
    }),
    answer: answers.timeline,
    isHeavy: true,
    run: (world, query) => timelineOf(world, Number(query.minutes), Number(query.limit)),
  },
  {
    method: 'GET',
    path: 'explain',
    role: 'read',
    summary: 'Why an agent is where it is',
    query: z.strictObject({
      agent: z
        .string()
        .regex(/^[0-9]{1,12}$/, 'digits')
        .describe('id of the agent'),
    }),
    answer: answers.explanation,
    isOfAgents: true,
    run: async (world, { agent }) => explain(world, String(agent)),
  },
  {
    method: 'GET',
    path: 'files',
    role: 'read',
    summary: 'The sync status of files: which node lacks what, since when, why',
    query: z.strictObject({
      node: z
        .string()
        .regex(/^[\w.-]{1,64}$/)
        .optional()
        .describe('only of this node'),
      state: z.enum(['synchronized', 'pending', 'failed', 'invalid']).optional(),
      page: z.coerce.number().int().min(1).max(100_000).default(1).describe('page'),
      limit: z.coerce.number().int().min(1).max(500).default(50).describe('files on a page'),
    }),
    answer: answers.files,
    isHeavy: true,
    run: filesOf,
  },
  {
    method: 'GET',
    path: 'load',
    role: 'read',
    summary: 'Agents of every manager over time, at most a day',
    query: z.strictObject({ minutes: minutes(24 * 60, 60) }),
    answer: answers.load,
    isOfAgents: true,
    run: async ({ loadHistory, clock }, query) =>
      loadHistory.series(clock.nowMs() - Number(query.minutes) * 60_000, maxPoints),
  },
];

async function timelineOf(world: ApiWorld, back: number, limit: number): Promise<unknown> {
  const toMs = world.clock.nowMs();
  const fromMs = toMs - back * 60_000;
  const journal = await world.journal();
  const moments: readonly Moment[] = [
    // The history has every version; the journal only those that were served here.
    ...journal.filter(({ event }) => event !== 'list.served').map(momentOf),
    ...world.history.list(maxHistory).map(publishedMoment),
    ...world.recent(fromMs, maxMoments).map(reportedMoment),
  ];
  const seen = inOrder(moments.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs));
  const bars = new Array<number>(slices).fill(0);
  for (const { atMs } of seen) {
    const at = Math.min(slices - 1, Math.floor(((atMs - fromMs) / (toMs - fromMs)) * slices));
    bars[at] = (bars[at] ?? 0) + 1;
  }
  return {
    ...{ fromMs, toMs, bars, total: seen.length },
    incidents: incidentsOf(seen).slice(-maxIncidents).reverse(),
    moments: seen.slice(-limit).reverse(),
  };
}

/** Throws ConfigError `no_file_states`. */
async function filesOf(
  world: ApiWorld,
  query: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const states = world.fileStates();
  if (states === undefined) {
    const seen = 'this publisher runs no master of a cluster';
    throw new ConfigError('no_file_states', seen);
  }
  const { node, state, page, limit } = query;
  const { rows, total } = await states.page({
    nodes: node === undefined ? null : [String(node)],
    states: state === undefined ? null : [String(state)],
    offset: (Number(page) - 1) * Number(limit),
    limit: Number(limit),
  });
  return { files: rows, total };
}

/** Throws ConfigError `unknown_agent`, `unknown_version`. */
function explain(world: ApiWorld, agent: string): unknown {
  const target = world.target();
  if (target === undefined) throw new ConfigError('unknown_version', 'nothing was published yet');
  const row = world.row(agent) ?? world.row(agent.padStart(3, '0'));
  if (row === undefined) {
    throw new ConfigError('unknown_agent', `no agent ${agent} has reported here`);
  }
  const { list } = row.report;
  const held = world.history.find(list?.position.version ?? 0);
  return explainAgent({
    ...{ row, target, nowMs: world.clock.nowMs() },
    shares: world.history.newest()?.content.shares,
    held: held === undefined || held.hash !== list?.hash ? undefined : listOf(held),
    events: world.events(row.report.agent, 50),
  });
}
