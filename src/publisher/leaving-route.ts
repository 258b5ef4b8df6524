/** `POST /v1/leaving`: the word of another publisher about the manager of its host, proven or refused. */
import type { IncomingMessage } from 'node:http';
import type { Server } from 'node:https';
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../clock.ts';
import { ListError } from '../errors.ts';
import type { VerifiedRoot } from '../list/root.ts';
import { type LeavingBook, maxLeavingBytes, verifyLeaving } from './leaving.ts';
import { buildTokenBucket } from './token-bucket.ts';

export const leavingPath = '/v1/leaving';

export interface LeavingDesk {
  readonly clock: Clock;
  readonly book: LeavingBook;
  /** The newest one. */
  root(): VerifiedRoot;
  /** Only then is the word followed. */
  leads(): boolean;
  /** Is it a manager of ours? */
  knows(manager: string): boolean;
}

const perSecond = 5;
const burst = 20;

export function isLeavingRequest({ method, url, headers }: IncomingMessage): boolean {
  const length = Number(headers['content-length']);
  return method === 'POST' && url === leavingPath && length <= maxLeavingBytes;
}

export function addLeavingRoute(app: FastifyInstance<Server>, desk: LeavingDesk): void {
  const all = buildTokenBucket(perSecond, burst);
  app.post(leavingPath, async (request, reply) => {
    const refuse = (status: number, name: string, message: string): object => {
      reply.code(status);
      return { error: { name, message } };
    };
    if (!all.take(desk.clock.monotonicMs())) return refuse(429, 'too_fast', 'too many words');
    if (!desk.leads()) return refuse(409, 'not_leader', 'another publisher leads');
    if (!Buffer.isBuffer(request.body)) return refuse(400, 'bad_request', 'an envelope is needed');
    try {
      const word = await verifyLeaving(request.body, desk.root(), desk.clock.nowMs());
      if (!desk.knows(word.manager)) return refuse(400, 'unknown_manager', 'no manager of ours');
      if (!desk.book.take(word)) return refuse(409, 'replayed', 'an older word');
      return { manager: word.manager, isLeaving: word.isLeaving };
    } catch (thrown) {
      if (!(thrown instanceof ListError) && !(thrown instanceof SyntaxError)) throw thrown;
      return refuse(401, 'not_proven', 'not proven');
    }
  });
}
