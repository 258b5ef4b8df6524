import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { defaultLimits } from '../../../src/cluster/wire/limits.ts';
import {
  converse,
  newSession,
  ofKind,
  opened,
  readyMaster,
  sentBytes,
  wireBytes,
} from '../pair.ts';

test('an answer ends the request with its counter', () => {
  const worker = newSession('worker');
  const hello = { node: 'worker1', cluster: 'wazuh', type: 'worker', version: '4.14.8' };
  const { counter, outputs } = worker.request('hello', hello, 0);
  assert.equal(opened(outputs)[0]?.text, 'worker1 wazuh worker 4.14.8');
  const answered = worker.receive(wireBytes(counter, 'ok', 'Client worker1 added'), 1);
  assert.deepEqual(
    answered.map(({ kind }) => kind),
    ['answered', 'ready'],
  );
  assert.equal(worker.pendingRequests, 0);
});

test('a late answer is swallowed, once', () => {
  const master = readyMaster();
  const { counter } = master.request('echoMaster', Buffer.from('x'), 0);
  assert.equal(master.nextTickAtMs, 20_000);
  assert.deepEqual(master.tick(19_999), []);
  assert.deepEqual(master.tick(20_000), [{ kind: 'expired', counter, command: 'echoMaster' }]);
  assert.deepEqual(master.receive(wireBytes(counter, 'ok-c', 'x'), 20_001), []);
  const again = master.receive(wireBytes(counter, 'ok-c', 'x'), 20_002);
  assert.match(opened(again)[0]?.text ?? '', /^unknown command 'b'ok-c''$/);
});

test('a request of the peer with the number of a pending one is a request', () => {
  const master = readyMaster();
  const { counter } = master.request('echoMaster', Buffer.from('x'), 0);
  const outputs = master.receive(wireBytes(counter, 'echo', 'mine'), 1);
  assert.deepEqual(opened(outputs), [{ counter, word: 'ok', text: 'mine' }]);
  assert.equal(master.pendingRequests, 1);
});

test('two nodes never answer errors with errors', () => {
  const outputs = readyMaster().receive(wireBytes(7, 'err', "unknown command 'b'err''"), 0);
  assert.deepEqual(outputs, []);
});

test('a command from the wrong side does not exist', () => {
  const outputs = readyMaster().receive(wireBytes(7, 'syn_m_c', ''), 0);
  assert.deepEqual(opened(outputs), [
    { counter: 7, word: 'err', text: "unknown command 'b'syn_m_c''" },
  ]);
});

test('a keep-alive is answered with stock padding and reported', () => {
  const outputs = readyMaster().receive(wireBytes(7, 'echo-c', 'keepalive'), 0);
  assert.deepEqual(ofKind(outputs, 'alive'), [{ kind: 'alive' }]);
  const [answer] = ofKind(outputs, 'send');
  assert.equal(answer?.bytes.toString('latin1', 8, 20), 'ok-m  ------');
});

test('a small string stays in memory and is taken whole, once', () => {
  const master = readyMaster();
  const id = opened(master.receive(wireBytes(7, 'new_str', '11'), 0))[0]?.text ?? '';
  assert.match(id, /^\d{1,10}$/);
  master.receive(wireBytes(8, 'str_upd', `${id} hello`), 0);
  assert.equal(master.takeString(id), undefined, 'incomplete');
  const done = master.receive(wireBytes(9, 'str_upd', `${id}  world and more than was asked`), 0);
  assert.equal(opened(done)[0]?.text, 'String updated');
  const taken = master.takeString(id);
  assert.equal(taken?.kind === 'memory' && taken.bytes.toString(), 'hello world');
  assert.equal(master.takeString(id), undefined);
});

test('a string announced above 8 MiB goes to the store and is answered when it is there', () => {
  const master = readyMaster();
  const size = defaultLimits.stringMemoryBytes + 1;
  const reserving = master.receive(wireBytes(7, 'new_str', String(size)), 0);
  const [open] = ofKind(reserving, 'store');
  assert.equal(open?.step.action, 'open');
  assert.equal(sentBytes(reserving).length, 0, 'no answer before it is stored');
  const id = opened(master.stored(7, undefined, 0))[0]?.text ?? '';
  const part = Buffer.concat([Buffer.from(`${id} `), Buffer.alloc(size)]);
  const appended = ofKind(master.receive(wireBytes(8, 'str_upd', part), 0), 'store');
  assert.deepEqual(
    appended.map(({ step, counter }) => [step.action, counter]),
    [
      ['append', undefined],
      ['close', 8],
    ],
  );
  assert.equal(opened(master.stored(8, undefined, 0))[0]?.text, 'String updated');
  const taken = master.takeString(id);
  assert.deepEqual(taken, { kind: 'stored', transfer: open?.step.transfer, sizeBytes: size });
});

