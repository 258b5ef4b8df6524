/**
 * Everything that passes between publishers, as real programs: two under one `leader` on Debian's etcd,
 * a follower by https, a sidecar that knows the follower alone. The one that leads is killed.
 */
import assert from 'node:assert/strict';
import { copyFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Stage } from '../../scripts/demonstration/stage.ts';
import { runPublisher, TestPublisher } from '../cli/publisher-fixture.ts';
import { eventually, freePort, ownAddress, StandIns } from '../fakes/processes.ts';
import { EtcdServers, missingEtcd } from '../leader/etcd-fixture.ts';
import { scratchDirectory } from '../publisher/fixture.ts';
import { postReport } from '../publisher/reports/post-report.ts';
import { aReport, keyOf } from '../publisher/reports/report-fixture.ts';

const skip = missingEtcd() ?? false;
const program = fileURLToPath(new URL('../../src/publisher-main.ts', import.meta.url));
const waitMs = 90_000;
const ttlMs = 4_000;

const urlOf = ({ port }: TestPublisher): string => `https://127.0.0.1:${port}`;

function leaderSection(name: string, etcd: readonly string[], url: string, keys: string): string {
  return [
    ...[
      'leader:',
      '  engine: etcd',
      `  name: ${name}`,
      `  url: ${url}`,
      `  ttl: ${ttlMs / 1_000}s`,
    ],
    ...[
      '  etcd:',
      `    endpoints: [${etcd.join(', ')}]`,
      'reports:',
      `  keys: ${keys}`,
      'managers:',
    ],
  ].join('\n');
}

interface Ground {
  readonly folder: string;
  readonly standIns: StandIns;
}

function run({ standIns }: Ground, { directory }: TestPublisher) {
  return standIns.start(process.execPath, [program, 'run', '--dir', directory]);
}

const serves = async (publisher: TestPublisher, path = '/v1/list'): Promise<boolean> =>
  (await publisher.get(path).catch(() => undefined))?.status === 200;
const leads = async (publisher: TestPublisher): Promise<boolean> =>
  (await publisher.json('status')).running?.leader?.leads === true;
const versionAt = async (publisher: TestPublisher): Promise<number> => {
  const { body } = await publisher.get('/v1/list');
  const { payload } = JSON.parse(body.toString());
  return JSON.parse(Buffer.from(payload, 'base64url').toString()).version;
};

/** The same keys and roots in two directories; the root names all three. */
async function initPair({ folder }: Ground, etcd: readonly string[]) {
  const ports = [await freePort('127.0.0.1'), await freePort('127.0.0.1')] as const;
  const managers = [91, 92, 93].map((at) => `m${at - 90}=${ownAddress(at)}`);
  const a = new TestPublisher(join(folder, 'a'), ports[0], managers);
  const b = new TestPublisher(join(folder, 'b'), ports[1], []);
  const follower = new TestPublisher(join(folder, 'f'), await freePort('127.0.0.1'), []);
  const more = [b, follower].flatMap((one) => ['--url', urlOf(one)]);
  const made = await runPublisher([...a.initFlags, ...more]);
  assert.equal(made.exit, 0, made.err);
  const keys = join(folder, 'client.keys');
  writeFileSync(keys, ['001', '002'].map((id) => `${id} host${id} any ${keyOf(id)}\n`).join(''));
  cpSync(a.directory, b.directory, { recursive: true });
  b.edit(`127.0.0.1:${a.port}`, `127.0.0.1:${b.port}`);
  a.edit('managers:', leaderSection('wm1', etcd, urlOf(a), keys));
  b.edit('managers:', leaderSection('wm2', etcd, urlOf(b), keys));
  return { a, b, follower };
}

async function makeFollower(
  { folder }: Ground,
  [a, b, follower]: readonly [TestPublisher, TestPublisher, TestPublisher],
): Promise<string> {
  const pem = join(folder, 'f.pem');
  const flags = ['--certificate', pem, '--host', '127.0.0.1'];
  assert.equal((await a.run('export', join(folder, 'site'), ...flags)).exit, 0);
  const token = (await a.run('token')).out.trim().split('\n').at(-1) ?? '';
  const from = ['--from', urlOf(a), urlOf(b), '--listen', `127.0.0.1:${follower.port}`];
  const made = await follower.run('follow', token, ...from);
  assert.equal(made.exit, 0, made.err);
  copyFileSync(pem, join(follower.directory, 'server.pem'));
  copyFileSync(join(a.directory, 'ca.crt'), join(follower.directory, 'ca.crt'));
  return token;
}

