/** Metrics on loopback: the text alone, bounded, and gone when closed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { serveOnLoopback } from '../../src/host/loopback-text.ts';

const place = (read: () => Promise<string | undefined>) =>
  serveOnLoopback({ port: 0, path: '/metrics', contentType: 'text/plain; version=0.0.4', read });

test('the text is answered, other paths and methods are not there', async (t) => {
  let text: string | undefined;
  const served = await place(async () => text);
  t.after(() => served.close());
  const url = `http://127.0.0.1:${served.port}`;
  assert.equal((await fetch(`${url}/metrics`)).status, 503);
  text = 'pilotfish_alarms 0\n';
  const answer = await fetch(`${url}/metrics`);
  assert.equal(await answer.text(), text);
  assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4');
  assert.equal((await fetch(`${url}/`)).status, 404);
  assert.equal((await fetch(`${url}/metrics`, { method: 'POST', body: 'x' })).status, 404);
});

test('a taken port is a named failure; silent connections end, so that others get in', async (t) => {
  const served = await place(async () => 'x');
  t.after(() => served.close());
  await assert.rejects(
    serveOnLoopback({ port: served.port, path: '/', contentType: '', read: async () => '' }),
    /listen_failed|EADDRINUSE/,
  );
  const silent: Socket[] = Array.from({ length: 8 }, () =>
    connect({ host: '127.0.0.1', port: served.port })
      .on('error', () => undefined)
      .resume(),
  );
  t.after(() => silent.forEach((socket) => void socket.destroy()));
  await Promise.all(silent.map((socket) => once(socket, 'close')));
  assert.equal((await fetch(`http://127.0.0.1:${served.port}/metrics`)).status, 200);
});
