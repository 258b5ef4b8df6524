/** Questions sent behind others on one connection: it is one connection all the same. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { publishConfigured } from '../../src/publisher/orders.ts';
import { publish } from '../../src/publisher/publish.ts';
import { eventually } from '../fakes/processes.ts';
import { configuredOf, openDesk } from './fixture.ts';
import { startServer } from './server-fixture.ts';

/** Twenty questions that wait for a change, the first of which does. */
async function askTwenty(t: TestContext, header: string) {
  const desk = await openDesk(t);
  desk.clock.atMs = Date.now();
  const { entry } = await publish(desk, publishConfigured(configuredOf('a', 'b')));
  const { server, ledger } = await startServer(t);
  server.service.serve(entry);
  let asked = 0;
  server.front.server.on('request', () => {
    asked += 1;
  });
  const socket = await server.dial();
  const words = `host: x\r\nif-none-match: "${entry.hash}"\r\n${header}\r\n`;
  socket.write(`GET /v1/list?wait=55 HTTP/1.1\r\n${words}`.repeat(20));
  await eventually('all are asked', () => asked === 20);
  await eventually('the first one waits', () => server.service.waiting() > 0);
  await new Promise((resolve) => setImmediate(resolve));
  return { socket, server, ledger };
}

const ways = [
  ['plainly', ''],
  ['in a way that the routes answer', 'if-none-match: "sha256:more"\r\n'],
] as const;
for (const [how, header] of ways) {
  test(`one connection takes one place, however many questions are sent on it ${how}`, async (t) => {
    const { socket, server, ledger } = await askTwenty(t, header);
    assert.deepEqual(ledger.counts(), { connections: 0, waiting: 1 });
    assert.equal(server.service.waiting(), 1);
    socket.destroy();
    await eventually('its place is free', () => ledger.counts().waiting === 0);
    assert.deepEqual(ledger.counts(), { connections: 0, waiting: 0 });
  });
}
