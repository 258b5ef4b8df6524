import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { rankManagers } from '../../src/list/select.ts';
import { Stage } from '../fakes/stage.ts';
import { aManager } from '../list/documents.ts';
import { config, listNow, OwnPublisher, PosixHost, shells } from './posix-stage.ts';

async function stage(t: TestContext, shell?: (typeof shells)[number]) {
  const publisher = new OwnPublisher();
  await publisher.start(t);
  const list = listNow();
  publisher.serve(list);
  return { publisher, list, host: new PosixHost(t, publisher, shell) };
}

async function joined(t: TestContext, shell?: (typeof shells)[number]) {
  const staged = await stage(t, shell);
  const { exit, err } = await staged.host.run('join', staged.host.path('token'));
  assert.equal(exit, 0, err);
  return staged;
}

// Each has its own host and publisher, and mostly waits for programs of the shell.
describe('the applier in POSIX sh', { concurrency: 4 }, () => {
  for (const shell of shells) {
    test(`${shell.name}: join, first run, a run with nothing to do, a drain, and everything back`, async (t) => {
      const { host, publisher, list } = await joined(t, shell);
      if (process.getuid?.() === 0) chownSync(host.configPath, 12, 34);
      assert.equal((await host.run('plan')).exit, 3);
      assert.equal(host.readConfig(), config);
      const first = await host.run('run');
      assert.equal(first.exit, 0, first.err);
      const order = rankManagers(list.managers, { agentId: '007' }).map(
        (one) => `${one.address} ${one.port}`,
      );
      assert.deepEqual(host.entries(), order);
      const outside = (text: string) => text.replace(/<server>.*<\/server>/s, '');
      assert.equal(outside(host.readConfig()), outside(config));
      const { mode, uid, gid } = statSync(host.configPath);
      assert.equal(mode & 0o7777, 0o640);
      if (process.getuid?.() === 0) assert.deepEqual([uid, gid], [12, 34]);
      const written = host.readConfig();
      const again = await host.run('run');
      assert.deepEqual([again.exit, host.readConfig(), host.restarts], [0, written, 1]);

      const managers = list.managers.map((one) =>
        `${one.address} ${one.port}` === order[0] ? { ...one, state: 'drain' as const } : one,
      );
      publisher.serve({ ...list, version: list.version + 1, managers });
      const drained = await host.run('run');
      assert.equal(drained.exit, 0, drained.err);
      assert.deepEqual(host.entries(), [order[1], order[2], order[0]]);
      assert.equal(host.restarts, 2);

      assert.equal((await host.run('restore')).exit, 0);
      assert.equal(host.readConfig(), config);
    });
  }

  test('a host of a zone writes the addresses for it, and too many that move are refused', async (t) => {
    const { host, publisher, list } = await stage(t);
    host.settings({ zone: 'dmz' });
    const movedTo = (network: string, count: number) =>
      list.managers.map((one, at) => {
        const addresses = [
          { zone: 'dmz', address: `${network}.${at + 1}`, port: 1517 },
          { zone: 'other', address: `10.20.9.${at + 1}` },
        ];
        return at < count ? { ...one, addresses } : one;
      });
    publisher.serve({ ...list, managers: movedTo('10.20.7', 3) });
    assert.equal((await host.run('join', host.path('token'))).exit, 0);
    const first = await host.run('run');
    assert.equal(first.exit, 0, first.err);
    const expected = ['10.20.7.1 1517', '10.20.7.2 1517', '10.20.7.3 1517'];
    assert.deepEqual(host.entries().toSorted(), expected);
    publisher.serve({ ...list, version: list.version + 1, managers: movedTo('10.20.8', 3) });
    const refused = await host.run('run');
    assert.match(refused.err, /E409 3 of 3 managers removed at once/);
    assert.deepEqual([refused.exit, host.entries().toSorted()], [4, expected]);
    const one = movedTo('10.20.8', 1).slice(0, 1);
    const managers = [...one, ...movedTo('10.20.7', 3).slice(1)];
    publisher.serve({ ...list, version: list.version + 2, managers });
    assert.equal((await host.run('run')).exit, 0);
    assert.deepEqual(host.entries().toSorted(), [...expected.slice(1), '10.20.8.1 1517']);
  });

  test('an agent behind a load balancer that the list names stays there, until the list does not', async (t) => {
    const { host, publisher, list } = await joined(t);
    publisher.serve({
      ...list,
      version: list.version + 1,
      balancers: [{ address: '10.9.9.9', port: 1514 }],
    });
    const stays = await host.run('run');
    assert.equal(stays.exit, 0, stays.err);
    assert.match(stays.err, /behind a load balancer/);
    assert.deepEqual([host.readConfig(), host.restarts], [config, 0]);
    publisher.serve({ ...list, version: list.version + 2 });
    assert.equal((await host.run('run')).exit, 0);
    assert.equal(host.entries().length, list.managers.length);
  });

  test('an agent that does not connect gets its old bytes back, and the list is not tried again', async (t) => {
    const { host } = await joined(t);
    host.onRestart('stay away');
    const failed = await host.run('run');
    assert.equal(failed.exit, 3);
    assert.match(failed.err, /E610 the agent did not connect/);
    assert.deepEqual([host.readConfig(), host.restarts], [config, 2]);
    host.onRestart('connect');
    const held = await host.run('run');
    assert.match(held.err, /this very list failed here/);
    assert.deepEqual([held.exit, host.restarts], [3, 2]);
  });

  test("a lock whose number went to another process is nobody's; that of a run at work holds", async (t) => {
    const { host } = await joined(t);
    const holder = (...words: readonly string[]) => {
      const child = spawn('sh', ['-c', 'echo up; read -r line', ...words]);
      t.after(() => child.kill());
      mkdirSync(host.path('state/lock'), { recursive: true });
      writeFileSync(host.path('state/lock/pid'), `${child.pid}\n`);
      return once(child.stdout, 'data');
    };
    await holder('sshd');
    const { exit, err } = await host.run('status');
    assert.equal(exit, 0, err);
    await holder('/opt/pilotfish/pilotfish-sh', 'run');
    assert.match((await host.run('status')).err, /E030 pilotfish-sh already runs/);
  });

  test('entries that the operator changed after a restore are those that the next one puts back', async (t) => {
    const { host } = await joined(t);
    assert.equal((await host.run('run')).exit, 0);
    assert.equal((await host.run('restore')).exit, 0);
    const theirs = config.replace('10.9.9.9', '10.9.9.77');
    writeFileSync(host.configPath, theirs, 'latin1');
    assert.equal((await host.run('run')).exit, 0);
    assert.notEqual(host.readConfig(), theirs);
    assert.equal((await host.run('restore')).exit, 0);
    assert.equal(host.readConfig(), theirs);
    assert.match((await host.run('restore')).err, /nothing of ours stands there/);
  });

  test('a run that is killed after the swap is taken up by the next one', async (t) => {
    const { host } = await joined(t);
    host.onRestart('kill the applier');
    assert.equal((await host.run('run')).exit, null);
    assert.notEqual(host.readConfig(), config);
    host.onRestart('stay away');
    const next = await host.run('run');
    assert.match(next.err, /interrupted after the swap/);
    assert.equal(host.readConfig(), config);
  });

  test('a new root is followed when the old keys signed it, and it moves what is allowed', async (t) => {
    const { host, publisher, list } = await joined(t);
    const root = { ...publisher.root, version: 8, epoch: 4 };
    const constraints = { ...root.constraints, cidrs: [...root.constraints.cidrs, '10.8.0.0/16'] };
    publisher.serveRoot({ ...root, constraints });
    const managers = [...list.managers, aManager('wm-09', { address: '10.8.0.9' })];
    publisher.serve({ ...list, epoch: 4, rootVersion: 8, version: 1, managers });
    const { exit, err } = await host.run('run');
    assert.equal(exit, 0, err);
    assert.match(err, /root 8 is followed/);
    assert.ok(host.entries().includes('10.8.0.9 1514'));
  });

  test('nothing is done while no new manager answers a ping; the one that does goes first', async (t) => {
    const { host, publisher } = await stage(t);
    const fakes = new Stage(t);
    host.settings({ probe: 'yes' });
    const managers = [fakes.a, fakes.b].map((address, n) => aManager(`wm-${n}`, { address }));
    publisher.serve(listNow({ managers }));
    assert.equal((await host.run('join', host.path('token'))).exit, 0);
    const dead = await host.run('run');
    assert.deepEqual([dead.exit, host.readConfig()], [3, config]);
    assert.match(dead.err, /E410/);
    const last = rankManagers(managers, { agentId: '007' }).at(-1)?.address ?? '';
    await fakes.manager(last);
    const { exit, err } = await host.run('run');
    assert.equal(exit, 0, err);
    assert.equal(host.entries()[0], `${last} 1514`);
  });

  test('a pause, a rollout that leaves this agent out and a young restart hold the change', async (t) => {
    const { host, publisher, list } = await joined(t);
    writeFileSync(host.path('state/paused'), '');
    assert.equal((await host.run('run')).exit, 3);
    unlinkSync(host.path('state/paused'));
    publisher.serve({ ...list, version: 4_212, rollout: { id: 'r', salt: 's', pct: 0 } });
    assert.match((await host.run('run')).err, /not in the wave/);
    publisher.serve({ ...list, version: 4_213, rollout: { id: 'r', salt: 's', pct: 100 } });
    host.settings({ min_interval: 3_600 });
    writeFileSync(host.path('state/restarted'), `${Math.floor(Date.now() / 1_000)}\n`);
    assert.match((await host.run('run')).err, /E602/);
    assert.deepEqual([host.readConfig(), host.restarts], [config, 0]);
  });

  test('an ossec.conf that is a link, has two names or no plain reading is left alone', async (t) => {
    const { host } = await joined(t);
    const shapes: readonly (readonly [RegExp, () => void])[] = [
      [/E510 .*more than one <client>/, () => writeFileSync(host.configPath, config + config)],
      [/E504 .*NUL/, () => writeFileSync(host.configPath, `${config}\0`)],
      [
        /E510 .*a comment inside an entry/,
        () => writeFileSync(host.configPath, config.replace('<port>', '<!-- x --><port>')),
      ],
      [
        /E503/,
        () => {
          writeFileSync(host.path('elsewhere'), config);
          unlinkSync(host.configPath);
          symlinkSync(host.path('elsewhere'), host.configPath);
        },
      ],
    ];
    for (const [told, spoil] of shapes) {
      spoil();
      const before = readFileSync(host.configPath, 'latin1');
      const { exit, err } = await host.run('run');
      assert.match(err, told);
      assert.deepEqual([exit, readFileSync(host.configPath, 'latin1')], [1, before]);
    }
    assert.equal(host.restarts, 0);
  });

  test('the agent refuses the candidate: nothing is written', async (t) => {
    const { host } = await joined(t);
    const agentd = `${host.home}/bin/wazuh-agentd`;
    writeFileSync(
      agentd,
      '#!/bin/sh\n! grep -q 127.77 "$3" || { echo "no such thing" >&2; exit 1; }\n',
    );
    chmodSync(agentd, 0o755);
    const { exit, err } = await host.run('run');
    assert.match(err, /E507 .*no such thing/);
    assert.deepEqual([exit, host.readConfig(), host.restarts], [1, config, 0]);
  });

  test('without openssl 3 nothing is done at all', async (t) => {
    const { host } = await stage(t);
    writeFileSync(host.path('openssl'), '#!/bin/sh\necho OpenSSL 1.1.1w\n');
    chmodSync(host.path('openssl'), 0o755);
    host.settings({ openssl: host.path('openssl') });
    const { exit, err } = await host.run('join', host.path('token'));
    assert.match(err, /3\.0 or later is needed/);
    assert.deepEqual([exit, existsSync(host.path('state'))], [2, false]);
  });

  test('an openssl that calls every signature good is found out by the self-test', async (t) => {
    const { host } = await stage(t);
    writeFileSync(
      host.path('openssl'),
      '#!/bin/sh\n[ "$1" = pkeyutl ] && exit 0\nexec /usr/bin/openssl "$@"\n',
    );
    chmodSync(host.path('openssl'), 0o755);
    host.settings({ openssl: host.path('openssl') });
    const { exit, err } = await host.run('join', host.path('token'));
    assert.match(err, /accepts a wrong signature/);
    assert.equal(exit, 2);
  });

  test('damaged state falls back to the copy before it; two damaged copies refuse', async (t) => {
    const { host, publisher, list } = await joined(t);
    publisher.serve({ ...list, version: 4_212 });
    assert.equal((await host.run('run')).exit, 0);
    writeFileSync(host.path('state/state'), 'epoch 0\n');
    assert.equal((await host.run('run')).exit, 0);
    for (const name of ['state', 'state.old'])
      writeFileSync(host.path(`state/${name}`), 'epoch 0\nsum x\n');
    const { exit, err } = await host.run('run');
    assert.match(err, /E701/);
    assert.equal(exit, 1);
  });
});
