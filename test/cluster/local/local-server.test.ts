/** The local socket as a bounded thing: idle programs, too many, the socket file itself. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { RulesetReload } from '../../../src/cluster/calls/ruleset-reload.ts';
import { LocalServer } from '../../../src/cluster/local/local-server.ts';
import { NodeLog } from '../../../src/cluster/tasks/node-log.ts';
import { encodeFrame } from '../../../src/cluster/wire/frame.ts';
import { listenUnix } from '../../../src/host/cluster-local-socket.ts';
import { systemClock } from '../../../src/host/system-clock.ts';
import { HandClock, random } from '../links.ts';
import { LineLog, until } from '../system/nodes.ts';
import { folderOf } from './played-server.ts';

test('a program that says nothing for two minutes is dropped; one that keeps alive is not', async (t) => {
  const clock = new HandClock();
  const path = join(folderOf(t), 's.sock');
  const log = new LineLog();
  const listen = (onSocket: Parameters<typeof listenUnix>[2]) =>
    listenUnix(systemClock, path, onSocket);
  const server = new LocalServer({}, { clock, random, listen }, new NodeLog(log, 'Local Server'));
  await server.open();
  const stop = new AbortController();
  const running = server.run(stop.signal);
  const silent = connect(path);
  const lively = connect(path);
  await Promise.all([once(silent, 'connect'), once(lively, 'connect')]);
  await until('both are known', () => server.programs === 2);
  const answered = once(lively, 'data');

  clock.advance(100_000);
  lively.write(
    encodeFrame({ counter: 1, word: 'echo-c', role: 'whole' }, Buffer.from('keepalive')),
  );
  await answered;
  const dropped = once(silent, 'close');
  silent.resume();
  for (let turn = 0; turn < 4; turn++) {
    clock.advance(15_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await dropped;

  assert.equal(server.programs, 1);
  assert.equal(lively.destroyed, false);
  lively.destroy();
  stop.abort();
  clock.advance(15_000);
  await running;
  assert.ok(!existsSync(path), 'the socket goes with the server');
});

test('a socket nobody answers on is replaced, with mode 0660; a file is never removed', async (t) => {
  const folder = folderOf(t);
  const path = join(folder, 's.sock');
  const dead = createServer();
  dead.listen(path);
  await once(dead, 'listening');
  const other = join(folder, 'file');
  writeFileSync(other, 'precious');
  await assert.rejects(
    listenUnix(systemClock, path, () => undefined),
    { reason: 'listen_failed' },
  );
  await assert.rejects(
    listenUnix(systemClock, other, () => undefined),
    { reason: 'listen_failed' },
  );
  // What a killed node leaves behind: the path, and nobody behind it.
  renameSync(path, `${path}.kept`);
  await new Promise((resolve) => dead.close(resolve));
  renameSync(`${path}.kept`, path);

  const listening = await listenUnix(systemClock, path, (socket) => void socket.destroy());
  t.after(() => listening.close());

  assert.equal(statSync(path).mode & 0o777, 0o660);
});

const answers: readonly (readonly [string, string, boolean])[] = [
  ['{"error":0,"message":"ok","data":[]}', 'message sent successfully', false],
  [
    '{"error":0,"message":"ok","data":["w1","w2"]}',
    'with warnings after cluster integrity check: w1, w2',
    false,
  ],
  [
    '{"error":1,"message":"no","data":["bad rule"]}',
    'reload failed after cluster integrity check: bad rule',
    false,
  ],
  ['nonsense', 'Ruleset reload failed', true],
];

for (const [answer, expected, isWanted] of answers) {
  test(`a reload of the ruleset that is answered ${answer} is told so, once`, async () => {
    const log = new LineLog();
    const asked: string[] = [];
    const port = {
      exchange: async ({ message }: { readonly message: string }) => {
        asked.push(message);
        return answer;
      },
    };
    const reload = new RulesetReload({ port, log: new NodeLog(log, 'Worker w') });

    await reload.checked();
    assert.equal(asked.length, 0, 'nobody asked for it');
    reload.want();
    await Promise.all([reload.checked(), reload.checked()]);

    assert.deepEqual(
      asked.map((text) => JSON.parse(text).command),
      ['reload-ruleset'],
    );
    assert.ok(log.has(expected), log.text());
    assert.equal(reload.isWanted, isWanted, 'what failed is tried again');
  });
}
