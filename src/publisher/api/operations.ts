/**
 * Everything the API does, as a table: its path, who may, what it takes, what it answers. The routes and
 * the OpenAPI document are both made from it. No operation takes a body or a path with parameters:
 * a request is at most one line of 4 KiB. Changes go through the orders of the command line.
 */
import * as z from 'zod';
import { ConfigError } from '../../errors.ts';
import { listedManagers } from '../content.ts';
import { type RolloutMark, versionOf } from '../history.ts';
import { drainOrder, publishConfigured, rollbackOrder, undrainOrder } from '../orders.ts';
import { type PublishOrder, publish } from '../publish.ts';
import { searchAgents } from '../reports/agent-search.ts';
import { markNewest, markRollout } from '../rollout/mark.ts';
import * as answers from './answers.ts';
import type { AuditEntry } from './audit.ts';
import type { Operation } from './operation.ts';
import { viewOperations } from './view-operations.ts';
import type { ApiWorld } from './world.ts';

const id = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, '1 to 64 of A-Z a-z 0-9 _ -');
const count = (max: number, fallback: number, text: string) =>
  z.coerce.number().int().min(1).max(max).default(fallback).describe(text);
const filter = z.string().max(200);

const reads: readonly Operation[] = [
  {
    method: 'GET',
    path: 'status',
    role: 'read',
    summary: 'The list that is served, and what is wrong',
    query: z.strictObject({}),
    answer: answers.status,
    async run({ history, agents, complaints, origin }) {
      const newest = history.newest();
      return {
        origin: origin(),
        ...(newest === undefined ? {} : { list: versionOf(newest) }),
        managers: newest === undefined ? 0 : listedManagers(newest.content).length,
        agents: agents(),
        troubles: complaints().map(({ topic, message, sinceAtMs }) => ({
          topic,
          message,
          sinceAtMs,
        })),
      };
    },
  },
  {
    method: 'GET',
    path: 'managers',
    role: 'read',
    summary: 'Every manager of the list, with its probe and its agents',
    query: z.strictObject({}),
    answer: z.object({ managers: z.array(answers.manager) }),
    run: async (world) => ({ managers: managersOf(world) }),
  },
  {
    method: 'GET',
    path: 'history',
    role: 'read',
    summary: 'Published versions, newest first',
    query: z.strictObject({ limit: count(100, 20, 'how many') }),
    answer: answers.history,
    run: async ({ history }, { limit }) => ({
      history: history.list(Number(limit)).map(versionOf),
    }),
  },
  {
    method: 'GET',
    path: 'agents',
    role: 'read',
    summary: 'Agents that report: filtered, sorted, by page',
    query: z.strictObject({
      filter: z
        .union([filter, z.array(filter).max(8)])
        .default([])
        .describe('COLUMN=TEXT or COLUMN!=TEXT; several must all hold'),
      sort: z.string().max(32).default('agent').describe('column to sort by'),
      reverse: z.enum(['true', 'false']).default('false').describe('the other way round'),
      search: z.string().max(64).default('').describe('a part of any column'),
      page: count(100_000, 1, 'page'),
      limit: count(1_000, 50, 'agents on a page'),
    }),
    answer: answers.agentPage,
    isHeavy: true,
    isOfAgents: true,
    async run({ rows, target, clock }, query) {
      const wanted = target();
      if (wanted === undefined)
        throw new ConfigError('unknown_version', 'nothing was published yet');
      const { filter: given, sort, reverse, search, page, limit } = query;
      const asked = {
        filters: [given].flat().map(String),
        sort: String(sort),
        isReverse: reverse === 'true',
        page: Number(page),
        limit: Number(limit),
        text: String(search),
      };
      return searchAgents(rows(), wanted, asked, clock);
    },
  },
];

const ifVersion = z.coerce
  .number()
  .int()
  .min(1)
  .max(Number.MAX_SAFE_INTEGER)
  .optional()
  .describe('refuse (409, E047) when somebody decided something after this version, see history');
const ifRollout = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, '1 to 64 of A-Z a-z 0-9 _ -')
  .optional()
  .describe('only this one; refused (409, E047) when another runs');

/** For the audit log: what was wanted, not what it was based on. */
function actionText(path: string, given: Readonly<Record<string, unknown>>): string {
  const { ifVersion: _, rollout: __, ...wanted } = given;
  return [path, ...Object.values(wanted)].join(' ').trim();
}

const why = z.string().max(200).default('').describe('for the others');