test('a string above 256 MiB is refused with the word stock uses', () => {
  const outputs = readyMaster().receive(wireBytes(7, 'new_str', '268435457'), 0);
  const text = 'Requested size exceeds maximum allowed limit';
  assert.deepEqual(opened(outputs), [{ counter: 7, word: 'error', text }]);
});

test('an unused reservation is given back by its size', () => {
  const master = readyMaster();
  const id = opened(master.receive(wireBytes(7, 'new_str', '10'), 0))[0]?.text;
  assert.equal(opened(master.receive(wireBytes(8, 'err_str', '10'), 0))[0]?.text, id);
  assert.equal(opened(master.receive(wireBytes(9, 'err_str', '10'), 0))[0]?.text, 'None');
});

const path = '/queue/cluster/worker1/worker1-1.zip';
const digest = createHash('sha256').update('hello').digest();

test('a file is stored under our number and taken when its digest matched', () => {
  const master = readyMaster();
  const steps = ['new_file', 'file_upd', 'file_end'].map((word, index) => {
    const payload = [path, `${path} hello`, Buffer.concat([Buffer.from(`${path} `), digest])][
      index
    ];
    const outputs = master.receive(wireBytes(10 + index, word, payload ?? ''), 0);
    const [store] = ofKind(outputs, 'store');
    const [answer] = opened(master.stored(10 + index, undefined, 0));
    return [store?.step.action, store?.step.transfer, answer?.text];
  });
  assert.deepEqual(steps, [
    ['open', 1, 'Ready to receive new file'],
    ['append', 1, 'File updated'],
    ['close', 1, 'File received correctly'],
  ]);
  const taken = master.takeFile(path.slice(1));
  assert.deepEqual(taken, { transfer: 1, sizeBytes: 5 });
  assert.equal(master.takeFile(path), undefined);
});

test('a wrong digest drops the file and is answered with the stock text', () => {
  const master = readyMaster();
  master.receive(wireBytes(10, 'new_file', path), 0);
  master.stored(10, undefined, 0);
  const wrong = Buffer.concat([Buffer.from(`${path} `), Buffer.alloc(32)]);
  const outputs = master.receive(wireBytes(11, 'file_end', wrong), 0);
  assert.equal(ofKind(outputs, 'store')[0]?.step.action, 'drop');
  const text = "File wasn't correctly received. Checksums aren't equal.";
  assert.equal(opened(master.stored(11, undefined, 0))[0]?.text, text);
});

test('a full disk is an error for the peer, and the file is gone', () => {
  const master = readyMaster();
  master.receive(wireBytes(10, 'new_file', path), 0);
  master.stored(10, undefined, 0);
  master.receive(wireBytes(11, 'file_upd', `${path} hello`), 0);
  const outputs = master.stored(11, 'ENOSPC: no space left on device', 0);
  assert.equal(ofKind(outputs, 'store')[0]?.step.action, 'drop');
  assert.match(opened(outputs)[0]?.text ?? '', /"code": 1000, "extra_message": "ENOSPC/);
  const later = master.receive(wireBytes(12, 'file_upd', `${path} more`), 0);
  assert.match(opened(later)[0]?.text ?? '', /WazuhInternalError/);
});

test('cancel_task reports task and reason', () => {
  const reason =
    '{"__wazuh_exception__": {"__class__": "WazuhClusterError", "__object__": {"code": 3039}}}';
  const outputs = readyMaster().receive(wireBytes(7, 'cancel_task', `task-1 ${reason}`), 0);
  assert.deepEqual(ofKind(outputs, 'cancelled'), [
    { kind: 'cancelled', taskId: 'task-1', fault: { class: 'WazuhClusterError', code: 3039 } },
  ]);
  assert.equal(opened(outputs)[0]?.text, 'Request received correctly');
});

test('transfers that nobody continues are dropped after their idle time, others at the end', () => {
  const master = readyMaster();
  master.receive(wireBytes(10, 'new_file', path), 0);
  master.stored(10, undefined, 0);
  const dropped = [60_000, 600_000].flatMap((nowMs) => [...master.tick(nowMs)]);
  assert.deepEqual(dropped, [{ kind: 'store', step: { action: 'drop', transfer: 1 } }]);
  master.receive(wireBytes(11, 'new_file', path), 600_001);
  assert.deepEqual(master.end(), [{ kind: 'store', step: { action: 'drop', transfer: 2 } }]);
  assert.deepEqual(master.receive(wireBytes(12, 'echo', 'x'), 600_002), []);
});

test('a message that does not arrive completely in time ends the session', () => {
  const master = readyMaster();
  master.receive(wireBytes(7, 'echo', 'abc').subarray(0, 30), 1000);
  assert.ok(master.nextTickAtMs > 31_000 && master.nextTickAtMs < 31_100);
  assert.deepEqual(master.tick(31_000), []);
  const [close] = ofKind(master.tick(31_100), 'close');
  assert.equal(close?.error.reason, 'wire_broken');
});

test('any chunking of a conversation gives the same outputs', () => {
  const bytes = Buffer.concat([
    wireBytes(2, 'echo', 'x'.repeat(300)),
    wireBytes(3, 'new_str', '5'),
    wireBytes(4, 'get_nodes', '{"limit": 1}'),
    wireBytes(5, 'nonsense', ''),
  ]);
  const whole = readyMaster().receive(bytes, 0);
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 12 }), (points) => {
      const master = readyMaster();
      const cuts = [0, ...points, bytes.length].sort((left, right) => left - right);
      const outputs = cuts
        .slice(1)
        .flatMap((end, index) => [...master.receive(bytes.subarray(cuts[index], end), 0)]);
      assert.deepEqual(outputs, whole);
    }),
    { seed: 23, numRuns: 100 },
  );
});

