/**
 * `GET /v1/list` without a framework around it: the one question that a hundred thousand sidecars ask
 * all day. Takes what is plainly well-formed and leaves everything else, refusals above all, to the
 * routes; both give the same answers.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { nonceShape } from '../list/parse-receipt.ts';
import type { ListAnswer, ListPoll, ListService, ServedList } from './list-service.ts';

export interface FastListParts {
  readonly service: ListService;
  /** How late the event loop is, milliseconds; above `maxLagMs` the routes shed. */
  lagMs(): number;
  readonly maxLagMs: number;
  readonly maxWaitSeconds: number;
}

/** True: taken, and answered now or later. */
export type FastList = (request: IncomingMessage, response: ServerResponse) => boolean;

const path = '/v1/list';
const maxHeaders = 32;
const maxKnownUrls = 4_096;
const scopeShape = /^(?:\*|[A-Za-z0-9_-]{1,64})$/;

export function buildFastList(parts: FastListParts): FastList {
  const { service } = parts;
  const waits = new Map<string, number | undefined>();

  const waitOf = (url: string): number | undefined => {
    if (url === path) return 0;
    if (waits.has(url)) return waits.get(url);
    if (waits.size >= maxKnownUrls) waits.clear();
    const waitMs = readWait(url, parts.maxWaitSeconds);
    waits.set(url, waitMs);
    return waitMs;
  };
  return (request, response) => {
    const { method, url = '' } = request;
    if ((method !== 'GET' && method !== 'HEAD') || !url.startsWith(path)) return false;
    if (parts.lagMs() > parts.maxLagMs) return false;
    const askedMs = waitOf(url);
    const waitMs = askedMs !== undefined && isQueued(response) ? 0 : askedMs;
    const words = waitMs === undefined ? undefined : readHeaders(request.rawHeaders);
    if (waitMs === undefined || words === undefined) return false;
    const poll = { ...words, waitMs, ip: request.socket.remoteAddress ?? '' };
    const now = service.answerNow(poll);
    if (now === undefined) void answerLater(service, poll, response);
    else send(response, now, poll);
    return true;
  };
}

/**
 * Behind another answer on its connection. Such a question never waits: a connection is counted once,
 * and if each of its questions moved it among those that wait, it would make room for many more.
 */
export function isQueued(response: ServerResponse): boolean {
  return response.socket === null;
}

type Poll = Omit<ListPoll, 'signal'>;

async function answerLater(
  service: ListService,
  poll: Poll,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  send(response, await service.answer({ ...poll, signal: gone.signal }), poll);
}

/** Undefined: not a plain question. */
function readWait(url: string, maxWaitSeconds: number): number | undefined {
  if (url[path.length] !== '?' || url.length > 512) return undefined;
  let seconds = 0;
  const seen = new Set<string>();
  for (const [name, value] of new URLSearchParams(url.slice(path.length + 1))) {
    if (seen.has(name)) return undefined;
    seen.add(name);
    if (name === 'wait' && /^\d{1,2}$/.test(value)) seconds = Number(value);
    else if ((name !== 'g' && name !== 's') || !scopeShape.test(value)) return undefined;
  }
  return seconds <= maxWaitSeconds ? seconds * 1_000 : undefined;
}

type Words = Pick<ListPoll, 'knownTags' | 'nonce'>;

/** Undefined where a header is twice, malformed, or announces a body. */
function readHeaders(raw: readonly string[]): Words | undefined {
  if (raw.length / 2 > maxHeaders) return undefined;
  let knownTags: string | undefined;
  let nonce: string | undefined;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]?.toLowerCase();
    if (name === 'if-none-match') {
      if (knownTags !== undefined) return undefined;
      knownTags = raw[at + 1];
    } else if (name === 'pf-nonce') {
      if (nonce !== undefined) return undefined;
      nonce = raw[at + 1];
    } else if (name === 'content-length' || name === 'transfer-encoding' || name === 'expect') {
      return undefined;
    }
  }
  if (nonce !== undefined && !nonceShape.test(nonce)) return undefined;
  return { knownTags: knownTags ?? '', nonce };
}

const noList = Buffer.from(
  JSON.stringify({ error: { name: 'no_list', message: 'nothing is published yet' } }),
);

/** Of "nothing new" without a receipt: the same for everybody, so made once a version. */
const plain = new WeakMap<ServedList, string[]>();

function plainHeaders(served: ServedList): string[] {
  const known = plain.get(served);
  if (known !== undefined) return known;
  const headers = ['etag', served.etag, 'cache-control', 'no-cache'];
  plain.set(served, headers);
  return headers;
}

function send(response: ServerResponse, answer: ListAnswer, { nonce }: Poll): void {
  if (answer.kind === 'none') {
    const headers = ['retry-after', '5', 'content-type', 'application/json; charset=utf-8'];
    response.writeHead(503, [...headers, 'content-length', `${noList.length}`]);
    response.end(noList);
    return;
  }
  const { served, receipt } = answer;
  if (answer.kind === 'unchanged' && nonce === undefined) {
    response.writeHead(304, plainHeaders(served));
    response.end();
    return;
  }
  const cached = nonce === undefined ? 'no-cache' : 'no-store';
  const headers = ['etag', served.etag, 'cache-control', cached];
  if (receipt !== undefined) headers.push('pf-receipt', receipt);
  if (answer.kind === 'unchanged') {
    response.writeHead(304, headers);
    response.end();
    return;
  }
  headers.push('content-type', 'application/jose+json', 'content-length', `${served.body.length}`);
  response.writeHead(200, headers);
  response.end(served.body);
}