function change(
  path: string,
  summary: string,
  query: z.ZodObject,
  orderOf: (world: ApiWorld, query: Readonly<Record<string, unknown>>) => PublishOrder,
): Operation {
  return {
    method: 'POST',
    path,
    role: 'operate',
    summary,
    query: query.extend({ ifVersion }),
    answer: answers.outcome,
    audited: (given) => actionText(path, given),
    async run(world, given) {
      const looked = given.ifVersion === undefined ? {} : { ifVersion: Number(given.ifVersion) };
      const done = await publish(world.desk(), { ...orderOf(world, given), ...looked });
      world.serveNewest();
      return { ...versionOf(done.entry), outcome: done.kind };
    },
  };
}

function mark(path: string, kind: RolloutMark['kind'], summary: string): Operation {
  return {
    method: 'POST',
    path,
    role: 'operate',
    summary,
    query: z.strictObject({ why, rollout: ifRollout }),
    answer: z.object({ id: z.string(), kind: z.string(), who: z.string(), atMs: z.number() }),
    audited: (given) => actionText(path, given),
    async run({ history, clock, desk }, given, who) {
      const marked = markNewest(history, {
        ...{ kind, who: who.name, why: String(given.why) },
        ...(given.rollout === undefined ? {} : { id: String(given.rollout) }),
        atMs: clock.nowMs(),
      });
      await markRollout(desk(), marked);
      const { why: _, ...told } = marked;
      return told;
    },
  };
}

const named = z.strictObject({ manager: id.describe('id of the manager') });

const changes: readonly Operation[] = [
  change('drain', 'Agents leave a manager in their own time', named, ({ configured }, query) =>
    drainOrder(configured(), String(query.manager)),
  ),
  change('undrain', 'A drained manager is taken back', named, ({ configured }, query) =>
    undrainOrder(configured(), String(query.manager)),
  ),
  change(
    'rollback',
    'A new version with the content of an old one, for everybody at once',
    z.strictObject({ version: z.coerce.number().int().min(1).describe('see history') }),
    ({ configured, history }, query) => rollbackOrder(history, configured(), Number(query.version)),
  ),
  change('publish', 'The configuration as it stands, if it differs', z.strictObject({}), (world) =>
    publishConfigured(world.configured()),
  ),
  mark('rollout/pause', 'paused', 'Hold the next wave; a wave that fails still goes back'),
  mark('rollout/resume', 'resumed', 'Go on after a pause'),
  mark('rollout/abort', 'aborted', 'Go back to the version before, for everybody, at once'),
];

const entry = z.object({
  seq: z.number(),
  prev: z.string(),
  hash: z.string(),
  atMs: z.number(),
  who: z.string(),
  role: z.string(),
  from: z.string(),
  action: z.string(),
  outcome: z.string(),
});

const administration: readonly Operation[] = [
  {
    method: 'GET',
    path: 'audit',
    role: 'admin',
    summary: 'Who did what, newest first',
    query: z.strictObject({ limit: count(500, 50, 'how many') }),
    answer: z.object({ entries: z.array(entry) }),
    run: async ({ audit }, { limit }): Promise<{ entries: readonly AuditEntry[] }> => ({
      entries: audit.list(Number(limit)),
    }),
  },
  {
    method: 'GET',
    path: 'tokens',
    role: 'admin',
    summary: 'Tokens by name; their secrets are known to nobody',
    query: z.strictObject({}),
    answer: z.object({
      tokens: z.array(
        z.object({ id: z.string(), name: z.string(), role: z.string(), expiresAtMs: z.number() }),
      ),
    }),
    run: async ({ tokens }) => ({
      tokens: tokens().map(({ id: key, name, role, expiresAtMs }) => ({
        ...{ id: key, name, role, expiresAtMs },
      })),
    }),
  },
];

export const operations: readonly Operation[] = [
  ...reads,
  ...viewOperations,
  ...changes,
  ...administration,
];

function managersOf({ history, healths, loads }: ApiWorld) {
  const newest = history.newest();
  const known = healths();
  return (newest === undefined ? [] : listedManagers(newest.content)).map((one) => ({
    ...{ id: one.id, address: one.address, port: one.port, zone: one.zone },
    ...(one.addresses === undefined ? {} : { addresses: [...one.addresses] }),
    ...{ weight: one.weight, prio: one.prio, state: one.state },
    probe: known.get(one.id)?.verdict ?? 'unknown',
    agents: loads().get(one.id) ?? 0,
  }));
}
