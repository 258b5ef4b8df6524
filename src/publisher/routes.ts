/**
 * What is served, and nothing else: `/v1/root/N`, `/v1/list`, its flat form `/v1/list.txt` with
 * `/v1/list.txt.sig`, `/livez`, `/readyz`, by GET and HEAD, `/v1/report`, which takes the reports of sidecars,
 * `/v1/leaving` and `/v1/views`, which take the words of a publisher that stands by;
 * the API and its page where they are on.
 * Under load the cheap signed bytes are the last to be refused (trust-and-safety 6.5).
 */
import type { RequestListener } from 'node:http';
import type { Server } from 'node:https';
import {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  type RouteGenericInterface,
} from 'fastify';
import type { Clock, Random } from '../clock.ts';
import { nonceShape } from '../list/parse-receipt.ts';
import type { Log } from '../log.ts';
import { addApiRoutes } from './api/api-route.ts';
import type { ApiWorld } from './api/world.ts';
import { buildFastList, isQueued } from './fast-list.ts';
import { listExpiresAtMs } from './history.ts';
import type { ListAnswer, ListService } from './list-service.ts';
import { addMetricsRoute, type MetricsSource } from './observe/metrics-route.ts';
import { addPageRoutes, type PageReader, pageFolder } from './page-route.ts';
import { addPeerRoutes, isPeerPath, isPeerRequest, type PeerDesk } from './peer-route.ts';
import type { ReportTaker } from './reports/report-desk.ts';
import { addReportRoute, isReportRequest } from './reports/report-route.ts';

export interface RouteParts {
  readonly service: ListService;
  /** The envelope of root N. */
  rootEnvelope(version: number): Uint8Array | undefined;
  /** Absent where no reports are taken. */
  readonly reports?: ReportTaker;
  /** Absent where no other publisher stands by. */
  readonly peers?: PeerDesk;
  /** Absent where there is no API. */
  readonly api?: { readonly world: ApiWorld; readonly version: string };
  /** Absent where the API, or its page, is off. */
  readonly page?: PageReader;
  /** Absent where no metrics are shown. */
  readonly metrics?: MetricsSource;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Told of every request that is refused, by the name of the refusal. */
  onRefusal?(name: string): void;
  /** How late the event loop is, milliseconds. */
  lagMs(): number;
}

/** Makes the server around the handler of requests. */
export type ServerFactory = (handler: RequestListener) => Server;

const documentType = 'application/jose+json';
const maxWaitSeconds = 55;
const maxHeaders = 32;
const maxBodyBytes = 4 * 1024;
/** Above the first nothing but lists is served, above the second only `/livez`. */
export const shedLagMs = { others: 100, lists: 1_000 } as const;

type App = FastifyInstance<Server>;
type Request = FastifyRequest<RouteGenericInterface, Server>;
type Reply = FastifyReply<RouteGenericInterface, Server>;

