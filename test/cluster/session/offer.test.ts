import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OfferPolicy } from '../../../src/cluster/session/negotiation.ts';
import type { Output } from '../../../src/cluster/session/output.ts';
import type { Session } from '../../../src/cluster/session/session.ts';
import { createSeal } from '../../../src/cluster/wire/seal.ts';
import { CountingRandom, newSession, ofKind, opened, sentBytes, wireBytes } from '../pair.ts';

const hello = { node: 'w1', cluster: 'wazuh', type: 'worker', version: '4.14.8' };

function policy(node: string, more: Partial<OfferPolicy> = {}): OfferPolicy {
  return { node, features: ['push', 'raw'], mustBeOurs: false, ...more };
}

interface Meeting {
  readonly worker: Session;
  readonly master: Session;
  readonly atWorker: readonly Output[];
  readonly offer: Buffer;
  /** The master's answer to the offer. */
  readonly answer: Buffer;
}

function meet(
  workerPolicy: OfferPolicy | undefined,
  masterPolicy: OfferPolicy | undefined,
  mustBeOurs = false,
): Meeting {
  const worker = newSession('worker', workerPolicy && { offer: workerPolicy });
  const master = newSession('master', {
    random: new CountingRandom(99),
    ...(masterPolicy && { offer: masterPolicy }),
  });
  const asked = ofKind(
    master.receive(sentBytes(worker.request('hello', hello, 0).outputs), 0),
    'asked',
  );
  const admitted = master.admit(asked[0]?.counter ?? 0, { mustBeOurs }, 0);
  const first = worker.receive(sentBytes(admitted), 0);
  const offer = sentBytes(first);
  const answer = sentBytes(master.receive(offer, 0));
  const second = worker.receive(answer, 0);
  return { worker, master, atWorker: [...first, ...second], offer, answer };
}

test('two of ours agree on common features, and every message is protected', () => {
  const { worker, master, atWorker } = meet(policy('w1', { features: ['push', 'x'] }), policy('m'));
  assert.deepEqual(ofKind(atWorker, 'recognised'), [
    { kind: 'recognised', peer: 'ours', features: new Set(['push']) },
  ]);
  assert.equal(ofKind(atWorker, 'ready').length, 1);
  const sent = sentBytes(worker.request('mayCheckIntegrity', undefined, 0).outputs);
  assert.match(sent.toString('latin1', 20), /^[\w=-]+\.[\w-]{43}$/);
  const outputs = master.receive(sent, 0);
  assert.deepEqual(
    outputs.map(({ kind }) => kind),
    ['recognised', 'asked'],
  );
});

test('a master without a policy returns the bytes, as stock does: stock mode', () => {
  const { worker, master, atWorker } = meet(policy('w1'), undefined);
  assert.equal(ofKind(atWorker, 'recognised')[0]?.peer, 'stock');
  const outputs = master.receive(
    sentBytes(worker.request('mayCheckIntegrity', undefined, 0).outputs),
    0,
  );
  assert.equal(ofKind(outputs, 'asked')[0]?.command, 'mayCheckIntegrity');
});

test('a worker without a policy never offers, and a master never offers first', () => {
  const { atWorker, offer } = meet(undefined, policy('m'));
  assert.equal(offer.length, 0);
  assert.equal(ofKind(atWorker, 'ready').length, 1);
});

test('a worker that demands ours refuses a stock master, so a reflected offer changes nothing', () => {
  const { atWorker } = meet(policy('w1', { mustBeOurs: true }), undefined);
  assert.equal(ofKind(atWorker, 'close')[0]?.error.reason, 'peer_changed');
});

test('a master that demands ours serves nothing before the proof', () => {
  const stock = newSession('master', { offer: policy('m') });
  stock.receive(wireBytes(1, 'hello', 'w1 wazuh worker 4.14.8'), 0);
  stock.admit(1, { mustBeOurs: true }, 0);
  const outputs = stock.receive(wireBytes(2, 'syn_i_w_m_p', ''), 0);
  assert.equal(ofKind(outputs, 'close')[0]?.error.reason, 'peer_changed');
  const { worker, master } = meet(policy('w1'), policy('m'), true);
  assert.equal(master.phase, 'proving');
  master.receive(sentBytes(worker.request('mayCheckIntegrity', undefined, 0).outputs), 0);
  assert.equal(master.phase, 'ready');
});

