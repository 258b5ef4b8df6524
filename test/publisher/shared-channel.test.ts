/** The list through the shared folder of a group: publisher, two nodes, remoted's merge, a sidecar. */
import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { PeerError } from '../../src/errors.ts';
import { openSharedFolders } from '../../src/host/shared-folders.ts';
import { sourceFiles } from '../../src/host/sidecar-files.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import { parseEnvelope } from '../../src/list/envelope.ts';
import { parseList } from '../../src/list/parse-list.ts';
import { withUnready } from '../../src/publisher/content.ts';
import type { PublishedList } from '../../src/publisher/history.ts';
import { publishConfigured } from '../../src/publisher/orders.ts';
import { publish } from '../../src/publisher/publish.ts';
import { channelDue } from '../../src/publisher/shared-channel.ts';
import { join as joinSidecar } from '../../src/sidecar/join.ts';
import { PublisherBook } from '../../src/sidecar/publisher-book.ts';
import { pollSources, type SourceWorld } from '../../src/sidecar/source.ts';
import { readTrust } from '../../src/sidecar/trust.ts';
import { runPublisher, TestPublisher } from '../cli/publisher-fixture.ts';
import { Home, startMaster, startWorker } from '../cluster/system/nodes.ts';
import { eventually, freePort } from '../fakes/processes.ts';
import { configuredOf, openDesk, scratchDirectory } from './fixture.ts';

const waitMs = 60_000;

/** merged.mg as remoted makes it, and what the agent makes of it: `!SIZE NAME\n` and the bytes. */
function carryByRemoted(group: string, agent: string): void {
  const names = readdirSync(group).filter((name) => !name.startsWith('.') && name !== 'merged.mg');
  const parts = names.map((name) => {
    const bytes = readFileSync(join(group, name));
    return Buffer.concat([Buffer.from(`!${bytes.length} ${name}\n`), bytes]);
  });
  let merged = Buffer.concat([Buffer.from('#default\n'), ...parts]);
  merged = merged.subarray(merged.indexOf('\n') + 1);
  for (const name of readdirSync(agent)) rmSync(join(agent, name));
  while (merged.length > 0) {
    const end = merged.indexOf('\n');
    const [, size, name] = /^!(\d+) (.+)$/.exec(merged.toString('utf8', 0, end)) ?? [];
    assert.ok(name !== undefined && !name.includes('/'), 'a flat name');
    writeFileSync(join(agent, name), merged.subarray(end + 1, end + 1 + Number(size)));
    merged = merged.subarray(end + 1 + Number(size));
  }
}

function versionIn(envelope: Buffer): number {
  return parseList(parseEnvelope(envelope).payloadBytes).version;
}

/** A sidecar whose host reaches no publisher. */
function cutOff(agent: string): SourceWorld {
  return {
    clock: systemClock,
    random: systemRandom,
    link: { ask: async () => Promise.reject(new PeerError('connect_failed', 'no way there')) },
    files: sourceFiles,
    filePaths: [join(agent, 'pilotfish.list')],
    book: new PublisherBook(),
  };
}

test('a list reaches a sidecar through group folder, integrity sync and remoted; a signature alone moves nothing', async (t) => {
  const home = new Home(t, {
    'etc/client.keys': '',
    'etc/shared/default/agent.conf': '<agent_config/>',
  });
  const cluster = { intervals: { worker: { sync_integrity: 0.3, connection_retry: 0.3 } } };
  const master = await startMaster(t, home, { cluster });
  const away = new Home(t);
  startWorker(t, away, { name: 'w1', port: master.port, cluster });
  const port = await freePort('127.0.0.1');
  const publisher = new TestPublisher(join(scratchDirectory(t), 'p'), port, [
    '10.0.0.1',
    '10.0.0.2',
  ]);
  assert.equal((await runPublisher([...publisher.initFlags, '--static'])).exit, 0);
  publisher.edit('level: info', 'level: silent');
  publisher.edit(/^list:/m, `shared:\n  home: ${home.path}\n  groups: [default, missing]\nlist:`);
  await publisher.start();
  t.after(() => publisher.stop());

  const agent = mkdtempSync(join(tmpdir(), 'pf-agent-'));
  t.after(() => rmSync(agent, { recursive: true, force: true, maxRetries: 9 }));
  const held = (name: string): Buffer | undefined => {
    try {
      return readFileSync(join(away.path, 'etc/shared/default', name));
    } catch {
      return undefined;
    }
  };
  const both = () => held('pilotfish.list.root.1') && held('pilotfish.list');
  await eventually('the worker has the list and its root', both, waitMs);
  carryByRemoted(join(away.path, 'etc/shared/default'), agent);
  assert.deepEqual(readdirSync(agent).sort(), [
    'agent.conf',
    'pilotfish.list',
    'pilotfish.list.root.1',
  ]);
  const { token } = await publisher.json('token');
  const joined = await joinSidecar(cutOff(agent), { token, before: undefined, agentId: '001' });
  assert.equal(joined.news.freshness, 'static');
  assert.equal(joined.memory.list?.position.version, 1);

  const status = await publisher.json('status');
  assert.match(
    JSON.stringify(status.findings),
    /shared\.missing: .*is missing a group of this manager/,
  );

  const renew = ['root', 'renew', '--dir', publisher.directory, '--manager', '10.0.0.3'];
  assert.equal((await runPublisher(renew)).exit, 0);
  const { version } = await publisher.json('drain', '10-0-0-2');
  const list = await eventually(
    'the worker has the drain, and the root that a bundle may bring behind it',
    () => {
      const bytes = held('pilotfish.list');
      const isWhole = bytes !== undefined && held('pilotfish.list.root.2') !== undefined;
      return isWhole && versionIn(bytes) === version ? bytes : undefined;
    },
    waitMs,
  );
  carryByRemoted(join(away.path, 'etc/shared/default'), agent);
  const trust = await readTrust(joined.memory, systemClock.nowMs(), undefined);
  const news = await pollSources(cutOff(agent), joined.memory, trust, { waitMs: 0 });
  assert.equal(news.list?.position.version, version);
  assert.equal(news.roots.length, 1);
  assert.equal(Buffer.compare(list, Buffer.from(news.list?.envelope ?? [])), 0);
});

