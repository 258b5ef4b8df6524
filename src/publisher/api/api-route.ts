/**
 * The routes of the table: token → role → rate → query → audit → run. A stranger learns nothing, not even
 * which operations there are.
 */
import type { Server } from 'node:https';
import type { FastifyInstance } from 'fastify';
import { PilotfishError, type ReasonName } from '../../errors.ts';
import { type Asked, buildDoor, type Door, type Reply, refuse } from './door.ts';
import { apiPrefix, openApiDocument } from './openapi.ts';
import type { Operation } from './operation.ts';
import { operations } from './operations.ts';
import { addStreamRoute } from './stream-route.ts';
import { allows, type TokenRecord } from './token.ts';
import type { ApiWorld } from './world.ts';

export function addApiRoutes(app: FastifyInstance<Server>, world: ApiWorld, version: string): void {
  const door = buildDoor(world);
  const document = openApiDocument(version);
  for (const operation of operations) {
    app.route({
      method: operation.method,
      url: `${apiPrefix}${operation.path}`,
      handler: (request, reply) => answer(world, door, operation, request as Asked, reply as Reply),
    });
  }
  addStreamRoute(app, world, door);
  // What does not exist answers a stranger as what does.
  app.all(`${apiPrefix}*`, async (request, reply) => {
    const who = door.enter(request as Asked, reply as Reply, false);
    return who === undefined ? reply : reply.callNotFound();
  });
  app.get(`${apiPrefix}openapi.json`, async (request, reply) => {
    const who = door.enter(request as Asked, reply as Reply, false);
    return who === undefined ? reply : reply.send(document);
  });
}

async function answer(
  world: ApiWorld,
  door: Door,
  operation: Operation,
  request: Asked,
  reply: Reply,
): Promise<unknown> {
  const who = door.enter(request, reply, operation.isHeavy === true);
  if (who === undefined) return reply;
  const from = request.raw.socket.remoteAddress ?? '';
  const note = (action: string, outcome: string): void => {
    if (operation.audited === undefined) return;
    const { name, role } = who;
    world.audit.append({ atMs: world.clock.nowMs(), who: name, role, from, action, outcome });
    world.log.info('audit.action', { who: name, role, from, action, outcome });
  };
  if (!allows(who.role, operation.role)) {
    note(operation.path, 'forbidden');
    refuse(reply, 403, 'forbidden', `needs the role ${operation.role}`);
    return reply;
  }
  const query = operation.query.safeParse(request.query);
  if (!query.success) {
    const [issue] = query.error.issues;
    refuse(reply, 400, 'bad_request', `${issue?.path.join('.') || 'query'}: ${issue?.message}`);
    return reply;
  }
  return runOperation(world, operation, { query: query.data, who, note }, reply);
}

interface Call {
  readonly query: Readonly<Record<string, unknown>>;
  readonly who: TokenRecord;
  note(action: string, outcome: string): void;
}

/** What cannot be written to the audit log is not done. */
async function runOperation(
  world: ApiWorld,
  operation: Operation,
  { query, who, note }: Call,
  reply: Reply,
): Promise<unknown> {
  const action = operation.audited?.(query) ?? '';
  try {
    note(action, 'asked');
    const refusal = world.refuses?.(operation);
    if (refusal !== undefined) throw refusal;
    const value = await operation.run(world, query, who);
    note(action, 'done');
    reply.header('cache-control', 'no-store');
    return value;
  } catch (thrown) {
    if (!(thrown instanceof PilotfishError)) throw thrown;
    const { code, reason, message } = thrown;
    if (reason !== 'store_failed') note(action, code);
    reply.code(statusOf(reason));
    return { error: { name: reason, message, code } };
  }
}

function statusOf(reason: ReasonName): number {
  const isElsewhere = reason === 'not_leader' || reason === 'is_follower';
  if (isElsewhere || reason === 'conflict') return 409;
  return reason === 'store_failed' || reason.startsWith('leader_') ? 503 : 400;
}
