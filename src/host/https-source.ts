/**
 * One question to a publisher over pinned TLS: no redirects, no compression, a byte
 * limit, a deadline for the whole answer and a least speed, so that neither 10 GB nor one byte a
 * second can hold a cycle (trust-and-safety 1.2 "endless data", "slow retrieval").
 */
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import type { Clock } from '../clock.ts';
import { deadline } from '../clock.ts';
import { PeerError, PilotfishError } from '../errors.ts';
import { isJsonObject, messageOf } from '../guards.ts';
import type {
  PublisherAnswer,
  PublisherLink,
  PublisherQuestion,
} from '../sidecar/publisher-port.ts';
import type { ReportAnswer, ReportLink } from '../sidecar/report-sender.ts';
import { PinnedAgent, type PinnedOptions } from './pinned-agent.ts';
import type { PinnedTarget } from './pinned-tls.ts';
import type { Endpoint } from './proxy-tunnel.ts';

export interface HttpsLimits {
  /** For everything but the wait that was asked for. */
  readonly totalMs: number;
  readonly minBytesPerSecond: number;
}

export const defaultHttpsLimits: HttpsLimits = { totalMs: 15_000, minBytesPerSecond: 256 };

export function buildPublisherLink(
  clock: Clock,
  limits: HttpsLimits = defaultHttpsLimits,
  proxy?: Endpoint,
): PublisherLink & ReportLink & AnnounceLink {
  const agent = new PinnedAgent(clock, proxy);
  return {
    ask: (question, signal) => askOnce(question, { clock, limits, signal, agent }),
    tell: ({ url, pins }, { agent: id, mac, body, hops }, signal) => {
      const question = { url, pins, path: '/v1/report', waitMs: 0, maxBytes: maxReportAnswerBytes };
      const passed = hops === undefined ? {} : { 'pf-hops': `${hops}` };
      const post = { body, headers: { 'pf-agent': id, 'pf-mac': mac, ...passed } };
      return tellOnce({ ...question, post }, { clock, limits, signal, agent });
    },
    announce: async (target, path, body, signal) => {
      const question = { ...target, path, waitMs: 0, maxBytes: maxReportAnswerBytes };
      const post = { body, headers: {} };
      return (await tellOnce({ ...question, post }, { clock, limits, signal, agent })).status;
    },
  };
}

/** A word of one publisher to another. */
export interface AnnounceLink {
  /** The status of the answer. Rejects with PeerError when none came, and with `signal`. */
  announce(
    target: Pick<PublisherQuestion, 'url' | 'pins'>,
    path: string,
    body: Uint8Array,
    signal?: AbortSignal,
  ): Promise<number>;
}

const maxReportAnswerBytes = 1_024;

/** What goes out with a question that has a body. */
interface Post {
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

type Sendable = PublisherQuestion & { readonly post?: Post };

interface Context {
  readonly clock: Clock;
  readonly limits: HttpsLimits;
  readonly signal: AbortSignal | undefined;
  readonly agent: PinnedAgent;
}

function askOnce(question: PublisherQuestion, context: Context): Promise<PublisherAnswer> {
  return exchange(question, context, (response) => answerOf(question, response, context));
}

function tellOnce(question: Sendable, context: Context): Promise<ReportAnswer> {
  return exchange(question, context, async (response) => {
    const status = response.statusCode ?? 0;
    const body = await readBody(question, response, context);
    return { status, ...readReportAnswer(body) };
  });
}

/** Two whole numbers at most; anything else in the answer says nothing. */
function readReportAnswer(body: Uint8Array): Omit<ReportAnswer, 'status'> {
  try {
    const value: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
    const { nextSec, seq } = isJsonObject(value) ? value : {};
    return {
      ...(Number.isSafeInteger(nextSec) ? { nextSec: Number(nextSec) } : {}),
      ...(Number.isSafeInteger(seq) ? { seq: Number(seq) } : {}),
    };
  } catch {
    return {};
  }
}

async function exchange<Answer>(
  question: Sendable,
  context: Context,
  read: (response: IncomingMessage) => Promise<Answer>,
): Promise<Answer> {
  const totalMs = context.limits.totalMs + question.waitMs;
  const limit = deadline(context.clock, totalMs, context.signal);
  try {
    const response = await sendAgainWhenStale(question, context.agent, limit.signal);
    const cut = (): void => void response.destroy(new Error('out of time'));
    limit.signal.addEventListener('abort', cut, { once: true });
    return await read(response);
  } catch (thrown) {
    if (context.signal?.aborted) throw context.signal.reason;
    if (thrown instanceof PilotfishError) throw thrown;
    if (!limit.signal.aborted) throw broken(question, thrown);
    throw new PeerError('too_slow', `${question.url}: no whole answer within ${totalMs} ms`);
  } finally {
    limit.cancel();
  }
}

function targetOf({ url, pins }: PublisherQuestion): PinnedTarget {
  const { protocol, hostname, port } = new URL(url);
  if (protocol !== 'https:') throw new PeerError('connect_failed', `${url} is not https`);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 443 : Number(port), pins };
}

