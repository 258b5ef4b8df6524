/**
 * The Wazuh API of a manager, asked as a read-only user for the health of the cluster: for a publisher
 * on a host without a node. The key of the API is pinned; the token is kept until it is refused; the
 * API counts requests, so that one answer serves for a while.
 */
import { type IncomingMessage, request } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../clock.ts';
import { type ClusterHealth, parseHealth } from '../cluster/local/node-health.ts';
import { PayloadError } from '../cluster/wire/payload.ts';
import { PeerError } from '../errors.ts';
import { isJsonObject, type JsonObject, type JsonValue, messageOf } from '../guards.ts';
import { connectPinned } from './pinned-tls.ts';

export interface WazuhApiOptions {
  /** `https://HOST:PORT` */
  readonly url: string;
  readonly user: string;
  /** Never logged. Throws ConfigError. */
  readPassword(): Promise<string>;
  readonly pins: readonly string[];
  readonly clock: Clock;
}

export interface WazuhApi {
  /** At most so old as `freshMs`. Throws PeerError, ConfigError. */
  health(signal: AbortSignal): Promise<ClusterHealth>;
}

/** 30 questions a minute; the API takes 300 of all its users. */
const freshMs = 2_000;
const maxBodyBytes = 2 * 1024 * 1024;
const loginPath = '/security/user/authenticate';
const healthPath = '/cluster/healthcheck';

export function buildWazuhApi(options: WazuhApiOptions): WazuhApi {
  const { clock } = options;
  let token: string | undefined;
  let last: { readonly health: ClusterHealth; readonly atMs: number } | undefined;

  const ask = async (signal: AbortSignal): Promise<ClusterHealth> => {
    const wasKnown = token !== undefined;
    token ??= await logIn(options, signal);
    const headers = { authorization: `Bearer ${token}` };
    const answer = await exchange(options, { method: 'GET', path: healthPath, headers }, signal);
    if (answer.status === 401 && wasKnown) {
      token = undefined; // it has ended: once more, with a new one
      return ask(signal);
    }
    return healthIn(bodyOf(options, answer));
  };
  return {
    async health(signal) {
      const nowMs = clock.monotonicMs();
      if (last !== undefined && nowMs - last.atMs < freshMs) return last.health;
      const health = await ask(signal);
      last = { health, atMs: nowMs };
      return health;
    },
  };
}

async function logIn(options: WazuhApiOptions, signal: AbortSignal): Promise<string> {
  const secret = `${options.user}:${await options.readPassword()}`;
  const headers = { authorization: `Basic ${Buffer.from(secret, 'utf8').toString('base64')}` };
  const answer = await exchange(options, { method: 'POST', path: loginPath, headers }, signal);
  const { data } = bodyOf(options, answer);
  const token = isJsonObject(data) ? data.token : undefined;
  if (typeof token === 'string' && /^[\w.-]{1,8192}$/.test(token)) return token;
  throw new PeerError('peer_refused', `${options.url}: no token in the answer to a login`);
}

interface Question {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Answered {
  readonly status: number;
  readonly body: Buffer;
}

async function exchange(
  { url, pins, clock }: WazuhApiOptions,
  question: Question,
  signal: AbortSignal,
): Promise<Answered> {
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const target = { host, port: Number(port || '443'), pins };
  const { socket } = await connectPinned(target, clock.nowMs(), signal);
  try {
    return await send(socket, question, signal);
  } catch (error) {
    if (error instanceof PeerError || signal.aborted) throw error;
    throw new PeerError('connect_failed', `${url}: ${messageOf(error)}`, { cause: error });
  } finally {
    socket.destroy();
  }
}

function send(socket: TLSSocket, question: Question, signal: AbortSignal): Promise<Answered> {
  const { promise, resolve, reject } = Promise.withResolvers<Answered>();
  const { method, path, headers } = question;
  const sent = request({
    ...{ method, path, signal, createConnection: () => socket },
    headers: { ...headers, host: 'wazuh-api', accept: 'application/json', connection: 'close' },
  });
  sent.on('error', reject);
  sent.on('response', (response) => readBody(response).then(resolve, reject));
  sent.end();
  return promise;
}

async function readBody(response: IncomingMessage): Promise<Answered> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response) {
    if (!Buffer.isBuffer(part)) continue;
    length += part.length;
    if (length > maxBodyBytes) throw new PeerError('too_big', `more than ${maxBodyBytes} bytes`);
    parts.push(part);
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(parts) };
}

/** Throws PeerError `http_status` with the API's own words. */
function bodyOf({ url }: WazuhApiOptions, { status, body }: Answered): JsonObject {
  const value = parseBody(body);
  if (status === 200 && value !== undefined) return value;
  const told = value?.detail ?? value?.title ?? value?.message;
  const words = typeof told === 'string' ? `: ${told.slice(0, 200)}` : '';
  throw new PeerError('http_status', `${url}: status ${status}${words}`);
}

function parseBody(body: Buffer): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The items are those of `get_health`, in a list. Throws PeerError. */
function healthIn({ data }: JsonObject): ClusterHealth {
  const items = isJsonObject(data) && Array.isArray(data.affected_items) ? data.affected_items : [];
  if (items.length === 0) {
    const what =
      'the API shows no node: may this user read the cluster (cluster:read on node:id:*)?';
    throw new PeerError('peer_refused', what);
  }
  try {
    const nodes = items.map((item: JsonValue, index: number) => [`${index}`, item] as const);
    return parseHealth({ n_connected_nodes: items.length, nodes: Object.fromEntries(nodes) });
  } catch (error) {
    if (!(error instanceof PayloadError)) throw error;
    const what = `the API's answer cannot be read: ${error.message}`;
    throw new PeerError('peer_refused', what, { cause: error });
  }
}