test('a master that demands ours does not wait for ever', () => {
  const master = newSession('master', { offer: policy('m') });
  master.receive(wireBytes(1, 'hello', 'w1 wazuh worker 4.14.8'), 0);
  master.admit(1, { mustBeOurs: true }, 0);
  assert.equal(ofKind(master.tick(20_000), 'close')[0]?.error.reason, 'peer_silent');
});

test('what a worker sends while its offer is under way waits, and leaves protected', () => {
  const worker = newSession('worker', { offer: policy('w1') });
  const master = newSession('master', { offer: policy('m'), random: new CountingRandom(99) });
  master.receive(sentBytes(worker.request('hello', hello, 0).outputs), 0);
  const counter = sentBytes(worker.request('hello', hello, 0).outputs).readUInt32BE(0) - 1;
  const offer = sentBytes(
    worker.receive(sentBytes(master.admit(counter, { mustBeOurs: false }, 0)), 0),
  );
  const early = worker.request('mayCheckIntegrity', undefined, 0).outputs;
  assert.deepEqual(early, []);
  const released = worker.receive(sentBytes(master.receive(offer, 0)), 0);
  assert.equal(ofKind(released, 'send').length, 1);
  assert.equal(ofKind(master.receive(sentBytes(released), 0), 'asked').length, 1);
});

test('an answer made with another key, or changed, ends the session', () => {
  const { answer, offer } = meet(policy('w1'), policy('m'));
  const worker = newSession('worker', { offer: policy('w1') });
  const counter = sentBytes(worker.request('hello', hello, 0).outputs).readUInt32BE(0);
  const again = sentBytes(worker.receive(wireBytes(counter, 'ok', 'Client w1 added'), 0));
  assert.equal(again.length, offer.length);
  const text = opened([{ kind: 'send', bytes: answer }])[0]?.text ?? '';
  const changed = wireBytes(counter + 1, 'ok', text.replace(' m ', ' n '));
  assert.equal(ofKind(worker.receive(changed, 0), 'close')[0]?.error.reason, 'wire_broken');
});

test('an offer that is never answered ends the session', () => {
  const worker = newSession('worker', { offer: policy('w1') });
  const counter = sentBytes(worker.request('hello', hello, 0).outputs).readUInt32BE(0);
  worker.receive(wireBytes(counter, 'ok', 'Client w1 added'), 0);
  assert.equal(ofKind(worker.tick(20_000), 'close')[0]?.error.reason, 'peer_silent');
});

test('a body sealed once is protected for each peer', () => {
  const { worker, master } = meet(policy('w1'), policy('m'));
  const seal = createSeal('abcdefghijklmnopQRSTUVWXYZ012345');
  const plain = Buffer.from('x'.repeat(1000));
  const token = seal.seal(plain, { iv: new Uint8Array(16), unixSeconds: 0 });
  const sealed = { command: 'echo', token, plainBytes: plain.length } as const;
  const outputs = worker.receive(sentBytes(master.requestSealed(sealed, 0).outputs), 0);
  assert.equal(ofKind(outputs, 'send').length, 1);
  assert.equal(ofKind(master.receive(sentBytes(outputs), 0), 'answered').length, 1);
});

test('a worker that demands ours serves nothing while its offer is under way: it may be a replay', () => {
  const asksWhileOffering = (mustBeOurs: boolean): readonly Output[] => {
    const worker = newSession('worker', { offer: policy('w1', { mustBeOurs }) });
    const counter = sentBytes(worker.request('hello', hello, 0).outputs).readUInt32BE(0);
    worker.receive(wireBytes(counter, 'ok', 'Client w1 added'), 0);
    assert.equal(worker.phase, 'offering');
    return worker.receive(wireBytes(7, 'dapi', 'master*1 {"f": "restart the manager"}'), 0);
  };
  assert.deepEqual(ofKind(asksWhileOffering(true), 'asked'), []);
  assert.equal(ofKind(asksWhileOffering(false), 'asked').length, 1, 'stock may ask at once');
});
