/** What somebody without a good hello could try, and who gets one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeHello } from '../../../src/cluster/session/hello.ts';
import { encodeFrame } from '../../../src/cluster/wire/frame.ts';
import { newSession, ofKind, opened, wireBytes } from '../pair.ts';

test('pre-auth-memory: a stranger holds at most 64 KiB, in any form', () => {
  const header = Buffer.alloc(20, ' ');
  header.writeUInt32BE(65_537, 4);
  const announced = newSession('master').receive(header, 0);
  assert.equal(ofKind(announced, 'close')[0]?.error.reason, 'wire_limit');

  header.writeUInt32BE(65_536, 4);
  const slow = newSession('master');
  const fed = [header, ...Array.from({ length: 66 }, () => Buffer.alloc(1000, 'A'))];
  const at = fed.findIndex((chunk) => ofKind(slow.receive(chunk, 0), 'close').length > 0);
  assert.ok(at === 66, `closed after ${at} KB`);

  const before = process.memoryUsage();
  const many = Array.from({ length: 200 }, () => {
    const session = newSession('master');
    session.receive(header, 0);
    for (let index = 0; index < 2000; index++) session.receive(Uint8Array.of(65), 0);
    return session;
  });
  const after = process.memoryUsage();
  const perPeer =
    (after.arrayBuffers + after.heapUsed - before.arrayBuffers - before.heapUsed) / many.length;
  assert.ok(perPeer < 65_536, `${perPeer} bytes for each`);
});

test('pre-auth-divided: a divided message before hello ends the session', () => {
  const part = encodeFrame({ counter: 1, word: 'hello', role: 'part' }, Buffer.alloc(50));
  const outputs = newSession('master').receive(part, 0);
  assert.equal(ofKind(outputs, 'close')[0]?.error.reason, 'wire_broken');
});

test('pre-hello-effects: before hello no command has an effect; three and out', () => {
  const session = newSession('master');
  const words = ['new_file', 'new_str', 'syn_i_w_m_p', 'echo'];
  const bodies = ['/queue/cluster/evil', '10', '', 'x'];
  const outputs = words.map((word, index) =>
    session.receive(wireBytes(index, word, bodies[index] ?? ''), 0),
  );
  assert.deepEqual(
    outputs.slice(0, 3).map((seen) => opened(seen)[0]?.text),
    words.slice(0, 3).map((word) => `unknown command 'b'${word}''`),
  );
  assert.deepEqual(
    outputs.flat().filter(({ kind }) => kind === 'store' || kind === 'asked'),
    [],
  );
  assert.equal(ofKind(outputs[2] ?? [], 'close').length, 1);
  assert.deepEqual(outputs[3], []);
});

test('hello-timeout: no hello within five seconds ends the session', () => {
  const session = newSession('master');
  assert.equal(session.nextTickAtMs, 5000);
  assert.deepEqual(session.tick(4999), []);
  assert.equal(ofKind(session.tick(5000), 'close')[0]?.error.reason, 'wire_limit');
});

test('PR-36460: a node name outside the pattern is refused at hello', () => {
  const own = { node: 'm', cluster: 'wazuh', version: '4.14.8', connected: new Set(['w2']) };
  const judge = (node: string, cluster = 'wazuh', version = '4.14.8'): number | undefined =>
    judgeHello({ node, cluster, type: 'worker', version }, own)?.code;
  assert.equal(judge('w1'), undefined);
  for (const bad of [
    '',
    '.',
    '..',
    'a/b',
    'a b',
    'bad.name',
    'nö',
    'a\n',
    'a\u0000',
    'x'.repeat(65),
  ]) {
    assert.equal(judge(bad), 3060, JSON.stringify(bad));
  }
  assert.deepEqual(
    [
      judge('w2', 'x', 'x'),
      judge('m', 'x', 'x'),
      judge('master'),
      judge('w1', 'x', 'x'),
      judge('w1', 'wazuh', '4.14.7'),
    ],
    [3028, 3029, 3029, 3030, 3031],
  );
});

test('replayed-hello: where proof is due, a hello buys no more room than a stranger has', () => {
  const master = newSession('master', { offer: { node: 'm', features: [], mustBeOurs: false } });
  master.receive(wireBytes(1, 'hello', 'w1 wazuh worker 4.14.8'), 0);
  master.admit(1, { mustBeOurs: true }, 0);
  assert.equal(master.phase, 'proving');
  const part = encodeFrame({ counter: 9, word: 'echo', role: 'part' }, Buffer.alloc(70_000, 'A'));
  assert.equal(ofKind(master.receive(part, 0), 'close').length, 1);
});
