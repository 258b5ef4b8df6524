/** Who gets a stream, as the route decides it on a real connection. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import Fastify from 'fastify';
import { systemClock } from '../../../src/host/system-clock.ts';
import { silentLog } from '../../../src/log.ts';
import { addStreamRoute } from '../../../src/publisher/api/stream-route.ts';
import type { TokenRecord } from '../../../src/publisher/api/token.ts';
import { eventually } from '../../fakes/processes.ts';
import { newCertificate } from '../server-fixture.ts';

const token: TokenRecord = {
  ...{ id: 'aaaaaaaa', name: 'a', role: 'read', hash: 'h'.repeat(43) },
  ...{ createdAtMs: 0, expiresAtMs: Number.MAX_SAFE_INTEGER },
};

/** The route beside one that answers when it is told to. */
async function startRoutes(t: TestContext) {
  const { certificatePem: cert, keyPem: key } = newCertificate();
  const app = Fastify({ https: { cert, key }, forceCloseConnections: true });
  const first = Promise.withResolvers<string>();
  const seen = { entered: 0, waiting: 0 };
  const stop = new AbortController();
  const world = {
    ...{ clock: systemClock, log: silentLog, tokens: () => [token], stop: stop.signal },
    board: { look: () => ({}) as never, loads: () => new Map(), count: async () => undefined },
    waiters: {
      startWaiting: () => {
        seen.waiting += 1;
        return true;
      },
      endWaiting: () => {
        seen.waiting -= 1;
      },
    },
  };
  const enter = () => {
    seen.entered += 1;
    return token;
  };
  app.get('/first', () => first.promise);
  addStreamRoute(app, world, { enter });
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }));
  t.after(() => {
    stop.abort();
    return app.close();
  });
  const socket = connect({ host: '127.0.0.1', port: Number(port), rejectUnauthorized: false });
  t.after(() => socket.destroy());
  let heard = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    heard += text;
  });
  const hears = (text: string) => eventually(`hears ${text}`, () => heard.includes(text));
  return { seen, first, hears, ask: (path: string) => socket.write(questionOf(path)) };
}

const questionOf = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;

test('a stream that is asked for behind another question is refused and takes no place', async (t) => {
  const { seen, first, hears, ask } = await startRoutes(t);
  ask('/first');
  ask('/api/v1/stream');
  await eventually('both are asked', () => seen.entered === 1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(seen.waiting, 0);
  first.resolve('answered');
  await hears('429 Too Many Requests');
});

test('a stream that is asked for alone is opened and takes one place', async (t) => {
  const { seen, hears, ask } = await startRoutes(t);
  ask('/api/v1/stream');
  await hears('event: overview');
  assert.equal(seen.waiting, 1);
});
