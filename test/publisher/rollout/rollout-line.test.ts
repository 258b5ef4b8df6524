/** A rollout in a running publisher, from reports over TLS to the commands of operators. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { AgentReport } from '../../../src/list/agent-report.ts';
import { isInWave } from '../../../src/list/rollout.ts';
import {
  initPublisherDirectory,
  runPublisher,
  TestPublisher,
} from '../../cli/publisher-fixture.ts';
import { postReport } from '../reports/post-report.ts';
import { aReport, keyOf } from '../reports/report-fixture.ts';

const agents = Array.from({ length: 40 }, (_, index) => `${index + 1}`.padStart(3, '0'));

async function startFleet(t: Parameters<typeof initPublisherDirectory>[0]) {
  const publisher = await initPublisherDirectory(t);
  mkdirSync(join(publisher.directory, 'wazuh'));
  const lines = agents.map((id) => `${id} host-${id} any ${keyOf(id)}\n`);
  writeFileSync(join(publisher.directory, 'wazuh/client.keys'), lines.join(''));
  publisher.edit(
    /^list:/m,
    `reports:
  keys: wazuh/client.keys
rollout:
  waves:
    - { percent: 10, bake: 1s }
    - { percent: 100, bake: 1s }
list:`,
  );
  await publisher.start();
  await reportAll(publisher, 1, () => ({}));
  // The commands of operators plan by what is stored, and that is done once a second.
  await until(async () => (await statusOf(publisher)).shares[0]?.agents === agents.length);
  return publisher;
}

async function reportAll(
  publisher: TestPublisher,
  seq: number,
  change: (agent: string) => Partial<AgentReport>,
): Promise<void> {
  for (const agent of agents) {
    await postReport(publisher, aReport({ agent, place: agent, seq, ...change(agent) }));
  }
}

function rollout(publisher: TestPublisher, ...words: readonly string[]) {
  return runPublisher(['rollout', ...words, '--dir', publisher.directory]);
}

async function statusOf(publisher: TestPublisher) {
  return JSON.parse((await rollout(publisher, 'status', '--json')).out);
}

async function listed(publisher: TestPublisher, etag?: string) {
  const headers = etag === undefined ? {} : { 'if-none-match': etag };
  const { body } = await publisher.get('/v1/list', headers);
  const { payload } = JSON.parse(body.toString());
  return JSON.parse(Buffer.from(payload, 'base64url').toString());
}

async function until(look: () => Promise<boolean>): Promise<void> {
  const endAtMs = performance.now() + 60_000;
  while (!(await look())) {
    if (performance.now() > endAtMs) throw new Error('it did not happen');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test('a change goes to its wave, newcomers get the old list, an abort brings it back to all', async (t) => {
  const publisher = await startFleet(t);
  publisher.edit(/weight: 100/, 'weight: 50');
  publisher.edit(/weight: 100 /, 'weight: 200 ');
  await publisher.run('publish');
  const status = await statusOf(publisher);
  assert.equal(status.state, 'running');
  assert.equal(status.record.pct >= 10 && status.record.pct < 40, true);
  const [newcomer, known] = [await listed(publisher), await listed(publisher, '"x"')];
  assert.deepEqual([newcomer.version, known.version], [1, 2]);
  assert.deepEqual(known.rollout.id, 'r-2');
  const text = (await rollout(publisher, 'status')).out;
  assert.match(text, /\[[#.]{30}\]/);
  assert.equal((await rollout(publisher, 'abort', '--reason', 'wrong weights')).exit, 0);
  await until(async () => (await listed(publisher)).version === 3);
  const after = await listed(publisher);
  assert.deepEqual([after.rollout, after.managers], [undefined, newcomer.managers]);
  const second = await rollout(publisher, 'abort'); // the other operator, a moment later
  assert.equal(second.exit, 2);
  assert.match(second.err, /E045/);
});

test('waves go on by what is reported and stop while paused', async (t) => {
  const publisher = await startFleet(t);
  publisher.edit(/weight: 100 /, 'weight: 200 ');
  await publisher.run('publish');
  await rollout(publisher, 'pause');
  const { rollout: wave } = await listed(publisher, '"x"');
  const holding = (agent: string): Partial<AgentReport> => {
    if (!isInWave(wave, agent)) return {};
    const position = { epoch: 1, term: 1, version: 2 };
    return { list: { position, hash: `sha256:${'1'.repeat(64)}` } };
  };
  await reportAll(publisher, 2, holding);
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  assert.equal((await listed(publisher, '"x"')).version, 2);
  await rollout(publisher, 'resume');
  await until(async () => (await listed(publisher, '"x"')).rollout?.pct === 100);
  const waiting = await publisher.json('agents', '--filter', 'state=behind');
  assert.ok(waiting.total > 0, 'those of the last wave do not hold it yet');
});

test('a reload changes how the change that comes with it is rolled out', async (t) => {
  const publisher = await startFleet(t);
  publisher.edit(/waves:\n {4}- \{ percent: 10,/, 'waves:\n    - { percent: 40,');
  publisher.edit(/weight: 100 /, 'weight: 200 ');
  publisher.reload();
  await until(async () => (await listed(publisher, '"x"')).version === 2);
  assert.ok((await listed(publisher, '"x"')).rollout?.pct >= 40);
});

test('without reports a change goes to everybody, and a wave under way is taken back on request', async (t) => {
  const publisher = await startFleet(t);
  publisher.edit(/weight: 100 /, 'weight: 200 ');
  await publisher.run('publish');
  await publisher.stop();
  publisher.edit(/^reports:/m, 'reports:\n  enabled: false');
  const { directory, port } = publisher;
  const again = new TestPublisher(directory, port, []);
  t.after(() => again.stop());
  await again.start();
  await rollout(again, 'abort');
  await until(async () => (await listed(again)).version === 3);
  again.edit(/weight: 200 /, 'weight: 300 ');
  await again.run('publish');
  const { version, rollout: wave } = await listed(again, '"x"');
  assert.deepEqual([version, wave], [4, undefined]);
});
