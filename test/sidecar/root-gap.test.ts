/** An applier that is further behind than the sidecar's chain of roots goes back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { versionOf } from '../../src/applier/verify-again.ts';
import { buildDirectApplier } from '../../src/cli/build-sidecar-applier.ts';
import { maxRoots } from '../../src/sidecar/memory.ts';
import { readOldRoots } from '../../src/sidecar/root-gap.ts';
import { addressOf, HostInMemory, list, request } from '../applier/host-in-memory.ts';
import { aRoot, nowMs, signedList, signedRoot } from '../list/documents.ts';
import { honest, p2, Scene, theRoot } from './scene.ts';

const own = aRoot().version;
const signed = new Map<number, Uint8Array>();

function envelopeOf(version: number): Uint8Array {
  const envelope = signed.get(version) ?? signedRoot(aRoot({ version }));
  signed.set(version, envelope);
  return envelope;
}

/** What the sidecar asks when it knows `newest` and the roots before it, as many as it keeps. */
function asked(newest: number) {
  const rootEnvelopes = Array.from({ length: maxRoots }, (_, index) =>
    envelopeOf(newest - maxRoots + 1 + index),
  );
  return request({ listEnvelope: signedList(list({ rootVersion: newest })), rootEnvelopes });
}

async function readAll(from: number, to: number): Promise<readonly Uint8Array[]> {
  return Array.from({ length: to - from + 1 }, (_, index) => envelopeOf(from + index));
}

test('an applier 150 roots behind catches up within one order', async () => {
  const host = await HostInMemory.make();
  const offered: (readonly [number, number])[] = [];
  const applier = buildDirectApplier(host.world(), (from, to) => {
    offered.push([from, to]);
    return readAll(from, to);
  });
  const newest = own + 150;
  const result = await applier.apply(asked(newest));
  assert.deepEqual([result.outcome, host.connectedTo], ['moved', addressOf('wm-01')]);
  assert.equal(versionOf(host.remembered.trust.root.envelope), newest);
  assert.deepEqual(offered, [
    [own + 1, own + 64],
    [own + 65, newest - maxRoots],
  ]);
  assert.equal(host.remembered.restarts.length, 1);
});

test('one that is further behind catches up over several orders, each of a bounded length', async () => {
  const host = await HostInMemory.make();
  let read = 0;
  const applier = buildDirectApplier(host.world(), (from, to) => {
    read += to - from + 1;
    return readAll(from, to);
  });
  const newest = own + 400;
  assert.equal((await applier.apply(asked(newest))).outcome, 'refused');
  assert.ok(read <= 256, `${read} at once`);
  assert.equal(host.connectedTo, '10.0.0.1');
  assert.equal((await applier.apply(asked(newest))).outcome, 'moved');
});

test('roots that do not follow from its own, or none, are offered once and change nothing', async () => {
  const host = await HostInMemory.make();
  let reads = 0;
  const forged = buildDirectApplier(host.world(), async () => {
    reads += 1;
    return [signedRoot(aRoot({ version: own + 1 }), [])];
  });
  const { memory } = host;
  assert.equal((await forged.apply(asked(own + 150))).outcome, 'refused');
  const none = buildDirectApplier(host.world(), async () => []);
  assert.equal((await none.apply(asked(own + 150))).reason?.name, 'root_gap');
  assert.deepEqual([reads, host.memory], [1, memory]);
});

test('a root that proves itself stays with the applier, though the list is refused', async () => {
  const host = await HostInMemory.make();
  const applier = buildDirectApplier(host.world(), async () => []);
  const expired = signedList(list({ rootVersion: own + 1, issuedAtMs: nowMs - 10 ** 10 }));
  const offered = { listEnvelope: expired, rootEnvelopes: [envelopeOf(own + 1)] };
  assert.equal((await applier.apply(request(offered))).outcome, 'refused');
  assert.equal(versionOf(host.remembered.trust.root.envelope), own + 1);
});

test('old roots come from the first source that has them: publishers, then files', async () => {
  const scene = new Scene();
  const roots = [8, 9, 10].map((version) => aRoot({ version }));
  scene.publishers.behaviours.set(p2, honest({ list: list(), roots }));
  const read = async (to: number) =>
    (await readOldRoots(scene.sources(), theRoot.publishers, [8, to])).map(versionOf);
  assert.deepEqual(await read(9), [8, 9]);
  assert.deepEqual(await read(12), [8, 9, 10]);
  scene.publishers.behaviours.delete(p2);
  scene.filePaths = ['/srv/list'];
  scene.files.set('/srv/root/8', envelopeOf(8));
  scene.files.set('/srv/list.root.9', envelopeOf(9));
  assert.deepEqual(await read(12), [8, 9]);
});
