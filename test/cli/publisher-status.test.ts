/** `status`: what is wrong comes first, and the exit code says how bad it is. */
import assert from 'node:assert/strict';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { judgeStatus, type StatusGround } from '../../src/cli/judge-publisher.ts';
import { publishConfigured } from '../../src/publisher/orders.ts';
import { publish } from '../../src/publisher/publish.ts';
import { configuredOf, openDesk, startMs } from '../publisher/fixture.ts';
import { initPublisherDirectory } from './publisher-fixture.ts';

test('without a running publisher the first line says so, and the exit code is 1', async (t) => {
  const publisher = await initPublisherDirectory(t);
  const none = await publisher.run('status');
  assert.equal(none.exit, 1);
  assert.match(none.out, /^failed: nothing was published yet\n/);
  await publisher.run('publish');
  const published = await publisher.run('status');
  assert.match(published.out, /^failed: no publisher runs here\n {2}what to do: start/);
  assert.match(published.out, /list 1 \(first\), signed .* ago, expires in 2[34] h/);
});

test('a publisher that hangs, or is of another version, is not told as none', async (t) => {
  const publisher = await initPublisherDirectory(t);
  let answer: string | undefined;
  const hung = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => answer !== undefined && socket.end(answer));
  });
  hung.listen(join(publisher.directory, 'publisher.sock'));
  t.after(() => hung.close());
  const silent = await publisher.run('status');
  assert.equal(silent.exit, 1);
  assert.match(silent.out, /^failed: the publisher that runs here does not answer/m);
  assert.doesNotMatch(silent.out, /no publisher runs here/);
  assert.match((await publisher.run('doctor')).out, /^FAIL +port .*does not answer/m);
  answer = '{"of":"another version"}\n';
  assert.match((await publisher.run('status')).out, /^failed: .* is of another version$/m);
});

test('a broken configuration and refused requests are seen; mended, all is well again', async (t) => {
  const publisher = await initPublisherDirectory(t);
  await publisher.start();
  publisher.edit('weight: 100', 'weigth: 7  ');
  publisher.reload();
  await untilStatus(publisher, /reload\.failed: E002/, 2); // commands cannot read it either
  publisher.edit('weigth: 7  ', 'weight: 7  ');
  await untilStatus(publisher, /reload\.failed: E002/, 3);
  publisher.reload();
  await untilStatus(publisher, /list 2 \(config\)/, 3);
  assert.equal((await publisher.get('/v1/nothing')).status, 404);
  assert.equal((await publisher.get('/v1/list?wait=x')).status, 400);
  assert.equal(await postReport(publisher.port), 503);
  const { running, verdict, findings } = await publisher.json('status');
  assert.equal(verdict, 'degraded');
  assert.ok(!JSON.stringify(findings).includes('reload.failed'));
  assert.equal(running.refused['request not_found'], 1);
  assert.equal(running.refused['request bad_request'], 1);
  assert.equal(running.refused['report no_keys'], 1);
});

async function untilStatus(
  publisher: Awaited<ReturnType<typeof initPublisherDirectory>>,
  text: RegExp,
  exit: number,
): Promise<void> {
  const endAtMs = performance.now() + 60_000;
  for (;;) {
    const ran = await publisher.run('status');
    const isUsage = exit === 2 && ran.exit === 2;
    if (isUsage || (ran.exit === exit && text.test(ran.out))) return;
    if (performance.now() > endAtMs) throw new Error(`${ran.exit} ${ran.out}${ran.err}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function postReport(port: number): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const headers = { 'content-type': 'application/json', 'pf-agent': '1', 'pf-mac': 'A'.repeat(43) };
  const sent = request({
    ...{ host: '127.0.0.1', port, path: '/v1/report', method: 'POST', headers },
    ...{ rejectUnauthorized: false, agent: false },
  });
  sent.on('response', (response) => resolve(response.resume().statusCode)).on('error', reject);
  sent.end('{}');
  return promise;
}

test('expiry, a root that ends, complaints and a stale process are told, worst first', async (t) => {
  const desk = await openDesk(t);
  await publish(desk, publishConfigured(configuredOf('wm1', 'wm2')));
  const newest = desk.history.newest();
  const running: NonNullable<StatusGround['running']> = {
    ...{ version: 1, startedAtMs: startMs, lagMs: 0, connections: 0, waiting: 0 },
    ...{ complaints: [], refused: {}, probes: {} },
  };
  const fine = {
    ...{ newest, running, root: desk.root, overview: undefined, isRosterEnabled: false },
    nowMs: startMs,
  };
  const told = (change: Partial<StatusGround>): readonly string[] =>
    judgeStatus({ ...fine, ...change }).map(({ severity, what }) => `${severity} ${what}`);
  assert.deepEqual(told({}), []);
  assert.deepEqual(told({ nowMs: startMs + 20 * 3_600_000 }), [
    'degraded list 1 expires in 4 h 0 min and was not signed anew',
  ]);
  const complaints = [{ topic: 'reports.store', message: 'disk full', sinceAtMs: startMs }];
  const late = told({ nowMs: startMs + 25 * 3_600_000, running: { ...running, complaints } });
  assert.deepEqual(late, [
    'failed list 1 expired 60 min 0 s ago',
    'degraded reports.store: disk full (for 25 h 0 min)',
  ]);
  assert.deepEqual(told({ running: { ...running, version: 9 } }), [
    'degraded version 1 is published, 9 is served',
  ]);
  assert.deepEqual(told({ isRosterEnabled: true }), ['degraded the roster makes no rounds']);
  assert.deepEqual(told({ running: { ...running, probes: { wm2: 'down' } } }), [
    'degraded wm2 does not answer from here, and the list offers it',
  ]);
});