async function answerOf(
  question: PublisherQuestion,
  response: IncomingMessage,
  context: Context,
): Promise<PublisherAnswer> {
  const warnings = context.agent.warningsOf(response.socket);
  const receipt = response.headers['pf-receipt'];
  const common = { warnings, ...(typeof receipt === 'string' ? { receipt } : {}) };
  const { statusCode = 0 } = response;
  if (statusCode === 304 || statusCode === 404) {
    await readBody(question, response, context).catch(() => undefined); // frees the connection
    return { kind: statusCode === 304 ? 'unchanged' : 'absent', ...common };
  }
  try {
    checkHead(question, response);
  } catch (problem) {
    response.destroy();
    throw problem;
  }
  const body = await readBody(question, response, context);
  const { etag } = response.headers;
  return { kind: 'document', body, ...(etag === undefined ? {} : { etag }), ...common };
}

/** A kept connection may have been closed while nobody looked: the question goes out once more. */
async function sendAgainWhenStale(
  question: Sendable,
  agent: PinnedAgent,
  limit: AbortSignal,
): Promise<IncomingMessage> {
  try {
    return await send(question, agent, limit);
  } catch (thrown) {
    if (!(thrown instanceof StaleConnection) || limit.aborted) throw thrown;
    return send(question, agent, limit);
  }
}

class StaleConnection extends Error {}

function send(
  question: Sendable,
  agent: PinnedAgent,
  limit: AbortSignal,
): Promise<IncomingMessage> {
  const pinned: PinnedOptions = { pinned: targetOf(question), limit };
  const options: RequestOptions = {
    agent, // also keeps proxies of the environment out of the way
    path: question.path,
    maxHeaderSize: 8 * 1024,
    headers: {
      host: new URL(question.url).host,
      accept: 'application/json',
      'accept-encoding': 'identity',
      ...(question.nonce === undefined ? {} : { 'pf-nonce': question.nonce }),
      ...(question.etag === undefined ? {} : { 'if-none-match': question.etag }),
      ...postHeaders(question.post),
    },
    method: question.post === undefined ? 'GET' : 'POST',
  };
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ ...options, ...pinned });
    const fail = (error: Error): void =>
      reject(sent.reusedSocket ? new StaleConnection(error.message) : error);
    const cut = (): void => void sent.destroy(new Error('out of time'));
    limit.addEventListener('abort', cut, { once: true });
    sent.on('response', (response) => {
      limit.removeEventListener('abort', cut);
      resolve(response);
    });
    sent.on('error', fail);
    sent.on('close', () => fail(new Error('closed without an answer')));
    sent.end(question.post?.body);
  });
}

function postHeaders(post: Post | undefined): Readonly<Record<string, string>> {
  if (post === undefined) return {};
  const length = `${post.body.length}`;
  return { 'content-type': 'application/json', 'content-length': length, ...post.headers };
}

const contentTypes = {
  json: ['application/json', 'application/jose+json'],
  text: ['text/plain'],
} as const;

function checkHead(question: PublisherQuestion, response: IncomingMessage): void {
  const { url, path, maxBytes, wants = 'json' } = question;
  const { statusCode = 0, headers } = response;
  const at = `${url}${path}`;
  if (statusCode >= 300 && statusCode < 400) {
    throw new PeerError('redirected', `${at} answered ${statusCode}`);
  }
  if (statusCode !== 200) throw new PeerError('http_status', `${at} answered ${statusCode}`);
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? '';
  const allowed: readonly string[] = contentTypes[wants];
  if (!allowed.includes(type)) {
    throw new PeerError('content_type', `${at} answered with ${shown(type || undefined)}`);
  }
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new PeerError('content_type', `${at} answered compressed (${shown(encoding)})`);
  }
  if (Number(headers['content-length'] ?? 0) > maxBytes) {
    throw new PeerError('too_big', `${at} announced over ${maxBytes} bytes`);
  }
}

/** Hostile header values in messages: short and printable. */
function shown(value: string | undefined): string {
  return JSON.stringify(value ?? 'no type').slice(0, 64);
}

function readBody(
  question: PublisherQuestion,
  response: IncomingMessage,
  { clock, limits }: Context,
): Promise<Uint8Array> {
  const at = `${question.url}${question.path}`;
  const startMs = clock.monotonicMs();
  const parts: Buffer[] = [];
  let length = 0;
  return new Promise<Uint8Array>((resolve, reject) => {
    const checkSpeed = (): void => {
      const seconds = (clock.monotonicMs() - startMs) / 1000;
      if (seconds >= 2 && length < seconds * limits.minBytesPerSecond) {
        reject(new PeerError('too_slow', `${at}: ${length} bytes in ${seconds.toFixed(1)} s`));
      }
      stopTimer = clock.after(500, checkSpeed);
    };
    let stopTimer = clock.after(500, checkSpeed);
    const stop = (): void => stopTimer();
    response.on('close', stop);
    response.on('data', (bytes: Buffer) => {
      length += bytes.length;
      if (length <= question.maxBytes) return parts.push(bytes);
      reject(new PeerError('too_big', `${at} sent over ${question.maxBytes} bytes`));
      return response.destroy();
    });
    response.on('end', () =>
      response.complete ? resolve(Buffer.concat(parts)) : reject(new Error('cut short')),
    );
    response.on('error', reject);
    response.on('close', () => reject(new Error('cut short')));
  }).finally(() => response.destroy());
}

function broken(question: PublisherQuestion, thrown: unknown): PeerError {
  const seen = `${question.url}${question.path}: ${messageOf(thrown)}`;
  return new PeerError('connect_failed', seen, { cause: thrown });
}