/** A sidecar as a process, that asks the follower and nobody else. */
async function startSidecar(t: TestContext, follower: TestPublisher, token: string) {
  const stage = Stage.make({ addresses: [94, 95].map(ownAddress), agentId: '001' });
  t.after(() => stage.stop());
  const sources = { publishers: [urlOf(follower)] };
  stage.writeSidecarConfig({ ...stage.livelyConfig(), sources, poll: { interval: '1s' } });
  await eventually('the sidecar joined', async () => {
    return (await stage.sidecarTry('join', token)).status === 0;
  });
  stage.startSidecar();
  const look = (): { list?: { hash: string }; freshAtMs?: number } => {
    try {
      return JSON.parse(readFileSync(join(stage.directory, 'state/status.json'), 'utf8'));
    } catch {
      return {}; // not written yet
    }
  };
  return { look };
}

/** One question after the other until `end`: what was not answered with a list. */
function keepAsking(publisher: TestPublisher) {
  let isAsking = true;
  let answers = 0;
  const refused: unknown[] = [];
  const asking = (async () => {
    while (isAsking) {
      const answer = await publisher.get('/v1/list').catch((error: unknown) => error);
      const status =
        answer instanceof Error ? answer.message : (answer as { status: number }).status;
      if (status === 200) answers += 1;
      else refused.push(status);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  return {
    async end() {
      isAsking = false;
      await asking;
      return { answers, refused };
    },
  };
}

const agentsAt = async (publisher: TestPublisher): Promise<readonly string[]> => {
  const { lines = [] } = await publisher.json('agents');
  return lines.map(({ agent }: { agent: string }) => agent).sort();
};

test('the one that leads is killed: the follower is never silent, and gets what comes next', {
  skip,
}, async (t) => {
  const servers = await new EtcdServers().start();
  const ground: Ground = { folder: scratchDirectory(t), standIns: new StandIns() };
  t.after(async () => {
    await ground.standIns.stopAll();
    await servers.stop();
  });
  const { a, b, follower } = await initPair(ground, servers.urls);
  const first = run(ground, a);
  await eventually('wm1 leads and serves', async () => (await serves(a)) && leads(a), waitMs);
  run(ground, b);
  await eventually('wm2 serves', () => serves(b), waitMs);
  const token = await makeFollower(ground, [a, b, follower]);
  run(ground, follower);
  await eventually('the follower serves', () => serves(follower), waitMs);

  // Reports that reached others are known to the one that leads.
  await postReport(follower, aReport({ agent: '001', seq: 5 }));
  await postReport(b, aReport({ agent: '002', seq: 5 }));
  await eventually(
    'wm1 knows both agents',
    async () => `${await agentsAt(a)}` === '001,002',
    waitMs,
  );

  const sidecar = await startSidecar(t, follower, token);
  /** By a receipt that was made since then, for the list that the follower serves. */
  const isVouchedFor = async (sinceMs: number) => {
    const { etag } = await follower.get('/v1/list');
    return () => {
      const { list, freshAtMs = 0 } = sidecar.look();
      return `"${list?.hash}"` === etag && freshAtMs > sinceMs;
    };
  };
  await eventually('the sidecar holds the list, vouched for', await isVouchedFor(0), waitMs);

  const poller = keepAsking(follower);
  t.after(() => poller.end());
  const killedAtMs = Date.now();
  const killedMs = performance.now();
  await first.kill();
  await eventually('wm2 leads', () => leads(b), waitMs);
  const takeoverMs = performance.now() - killedMs;
  t.diagnostic(`takeover after ${Math.round(takeoverMs)} ms, lease ${ttlMs} ms`);
  assert.equal((await b.run('drain', 'm1')).exit, 0);
  const next = await versionAt(b);
  await eventually('the follower has it', async () => (await versionAt(follower)) === next, waitMs);
  await eventually('the sidecar holds it, vouched for', await isVouchedFor(killedAtMs), waitMs);
  const { answers, refused } = await poller.end();
  assert.deepEqual(refused, []);
  assert.ok(answers > 20, `${answers} answers`);
  // What is reported now goes to the new one.
  await postReport(follower, aReport({ agent: '001', seq: 6 }));
  await eventually('wm2 knows it', async () => (await agentsAt(b)).includes('001'), waitMs);
});
