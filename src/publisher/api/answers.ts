/** What the API answers, as schemas: the OpenAPI document and the web page take their types from here. */
import * as z from 'zod';
import { lags } from '../status/running.ts';

export const manager = z.object({
  id: z.string(),
  address: z.string(),
  port: z.number(),
  zone: z.string(),
  addresses: z
    .array(z.object({ zone: z.string(), address: z.string(), port: z.number().optional() }))
    .optional()
    .describe('what agents of other zones dial'),
  weight: z.number(),
  prio: z.number(),
  state: z.enum(['up', 'drain', 'down']),
  probe: z.string().describe('up, down or unknown, by the probes of this publisher'),
  agents: z.number().describe('that report from it'),
});

export const version = z.object({
  version: z.number(),
  epoch: z.number(),
  term: z.number(),
  reason: z.string(),
  detail: z.string(),
  hash: z.string(),
  issuedAtMs: z.number(),
});

export const outcome = version.extend({ outcome: z.enum(['published', 'unchanged']) });

export const trouble = z.object({
  topic: z.string(),
  message: z.string(),
  sinceAtMs: z.number(),
});

/** Who signs, as seen from the publisher that is asked. */
export const origin = z.object({
  kind: z
    .enum(['alone', 'leader', 'standby', 'follower'])
    .describe('alone and leader sign; standby and follower take no orders'),
  writer: z.string().describe('where orders are given; empty where that is not known now'),
  sources: z.array(z.string()).describe('of a follower: where it looks'),
  source: z.string().optional().describe('of a follower: where the list came from'),
  takenAtMs: z.number().optional(),
  freshAtMs: z.number().optional().describe('when the writer last vouched for it'),
});

export const status = z.object({
  origin,
  list: version.optional(),
  managers: z.number(),
  agents: z.number(),
  troubles: z.array(trouble),
});

export const agent = z.object({
  agent: z.string(),
  site: z.string(),
  group: z.string(),
  zone: z.string(),
  os: z.string(),
  version: z.string(),
  sidecar: z.string(),
  manager: z.string(),
  holds: z.string(),
  target: z.string(),
  state: z.string(),
  reason: z.string(),
  errors: z.string(),
  ageSec: z.number(),
});

export const agentPage = z.object({
  lines: z.array(agent),
  total: z.number(),
  pages: z.number(),
  states: z.record(z.string(), z.number()),
});

export const who = z.object({
  name: z.string(),
  role: z.enum(['read', 'operate', 'admin']),
  expiresAtMs: z.number(),
});

const ready = z.object({
  isReady: z.boolean(),
  why: z.string(),
  sinceAtMs: z.number(),
  isDamped: z.boolean(),
  cluster: z.string(),
  step: z.string().describe('in_step, or what its node lacks'),
  sites: z.array(z.string()),
  publishers: z.array(z.string()).optional().describe('what those that stand by see: `p2 up`'),
});

const fleetManager = manager.extend({
  share: z.number().describe('agents it would have by its weight'),
  node: z.string().describe('its node in the cluster'),
  role: z.string().optional().describe('master or worker, where the cluster tells'),
  ready: ready.optional().describe('where a roster is kept'),
  lags: lags.optional().describe('how far its node is behind, where our own master keeps it'),
});

const rollout = z.object({
  state: z.enum(['none', 'running', 'paused', 'aborting', 'frozen']),
  next: z.string().describe('what it waits for, or what comes next'),
  id: z.string().optional(),
  lane: z.string().optional(),
  stage: z.number().optional(),
  stages: z.array(z.object({ percent: z.number(), bakeMs: z.number() })),
  pct: z.number().describe('share of agents that the wave admits; 100: everybody'),
  startedAtMs: z.number().optional(),
  stageStartedAtMs: z.number().optional(),
  stableVersion: z.number().optional(),
  wave: z
    .object({
      known: z.number(),
      reported: z.number(),
      failed: z.number(),
      restored: z.number(),
    })
    .optional(),
  mark: z.object({ kind: z.string(), who: z.string(), why: z.string() }).optional(),
  shares: z.array(
    z.object({
      name: z.string().describe('all, or a site, system or version'),
      agents: z.number(),
      onNew: z.number(),
      failed: z.number(),
    }),
  ),
});

export const overview = z.object({
  atMs: z.number().describe('by the clock of the publisher'),
  org: z.string(),
  program: z.string(),
  origin,
  list: version.extend({ expiresAtMs: z.number() }).optional(),
  agents: z.number(),
  states: z.record(z.string(), z.number()).describe('agents by where they stand'),
  managers: z.array(fleetManager),
  guarded: z.string().optional().describe('why the roster takes nobody away'),
  rollout,
  troubles: z.array(trouble),
  waiting: z.number().describe('sidecars that wait for a change'),
});

export const files = z.object({
  files: z.array(
    z.object({
      node: z.string(),
      file: z.string(),
      state: z.enum(['synchronized', 'pending', 'failed', 'invalid']),
      sinceMs: z.number(),
      reason: z.string().optional(),
    }),
  ),
  total: z.number(),
});

const phase = z.enum(['detect', 'publish', 'apply', 'first event']);

export const timeline = z.object({
  fromMs: z.number(),
  toMs: z.number(),
  incidents: z.array(
    z.object({
      startedAtMs: z.number(),
      after: z.partialRecord(phase, z.number()).describe('milliseconds after its start'),
      allAppliedMs: z.number().optional(),
      moments: z.number(),
    }),
  ),
  total: z.number(),
  bars: z.array(z.number()).describe('how much happened, in even slices of the time'),
  moments: z.array(z.object({ atMs: z.number(), what: z.string(), phase: phase.optional() })),
});

export const explanation = z.object({
  agent: z.string(),
  lines: z.array(z.string()),
  ranking: z.array(z.object({ id: z.string(), state: z.string(), verdict: z.string() })),
  events: z.array(z.object({ atMs: z.number(), kind: z.string(), text: z.string() })),
});

export const load = z.object({
  times: z.array(z.number()),
  managers: z.array(z.object({ id: z.string(), agents: z.array(z.number().nullable()) })),
});

export const history = z.object({ history: z.array(version) });

export type Origin = z.output<typeof origin>;
export type ManagerAnswer = z.output<typeof fleetManager>;
export type OverviewAnswer = z.output<typeof overview>;
export type RolloutAnswer = z.output<typeof rollout>;
export type VersionAnswer = z.output<typeof version>;
export type HistoryAnswer = z.output<typeof history>;
export type AgentAnswer = z.output<typeof agent>;
export type AgentPageAnswer = z.output<typeof agentPage>;
export type ExplanationAnswer = z.output<typeof explanation>;
export type TimelineAnswer = z.output<typeof timeline>;
export type LoadAnswer = z.output<typeof load>;
export type WhoAnswer = z.output<typeof who>;