export function buildRoutes(parts: RouteParts, serverFactory: ServerFactory): App {
  const isTaken = buildFastList({ ...parts, maxLagMs: shedLagMs.lists, maxWaitSeconds });
  const app: App = fastify<Server>({
    https: {},
    serverFactory: (routes) =>
      serverFactory((request, response) => {
        if (!isTaken(request, response)) routes(request, response);
      }),
    bodyLimit: maxBodyBytes,
    exposeHeadRoutes: true,
    logger: false,
    routerOptions: { maxParamLength: 16 },
    return503OnClosing: false,
  });
  app.addHook('onRequest', async (request, reply) => {
    const refusal = refusalOf(request, parts);
    if (refusal !== undefined) {
      parts.onRefusal?.(refusal.name);
      return refuse(reply, refusal);
    }
    return undefined;
  });
  app.get('/livez', async () => ({ alive: true }));
  app.get('/readyz', async (_request, reply) => answerReady(parts, reply));
  app.get('/v1/root/:name', async (request, reply) =>
    answerRoot(parts, (request.params as { name: string }).name, reply),
  );
  app.get('/v1/list', async (request, reply) => answerList(parts, request, reply));
  for (const [path, part] of flatRoutes) {
    app.get(path, async (request, reply) => answerFlat(parts, request, reply, part));
  }
  if (parts.api !== undefined) addApiRoutes(app, parts.api.world, parts.api.version);
  if (parts.page !== undefined) addPageRoutes(app, parts.page);
  if (parts.metrics !== undefined) addMetricsRoute(app, parts.metrics);
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );
  if (parts.peers !== undefined) addPeerRoutes(app, parts.peers);
  if (parts.reports !== undefined) addReportRoute(app, parts.reports, parts.clock);
  app.setNotFoundHandler(async (_request, reply) => {
    parts.onRefusal?.('not_found');
    return refuse(reply, { status: 404, name: 'not_found', message: 'no such resource' });
  });
  app.setErrorHandler(async (error: Error & { statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) parts.log.error('serve.failed', { message: error.message });
    const message = status >= 500 ? 'internal error' : error.message;
    parts.onRefusal?.('bad_request');
    return refuse(reply, { status, name: 'bad_request', message });
  });
  return app;
}

interface Refusal {
  readonly status: number;
  readonly name: string;
  readonly message: string;
  readonly retryAfterSeconds?: number;
  readonly closes?: boolean;
}

function refuse(reply: Reply, refusal: Refusal): Reply {
  const { status, name, message, retryAfterSeconds } = refusal;
  if (retryAfterSeconds !== undefined) reply.header('retry-after', `${retryAfterSeconds}`);
  if (refusal.closes) reply.header('connection', 'close');
  return reply.code(status).send({ error: { name, message } });
}

/** What is wrong with a request before its route is looked at. */
function refusalOf(request: Request, parts: RouteParts): Refusal | undefined {
  const { rawHeaders, headers } = request.raw;
  if (rawHeaders.length / 2 > maxHeaders) {
    const message = `more than ${maxHeaders} headers`;
    return { status: 431, name: 'too_many_headers', message, closes: true };
  }
  const mayHaveBody = isReportRequest(request.raw) || isPeerRequest(request.raw);
  const hasBody = Number(headers['content-length'] ?? 0) > 0 && !mayHaveBody;
  if (headers['transfer-encoding'] !== undefined || hasBody) {
    return { status: 413, name: 'body', message: 'no request body is taken', closes: true };
  }
  const limitMs = shedLimitMs(request.url);
  if (parts.lagMs() <= limitMs) return undefined;
  const retryAfterSeconds = 1 + Math.floor(parts.random.fraction() * 5);
  return { status: 503, name: 'busy', message: 'overloaded, try again later', retryAfterSeconds };
}

function shedLimitMs(url: string): number {
  if (url === '/livez') return Number.POSITIVE_INFINITY;
  // The page's files cost nothing, and half of them are no page.
  const isServed = url === '/' || url.startsWith('/v1/list') || url.startsWith(pageFolder);
  // A publisher that is busy itself needs the eyes of the others most; their words have a rate of their own.
  const isCheap = isServed || isPeerPath(url);
  return isCheap ? shedLagMs.lists : shedLagMs.others;
}

function answerReady({ service, clock }: RouteParts, reply: Reply): object {
  const entry = service.served()?.entry;
  const reason = entry === undefined ? 'nothing is published' : undefined;
  if (entry !== undefined && clock.nowMs() < listExpiresAtMs(entry)) {
    return { ready: true, version: entry.version };
  }
  reply.code(503);
  return { ready: false, reason: reason ?? 'the list has expired and could not be re-signed' };
}

function answerRoot(parts: RouteParts, name: string, reply: Reply): Reply {
  const version = /^([1-9]\d{0,8})(?:\.json)?$/.exec(name)?.[1];
  const envelope = version === undefined ? undefined : parts.rootEnvelope(Number(version));
  if (envelope === undefined) {
    return refuse(reply, { status: 404, name: 'not_found', message: 'no such root' });
  }
  reply.header('content-type', documentType).header('cache-control', 'public, max-age=3600');
  return reply.send(Buffer.from(envelope));
}

