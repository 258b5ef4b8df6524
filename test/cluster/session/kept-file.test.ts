/** An upload that a broken link cut goes on over the next link of the same two nodes. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { heldBytesIn, Incoming } from '../../../src/cluster/session/incoming.ts';
import { IncomingFiles, type KeptFile } from '../../../src/cluster/session/incoming-files.ts';
import { defaultLimits } from '../../../src/cluster/wire/limits.ts';

const path = '/queue/cluster/pilotfish-0a1b.zip';
const half = Buffer.alloc(1024 * 1024, 'a');
const rest = Buffer.alloc(1000, 'b');
const digest = createHash('sha256').update(half).update(rest).digest();

function files(kept?: KeptFile, isAllowed = true): IncomingFiles {
  const made = new IncomingFiles(defaultLimits, kept);
  if (isAllowed) made.allowResume();
  return made;
}

/** What a link leaves that ended after `bytes`, at the time 5 000. */
function cutAfter(bytes: Uint8Array, isAllowed = true) {
  const cut = files(undefined, isAllowed);
  cut.open(path, () => 1, 1_000);
  cut.append(path, bytes, 5_000);
  const steps = cut.finish().map(({ action }) => action);
  return { steps, kept: cut.kept };
}

test('what a broken link cut goes on behind the bytes that are there', () => {
  const { steps, kept } = cutAfter(half);
  assert.deepEqual(steps, ['keep']);
  const next = files(kept);
  const opened = next.open(path.slice(1), () => 7, 9_000);
  assert.deepEqual(opened, {
    kind: 'steps',
    steps: [{ action: 'adopt', transfer: 7, bytes: half.length }],
    heldBytes: half.length,
  });
  next.append(path, rest, 9_001);
  assert.equal(next.end(path, digest, 9_002).kind, 'steps');
  next.closed(7);
  assert.deepEqual(next.take(path), { transfer: 7, sizeBytes: half.length + rest.length });
  assert.deepEqual(next.finish(), []);
  assert.equal(next.kept, undefined, 'used once');
});

test('another rest than the one that was cut is refused by the digest of the whole', () => {
  const next = files(cutAfter(half).kept);
  next.open(path, () => 7, 9_000);
  next.append(path, Buffer.from('forged'), 9_001);
  assert.equal(next.end(path, digest, 9_002).kind, 'refusal');
});

test('it starts over: another upload, too old, too little, or peers that did not agree on it', () => {
  const { kept } = cutAfter(half);
  const opens = (from: IncomingFiles, name = path, nowMs = 9_000) => {
    const opened = from.open(name, () => 7, nowMs);
    return opened.kind === 'steps' && opened.steps.map(({ action }) => action).join();
  };
  assert.equal(opens(files(kept), '/queue/cluster/pilotfish-ffff.zip'), 'open');
  const old = 5_000 + defaultLimits.transferIdleMs;
  assert.equal(opens(files(kept), path, old), 'adopt');
  assert.equal(opens(files(cutAfter(half).kept), path, old + 1), 'open');
  assert.equal(opens(files(cutAfter(half).kept, false)), 'open');
  assert.deepEqual(cutAfter(half, false), { steps: ['drop'], kept: undefined });
  assert.deepEqual(cutAfter(rest), { steps: ['drop'], kept: undefined });
});

test('a link that ends before the upload is opened again leaves what was kept to the next', () => {
  const { kept } = cutAfter(half);
  const idle = files(kept);
  assert.deepEqual(idle.finish(), []);
  assert.equal(idle.kept, kept);
});

test('the answer to the peer names the bytes; the answer of a stock node means none', () => {
  const incoming = new Incoming(defaultLimits, () => 1, cutAfter(half).kept);
  incoming.allowResume();
  const { payload } = incoming.serve('openFile', path, 9_000);
  assert.equal(heldBytesIn(Buffer.from(payload)), half.length);
  for (const text of ['Ready to receive new file', 'Ready to receive from -1', '']) {
    assert.equal(heldBytesIn(Buffer.from(text)), 0);
  }
});
