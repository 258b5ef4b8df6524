/**
 * `POST /v1/leaving` and `POST /v1/views`: the words of another publisher about the manager of its host,
 * and about what it sees of the others. Proven, or refused.
 */
import type { IncomingMessage } from 'node:http';
import type { Server } from 'node:https';
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../clock.ts';
import { ListError } from '../errors.ts';
import type { VerifiedRoot } from '../list/root.ts';
import { sourceOf } from './connection-ledger.ts';
import { type LeavingBook, maxLeavingBytes, verifyLeaving } from './leaving.ts';
import { maxViewsBytes, type PeerViewsBook, verifyViews } from './roster/peer-views.ts';
import { Shares } from './shares.ts';
import { buildTokenBucket } from './token-bucket.ts';

export const leavingPath = '/v1/leaving';
export const viewsPath = '/v1/views';

export interface PeerDesk {
  readonly clock: Clock;
  readonly leaving: LeavingBook;
  readonly views: PeerViewsBook;
  /** The newest one. */
  root(): VerifiedRoot;
  /** Only then are words followed. */
  leads(): boolean;
  /** Is it a manager of ours? */
  knows(manager: string): boolean;
  /** Told of every word that is refused, by the name of the refusal. */
  onRefusal?(name: string): void;
}

interface Word {
  readonly maxBytes: number;
  /** Words a second of all together: what proving them may cost. */
  readonly perSecond: number;
  readonly burst: number;
  take(body: Uint8Array, desk: PeerDesk): Promise<object | Refusal>;
}

class Refusal {
  readonly status: number;
  readonly name: string;
  readonly message: string;

  constructor(status: number, name: string, message: string) {
    this.status = status;
    this.name = name;
    this.message = message;
  }
}

const words: Readonly<Record<string, Word>> = {
  [leavingPath]: { maxBytes: maxLeavingBytes, perSecond: 5, burst: 20, take: takeLeaving },
  [viewsPath]: { maxBytes: maxViewsBytes, perSecond: 200, burst: 400, take: takeViews },
};

export function isPeerPath(url: string): boolean {
  return Object.hasOwn(words, url);
}

export function isPeerRequest({ method, url = '', headers }: IncomingMessage): boolean {
  const word = isPeerPath(url) ? words[url] : undefined;
  const length = Number(headers['content-length']);
  return word !== undefined && method === 'POST' && length <= word.maxBytes;
}

/** Of one address, for words that were not proven: who floods keeps nobody else from being heard. */
const perStranger = { perSecond: 1, burst: 20 } as const;

export function addPeerRoutes(app: FastifyInstance<Server>, desk: PeerDesk): void {
  const strangers = new Shares(perStranger);
  for (const [path, word] of Object.entries(words)) {
    const all = buildTokenBucket(word.perSecond, word.burst);
    app.post(path, async (request, reply) => {
      const { host } = sourceOf(request.raw.socket.remoteAddress ?? '');
      const nowMs = desk.clock.monotonicMs();
      const isInTime = !strangers.isEmpty(host, nowMs) && all.take(nowMs);
      const answer = isInTime ? await answerTo(request.body, word, desk) : tooFast;
      if (answer === notProven) strangers.take(host, nowMs);
      if (!(answer instanceof Refusal)) return answer;
      const { status, name, message } = answer;
      desk.onRefusal?.(`word ${name}`);
      reply.code(status);
      return { error: { name, message } };
    });
  }
}

const tooFast = new Refusal(429, 'too_fast', 'too many words');
const notProven = new Refusal(401, 'not_proven', 'not proven');

async function answerTo(body: unknown, word: Word, desk: PeerDesk): Promise<object | Refusal> {
  if (!desk.leads()) return new Refusal(409, 'not_leader', 'another publisher leads');
  if (!Buffer.isBuffer(body)) return new Refusal(400, 'bad_request', 'an envelope is needed');
  try {
    return await word.take(body, desk);
  } catch (thrown) {
    if (!(thrown instanceof ListError) && !(thrown instanceof SyntaxError)) throw thrown;
    return notProven;
  }
}

async function takeLeaving(body: Uint8Array, desk: PeerDesk): Promise<object | Refusal> {
  const word = await verifyLeaving(body, desk.root(), desk.clock.nowMs());
  const { manager, isLeaving } = word;
  if (!desk.knows(manager)) return new Refusal(400, 'unknown_manager', 'no manager of ours');
  if (!desk.leaving.take(word)) return new Refusal(409, 'replayed', 'an older word');
  return { manager, isLeaving };
}

async function takeViews(body: Uint8Array, desk: PeerDesk): Promise<object | Refusal> {
  const { clock, views } = desk;
  const word = await verifyViews(body, desk.root());
  const taken = views.take(word, { nowMs: clock.nowMs(), monotonicMs: clock.monotonicMs() });
  return taken === 'taken' ? { taken } : new Refusal(409, taken, 'does not count');
}
