/** The link on the local socket: no seal, no hello, programs that read exactly one frame. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Link, type LinkHandler } from '../../src/cluster/link.ts';
import { encodeFrame, FrameDecoder } from '../../src/cluster/wire/frame.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';

const store = { perform: () => Promise.resolve() };

test('a daemon that asks gets its answer as the first frame, with a counter of ours', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pilotfish-local-'));
  t.after(() => rmSync(folder, { recursive: true, maxRetries: 9 }));
  const path = join(folder, 'c-internal.sock');
  const refused: Promise<void>[] = [];
  const handler: LinkHandler = {
    asked(asked, link) {
      link.dismiss(asked.counter);
      const answer = link.request('localDaemonAnswered', Buffer.from('{"error":0}'));
      refused.push(assert.rejects(answer, { reason: 'link_closed' }));
    },
  };
  const links: Link[] = [];
  const server = createServer((socket) => {
    const ports = { clock: systemClock, random: systemRandom, store, handler };
    links.push(new Link(socket, { role: 'localServer' }, ports));
  });
  server.listen(path);
  await once(server, 'listening');
  t.after(() => server.close());

  const daemon = connect(path);
  const body = Buffer.from('{"daemon_name":"authd","message":{}}');
  const counter = randomBytes(4).readUInt32BE(0);
  daemon.write(encodeFrame({ counter, word: 'sendsync', role: 'whole' }, body));
  const [chunk] = (await once(daemon, 'data')) as [Buffer];
  assert.equal(chunk.toString('latin1', 8, 20), 'ok ---------');
  const decoder = new FrameDecoder();
  decoder.push(chunk);
  assert.equal(decoder.next(65_536)?.payload.toString(), '{"error":0}');
  daemon.end();
  assert.equal((await links[0]?.ended)?.by, 'peer');
  await Promise.all(refused);
});
