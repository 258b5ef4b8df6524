/** `GET stream`: the live picture on a connection that counts as one that waits, as a long poll does. */
import type { ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import type { FastifyInstance } from 'fastify';
import { isQueued } from '../fast-list.ts';
import { type Asked, type Door, type Reply, refuse } from './door.ts';
import { apiPrefix } from './openapi.ts';
import { type Listener, StreamHub, type StreamParts, streamPath } from './stream.ts';
import type { TokenRecord } from './token.ts';
import type { ApiWorld } from './world.ts';

type StreamWorld = StreamParts & Pick<ApiWorld, 'waiters' | 'stop'>;

export function addStreamRoute(app: FastifyInstance<Server>, world: StreamWorld, door: Door): void {
  const hub = new StreamHub(world);
  world.stop.addEventListener('abort', () => hub.endAll(), { once: true });
  app.get(
    `${apiPrefix}${streamPath}`,
    { exposeHeadRoute: false },
    async (request, reply): Promise<unknown> => {
      const who = door.enter(request as Asked, reply as Reply, false);
      if (who === undefined) return reply;
      const ip = request.raw.socket.remoteAddress ?? '';
      const mayWait = !world.stop.aborted && !isQueued(reply.raw);
      if (!mayWait || !world.waiters.startWaiting(ip)) return refuseFull(reply as Reply);
      if (!hub.hasRoomFor(who)) {
        world.waiters.endWaiting(ip);
        return refuseFull(reply as Reply);
      }
      reply.hijack();
      reply.raw.writeHead(200, headers);
      const close = hub.open(listenerOf(reply.raw, who));
      reply.raw.once('close', () => {
        close();
        world.waiters.endWaiting(ip);
      });
      return reply;
    },
  );
}

function refuseFull(reply: Reply): Reply {
  refuse(reply, 429, 'too_many', 'too many streams');
  return reply;
}

const headers = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
} as const;

function listenerOf(response: ServerResponse, token: TokenRecord): Listener {
  response.on('error', () => response.destroy());
  return {
    token,
    pending: () => response.writableLength,
    send: (text) => void response.write(text),
    end: (text) => void response.end(text),
    cut: () => void response.destroy(),
  };
}
