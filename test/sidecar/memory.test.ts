import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { HostError } from '../../src/errors.ts';
import { openTwoGenerationFile } from '../../src/host/two-generation-file.ts';
import { listLimits } from '../../src/list/model.ts';
import {
  encodeMemory,
  type Memory,
  maxRoots,
  parseMemory,
  readMemory,
} from '../../src/sidecar/memory.ts';
import { buildMemoryStore } from '../../src/sidecar/memory-store.ts';
import { rememberNews, rememberStep } from '../../src/sidecar/remember.ts';
import { readTrust } from '../../src/sidecar/trust.ts';
import { aList } from '../list/documents.ts';
import { FakeDisk, honest, joinedMemory, p1, Scene } from './scene.ts';

async function fullMemory(): Promise<Memory> {
  const scene = new Scene();
  scene.publishers.behaviours.set(p1, honest({ list: aList() }));
  const before = joinedMemory();
  const known = rememberNews(before, await scene.poll(before), '001', scene.clock.nowMs());
  const step = { kind: 'write', order: ['wm-01'], reason: 'membership' } as const;
  return {
    ...rememberStep(known, step, 5),
    lastManager: 'wm-01',
    held: { key: 'k', untilMs: 7, atMs: 3, why: 'w' },
    heldTuning: { key: 't', untilMs: 8, why: 'w', reason: 'config_invalid' },
    ...(known.list === undefined ? {} : { pending: known.list }),
  };
}

function wireOf(memory: Memory): unknown {
  return JSON.parse(Buffer.from(encodeMemory(memory)).toString());
}

test('what is remembered is read back as it was, and proves itself again', async () => {
  const memory = await fullMemory();
  const back = parseMemory(encodeMemory(memory));
  assert.deepEqual(wireOf(back), wireOf(memory));
  const trust = await readTrust(back, 0, undefined);
  assert.equal(trust.list?.list.version, 4211);
});

test('torn client state: truncated at every byte, the other generation serves; never "nothing known"', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'pf-memory-'));
  context.after(() => rmSync(folder, { recursive: true, maxRetries: 9 }));
  const file = openTwoGenerationFile(join(folder, 'memory'));
  const older = joinedMemory();
  await file.write(encodeMemory(older));
  await file.write(encodeMemory({ ...older, stalePolls: 7 }));
  const newest = readFileSync(join(folder, 'memory.b'));
  for (let length = 0; length < newest.length; length += 1) {
    writeFileSync(join(folder, 'memory.b'), newest.subarray(0, length));
    assert.equal((await readMemory(file))?.stalePolls, 0, `cut at ${length}`);
  }
});

test('torn client state: both generations damaged is an error with a code', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'pf-memory-'));
  context.after(() => rmSync(folder, { recursive: true, maxRetries: 9 }));
  writeFileSync(join(folder, 'memory.a'), 'x');
  writeFileSync(join(folder, 'memory.b'), '');
  await assert.rejects(readMemory(openTwoGenerationFile(join(folder, 'memory'))), {
    reason: 'state_unreadable',
  });
});

test('a document with any member missing is damage, never an empty memory', async () => {
  const document = JSON.parse(Buffer.from(encodeMemory(await fullMemory())).toString());
  for (const name of ['spec', 'token', 'rootPin', 'roots', 'floorMs', 'stalePolls', 'attempts']) {
    const { [name]: _, ...rest } = document;
    assert.throws(() => parseMemory(Buffer.from(JSON.stringify(rest))), {
      reason: 'state_unreadable',
    });
  }
});

test('a remembered list that was tampered with does not prove itself', async () => {
  const memory = await fullMemory();
  assert.ok(memory.list);
  const envelope = Buffer.from(memory.list.envelope);
  const at = envelope.indexOf('"payload":"') + 40;
  envelope[at] = envelope[at] === 65 ? 66 : 65;
  await assert.rejects(readTrust({ ...memory, list: { ...memory.list, envelope } }, 0, undefined), {
    name: 'ListError',
  });
});

test('state that is removed or destroyed under a running sidecar is put back as it was known', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'pf-memory-'));
  context.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 9 }));
  const path = join(folder, 'state', 'memory');
  const file = openTwoGenerationFile(path);
  await file.write(encodeMemory(await fullMemory()));
  const store = buildMemoryStore(file);
  const known = wireOf(await store.read());
  assert.equal(await store.mend(), false, 'nothing is missing');

  rmSync(join(folder, 'state'), { recursive: true });
  assert.equal(await store.mend(), true);
  const back = await readMemory(openTwoGenerationFile(path));
  assert.deepEqual(back && wireOf(back), known);

  for (const generation of ['a', 'b']) writeFileSync(`${path}.${generation}`, 'rubbish');
  assert.equal(await store.mend(), true);
  const again = await readMemory(openTwoGenerationFile(path));
  assert.deepEqual(again && wireOf(again), known);
});

test('what a full disk did not take is in mind at once, told of once, and written when it fits', async () => {
  const disk = new FakeDisk();
  disk.bytes = encodeMemory(joinedMemory());
  const store = buildMemoryStore(disk);
  const news = { ...(await store.read()), stalePolls: 7 };
  const write = disk.write.bind(disk);
  disk.write = () => Promise.reject(new HostError('write_failed', 'the disk is full'));
  assert.equal((await store.keep(news))?.reason, 'write_failed');
  assert.equal(await store.keep(news), undefined);
  assert.equal((await store.read()).stalePolls, 7);
  await assert.rejects(store.write(news), { reason: 'write_failed' });

  disk.write = write;
  assert.equal(await store.keep(news), undefined);
  assert.equal((await readMemory(disk))?.stalePolls, 7);
});

test('the largest roots and lists that are legal fit into the state, and are read back', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'pf-memory-'));
  context.after(() => rmSync(folder, { recursive: true, maxRetries: 9 }));
  const { maxEnvelopeBytes, maxReceiptLength } = listLimits;
  const envelope = new Uint8Array(maxEnvelopeBytes).fill(255);
  const { list } = await fullMemory();
  assert.ok(list);
  const receipt = { compact: 'r'.repeat(maxReceiptLength), nonce: 'n'.repeat(256) };
  const largest = { ...list, envelope, root: { ...list.root, envelope }, receipt };
  const roots = Array.from({ length: maxRoots }, () => envelope);
  const memory = { ...(await fullMemory()), roots, list: largest, pending: largest };
  const file = openTwoGenerationFile(join(folder, 'memory'));
  await file.write(encodeMemory(memory));
  const back = await readMemory(file);
  assert.deepEqual(back && wireOf(back), wireOf(memory));
});