test('requests are bounded: one above the limit is refused, nothing is lost', () => {
  const master = readyMaster({ limits: { ...defaultLimits, pendingRequests: 2 } });
  master.request('integrityUnchanged', undefined, 0);
  master.request('integrityUnchanged', undefined, 0);
  assert.throws(() => master.request('integrityUnchanged', undefined, 0), {
    reason: 'peer_silent',
  });
  assert.equal(master.pendingRequests, 2);
});

test('too many unanswered requests of the peer are answered with an error', () => {
  const master = readyMaster({ limits: { ...defaultLimits, openAsks: 1 } });
  assert.equal(ofKind(master.receive(wireBytes(7, 'syn_i_w_m_p', ''), 0), 'asked').length, 1);
  const outputs = master.receive(wireBytes(8, 'syn_i_w_m_p', ''), 0);
  assert.match(opened(outputs)[0]?.text ?? '', /too many unanswered requests/);
});

test('worker and master, without an offer, are ready after hello', () => {
  const worker = newSession('worker');
  const master = newSession('master');
  const hello = { node: 'w', cluster: 'wazuh', type: 'worker', version: '4.14.8' };
  const { outputs } = worker.request('hello', hello, 0);
  const [asked] = ofKind(master.receive(sentBytes(outputs), 0), 'asked');
  assert.deepEqual(asked?.command === 'hello' && asked.value, hello);
  const seen = converse(
    master,
    worker,
    master.admit(asked?.counter ?? 0, { mustBeOurs: false }, 0),
  );
  assert.equal(ofKind(seen.from, 'ready').length, 1);
  assert.equal(ofKind(seen.to, 'ready').length, 1);
});

test('with all places taken a transfer that idles makes room, a fresh one does not', () => {
  const master = readyMaster({ limits: { ...defaultLimits, files: 2, strings: 2 } });
  const open = (counter: number, name: string, nowMs: number): readonly string[] => {
    const outputs = master.receive(
      wireBytes(counter, 'new_file', `/queue/cluster/w/${name}`),
      nowMs,
    );
    return ofKind(outputs, 'store').map(({ step }) => `${step.action} ${step.transfer}`);
  };
  assert.deepEqual([open(10, 'a', 0), open(11, 'b', 20_000)], [['open 1'], ['open 2']]);
  assert.deepEqual(open(12, 'c', 29_999), []);
  assert.deepEqual(open(13, 'c', 30_000), ['drop 1', 'open 3']);
  const reserve = (counter: number, nowMs: number): string =>
    opened(master.receive(wireBytes(counter, 'new_str', '5'), nowMs))[0]?.word ?? '';
  assert.deepEqual(
    [reserve(20, 0), reserve(21, 1), reserve(22, 2), reserve(23, 30_000)],
    ['ok', 'ok', 'err', 'ok'],
  );
});