async function versions(t: Parameters<typeof openDesk>[0]) {
  const desk = await openDesk(t);
  const first = (await publish(desk, publishConfigured(configuredOf('wm1', 'wm2')))).entry;
  const next = (change: Partial<PublishedList>): PublishedList => ({
    ...{ ...first, version: 2, issuedAtMs: first.issuedAtMs + 3_600_000 },
    ...change,
  });
  return { first, next };
}

test('the file changes on membership, and else only before it ends', async (t) => {
  const { first, next } = await versions(t);
  const { content, issuedAtMs } = first;
  const soonMs = issuedAtMs + 2 * 3_600_000;
  assert.equal(channelDue(first, next({}), soonMs), undefined, 'a new signature');
  const lost = withUnready(content, ['wm2']);
  assert.equal(channelDue(first, next({ content: lost }), soonMs), undefined, 'health');
  const back = next({});
  assert.equal(channelDue({ ...first, content: lost }, back, back.issuedAtMs + 1_000), undefined);
  assert.equal(channelDue({ ...first, content: lost }, back, soonMs), 'a manager is back');
  const drained = { ...content, drained: ['wm1'] };
  assert.equal(channelDue(first, next({ content: drained }), soonMs), 'another membership');
  assert.equal(channelDue(first, next({ epoch: 2 }), soonMs), 'another root');
  assert.equal(
    channelDue(first, next({}), issuedAtMs + 13 * 3_600_000),
    'half its validity is over',
  );
  const rollout = { id: 'r-2' } as NonNullable<PublishedList['rollout']>;
  assert.equal(channelDue(first, next({ content: drained, rollout }), soonMs), undefined, 'waves');
  assert.equal(channelDue(undefined, first, soonMs), 'nothing of ours is there');
});

test('a link in place of a group, and a group that is none, are refused', async (t) => {
  const home = scratchDirectory(t);
  mkdirSync(join(home, 'etc/shared/default'), { recursive: true });
  mkdirSync(join(home, 'elsewhere'));
  symlinkSync(join(home, 'elsewhere'), join(home, 'etc/shared/evil'));
  const folders = openSharedFolders(home);
  await folders.write('default', 'pilotfish.list', Buffer.from('x'));
  assert.equal(
    Buffer.from((await folders.read('default', 'pilotfish.list')) ?? []).toString(),
    'x',
  );
  assert.deepEqual(readdirSync(join(home, 'etc/shared/default')), ['pilotfish.list']);
  mkdirSync(join(home, 'elsewhere/etc/default'), { recursive: true });
  mkdirSync(join(home, 'other/etc'), { recursive: true });
  symlinkSync(join(home, 'elsewhere/etc'), join(home, 'other/etc/shared'));
  const behindLink = openSharedFolders(join(home, 'other'));
  await assert.rejects(behindLink.write('default', 'pilotfish.list', Buffer.from('x')), {
    reason: 'not_found',
  });
  assert.deepEqual(readdirSync(join(home, 'elsewhere/etc/default')), []);
  rmSync(join(home, 'elsewhere/etc'), { recursive: true });
  for (const group of ['evil', 'none']) {
    await assert.rejects(folders.write(group, 'pilotfish.list', Buffer.from('x')), {
      reason: 'not_found',
    });
  }
  assert.deepEqual(readdirSync(join(home, 'elsewhere')), []);
});
