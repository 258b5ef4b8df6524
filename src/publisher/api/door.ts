/**
 * Who gets in: token → rate. A stranger learns nothing; who is known gets a rate of its own; all
 * heavy reads share one.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { sourceOf } from '../connection-ledger.ts';
import { Shares } from '../shares.ts';
import { buildTokenBucket } from '../token-bucket.ts';
import { findToken, type TokenRecord } from './token.ts';
import type { ApiWorld } from './world.ts';

const perToken = { perSecond: 10, burst: 40 } as const;
/** Wrong tokens of one address: above it nothing is computed for it. */
const perStranger = { perSecond: 1, burst: 20 } as const;
const heavy = { perSecond: 4, burst: 8 } as const;

export type Asked = Pick<FastifyRequest, 'headers' | 'query'> & {
  readonly raw: FastifyRequest['raw'];
};
export type Reply = Pick<FastifyReply, 'code' | 'header' | 'send'>;

export interface Door {
  /** Undefined: refused, and answered so. */
  enter(request: Asked, reply: Reply, isHeavy: boolean): TokenRecord | undefined;
}

export function buildDoor({ clock, tokens }: ApiWorld): Door {
  const known = new Shares(perToken);
  const strangers = new Shares(perStranger);
  const all = buildTokenBucket(heavy.perSecond, heavy.burst);
  return {
    enter({ headers, raw }, reply, isHeavy) {
      const nowMs = clock.monotonicMs();
      const { host } = sourceOf(raw.socket.remoteAddress ?? '');
      if (strangers.isEmpty(host, nowMs))
        return refuse(reply, 429, 'too_fast', 'too many wrong tokens');
      const who = findToken(headers.authorization, tokens(), clock.nowMs());
      if (who === undefined) {
        strangers.take(host, nowMs);
        reply.header('www-authenticate', 'Bearer');
        return refuse(reply, 401, 'unauthorized', 'a valid token is needed');
      }
      if (!known.take(who.id, nowMs)) return refuse(reply, 429, 'too_fast', 'too many requests');
      if (isHeavy && !all.take(nowMs))
        return refuse(reply, 429, 'too_fast', 'too many such requests');
      return who;
    },
  };
}

export function refuse(reply: Reply, status: number, name: string, message: string): undefined {
  if (status === 429) reply.header('retry-after', '1');
  reply.code(status).send({ error: { name, message } });
  return undefined;
}
