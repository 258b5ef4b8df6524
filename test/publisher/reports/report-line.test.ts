/** Sidecar's sender, pinned TLS, real server, real files: one line. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildPublisherLink } from '../../../src/host/https-source.ts';
import { systemClock, systemRandom } from '../../../src/host/system-clock.ts';
import { silentLog } from '../../../src/log.ts';
import { PublisherBook } from '../../../src/sidecar/publisher-book.ts';
import { ReportSender } from '../../../src/sidecar/report-sender.ts';
import { initPublisherDirectory, type TestPublisher } from '../../cli/publisher-fixture.ts';
import { aReport, keyOf } from './report-fixture.ts';

async function startPublisher(t: Parameters<typeof initPublisherDirectory>[0]) {
  const publisher = await initPublisherDirectory(t);
  const keys = join(publisher.directory, 'wazuh');
  mkdirSync(keys);
  const lines = ['001', '002'].map((id) => `${id} host-${id} any ${keyOf(id)}\n`);
  writeFileSync(join(keys, 'client.keys'), `${lines.join('')}003 !gone any ${keyOf('003')}\n`);
  publisher.edit(/^list:/m, 'reports:\n  keys: wazuh/client.keys\nlist:');
  await publisher.start();
  return publisher;
}

async function senderOf(publisher: TestPublisher, agent: string, key: string) {
  const { seq: _seq, at: _at, everySec: _every, ...facts } = aReport({ agent, place: agent });
  const { pins } = await pinsOf(publisher);
  const sender = new ReportSender({
    clock: systemClock,
    random: { ...systemRandom, fraction: () => 0 },
    log: silentLog,
    link: buildPublisherLink(systemClock),
    book: new PublisherBook(),
    everyMs: 300_000,
    readKey: async () => key,
  });
  const target = { url: `https://127.0.0.1:${publisher.port}`, pins };
  sender.look({ facts, org: 'acme', targets: [target], lastPublisher: undefined, agents: 0 });
  return sender;
}

async function untilReported(publisher: TestPublisher) {
  const endAtMs = performance.now() + 60_000;
  for (;;) {
    const seen = await publisher.json('agents');
    if (seen.total > 0) return seen;
    if (performance.now() > endAtMs) throw new Error('nothing was reported');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function pinsOf(publisher: TestPublisher) {
  const root = JSON.parse((await publisher.get('/v1/root/1')).body.toString());
  const payload = JSON.parse(Buffer.from(root.payload, 'base64url').toString());
  return { pins: payload.publishers[0].spki as readonly string[] };
}

test('a report goes from the sender to `agents` and `explain`; a forged one does not', async (t) => {
  const publisher = await startPublisher(t);
  const stop = new AbortController();
  const senders = [
    await senderOf(publisher, '001', keyOf('001')),
    await senderOf(publisher, '002', keyOf('001')),
    await senderOf(publisher, '003', keyOf('003')),
  ];
  const running = senders.map((sender) => sender.run(stop.signal).catch(() => undefined));
  t.after(() => stop.abort());
  const page = await untilReported(publisher);
  stop.abort();
  await Promise.all(running);
  assert.deepEqual(
    page.lines.map((line: { agent: string }) => line.agent),
    ['001'],
  );
  const none = await publisher.json('agents', '--filter', 'site=elsewhere');
  assert.equal(none.total, 0);
  const told = await publisher.run('explain', '1');
  assert.match(told.out, /agent 001/);
  assert.match(told.out, /wm1/);
  const unknown = await publisher.run('explain', '002');
  assert.equal(unknown.exit, 2);
  assert.match(unknown.err, /E044/);
});

test('what is no report is refused before it is read: method, size, headers', async (t) => {
  const publisher = await startPublisher(t);
  const get = await publisher.get('/v1/report');
  assert.equal(get.status, 404);
});