async function answerList(parts: RouteParts, request: Request, reply: Reply): Promise<Reply> {
  const poll = readPoll(request);
  if ('status' in poll) {
    parts.onRefusal?.(poll.name);
    return refuse(reply, poll);
  }
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  const answer = await parts.service.answer({
    ...poll,
    waitMs: isQueued(reply.raw) ? 0 : poll.waitMs,
    ip: request.raw.socket.remoteAddress ?? '',
    signal: gone.signal,
  });
  return sendList(reply, answer, poll.nonce !== undefined);
}

function sendList(reply: Reply, answer: ListAnswer, hasNonce: boolean): Reply {
  if (answer.kind === 'none') {
    const message = 'nothing is published yet';
    return refuse(reply, { status: 503, name: 'no_list', message, retryAfterSeconds: 5 });
  }
  const { served, receipt } = answer;
  reply.header('etag', served.etag).header('cache-control', hasNonce ? 'no-store' : 'no-cache');
  if (receipt !== undefined) reply.header('pf-receipt', receipt);
  if (answer.kind === 'unchanged') return reply.code(304).send();
  return reply.header('content-type', documentType).send(served.body);
}

const flatRoutes = [
  ['/v1/list.txt', 'text'],
  ['/v1/list.txt.sig', 'signature'],
] as const;

/** The flat form is fetched as two files; never waited for, so that they belong together. */
async function answerFlat(
  parts: RouteParts,
  request: Request,
  reply: Reply,
  part: 'text' | 'signature',
): Promise<Reply> {
  const poll = readPoll(request);
  if ('status' in poll) return refuse(reply, poll);
  const { signal } = new AbortController();
  const ip = request.raw.socket.remoteAddress ?? '';
  const answer = await parts.service.answer({ ...poll, knownTags: '', waitMs: 0, ip, signal });
  if (answer.kind === 'none') return sendList(reply, answer, false);
  const { receipt, served } = answer;
  if (served.flat === undefined) {
    return refuse(reply, { status: 404, name: 'not_found', message: 'no flat form came here' });
  }
  if (receipt !== undefined) reply.header('pf-receipt', receipt);
  reply.header('cache-control', poll.nonce === undefined ? 'no-cache' : 'no-store');
  return reply.type('text/plain; charset=utf-8').send(Buffer.from(served.flat[part]));
}

interface PollWords {
  readonly knownTags: string;
  readonly nonce: string | undefined;
  readonly waitMs: number;
}

/** Group and site may be named, but do not choose: every sidecar checks the audience itself. */
function readPoll(request: Request): PollWords | Refusal {
  const bad = (message: string): Refusal => ({ status: 400, name: 'bad_request', message });
  const query = request.query as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(query).find((name) => !['g', 's', 'wait'].includes(name));
  if (unknown !== undefined) return bad('known query members: g, s, wait');
  const { g = '*', s = '*', wait = '0' } = query;
  const scopes = [g, s].every(
    (one) => typeof one === 'string' && /^(?:\*|[A-Za-z0-9_-]{1,64})$/.test(one),
  );
  if (!scopes) return bad('g and s: * or 1 to 64 of A-Z a-z 0-9 _ -');
  const seconds = typeof wait === 'string' && /^\d{1,2}$/.test(wait) ? Number(wait) : Number.NaN;
  if (!(seconds <= maxWaitSeconds)) return bad(`wait: whole seconds, 0 to ${maxWaitSeconds}`);
  const nonce = request.headers['pf-nonce'];
  if (nonce !== undefined && (typeof nonce !== 'string' || !nonceShape.test(nonce))) {
    return bad('PF-Nonce: 16 bytes in base64url');
  }
  return {
    knownTags: request.headers['if-none-match'] ?? '',
    nonce,
    waitMs: seconds * 1_000,
  };
}
