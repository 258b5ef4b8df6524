/** The thread for files does one step of a job, then one of another: none may touch the other's bytes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { noOrder } from '../../../src/cluster/files/manifest.ts';
import { parseName } from '../../../src/cluster/files/name.ts';
import type { FilesWorker } from '../../../src/host/cluster-files-worker.ts';
import {
  makeHome,
  openedChunks,
  readTree,
  saveBundle,
  sealedTarget,
  stagingOf,
  workerOn,
} from './homes.ts';

interface Packing {
  readonly parts: Buffer[];
  /** False when that was the last step. */
  step(): boolean;
}

function packing(worker: FilesWorker, home: string, names: readonly string[], isOwn: boolean) {
  const target = sealedTarget(home, `sealed-${names[0]?.replaceAll('/', '-')}`);
  const order = { ...noOrder, missing: names.map(parseName) };
  const id = worker.startSealed({ order, zipBytes: 2 ** 30, isOwn, ...target });
  const parts: Buffer[] = [];
  const step = (): boolean => {
    const { chunks, kind } = worker.nextSealed(id);
    parts.push(...openedChunks(target, chunks));
    if (kind === 'end') closeSync(target.descriptor);
    return kind !== 'end';
  };
  return { parts, step } satisfies Packing;
}

/** What a worker without files makes of the bundle. */
async function received(t: TestContext, { parts }: Packing): Promise<Record<string, string>> {
  const home = makeHome(t);
  const worker = workerOn(home);
  const bundlePath = saveBundle(home, Buffer.concat(parts));
  const asked = { bundlePath, stagingFolder: stagingOf(home), origin: 'master' } as const;
  const { id } = await worker.unpack(asked);
  assert.deepEqual(worker.apply({ id, extra: new Map() }).faults, []);
  return readTree(home);
}

function filesOf(sizeBytes: number): Record<string, Buffer> {
  const count = Math.ceil(5_000_000 / sizeBytes);
  const entries = Array.from({ length: count }, (_, index) => [
    `etc/lists/f${index}`,
    randomBytes(sizeBytes),
  ]);
  return Object.fromEntries(entries);
}

for (const isOwn of [true, false]) {
  const form = isOwn ? 'our own' : 'stock';
  for (const sizeBytes of [3_000, 30_000, 300_000]) {
    test(`two bundles at once, a scan in between, files of ${sizeBytes} bytes, ${form} form`, async (t) => {
      const files = filesOf(sizeBytes);
      const home = makeHome(t, { ...files, 'etc/client.keys': 'keys\n' });
      const worker = workerOn(home);
      worker.scan();
      const names = Object.keys(files);
      const packs = [names, names.toReversed()].map((some) => packing(worker, home, some, isOwn));
      let open = packs;
      for (let turn = 0; open.length > 0; turn++) {
        open = open.filter((pack) => pack.step());
        writeFileSync(join(home, 'etc/client.keys'), `an agent enrols ${turn}\n`.repeat(99));
        assert.ok(worker.scan().hashedFiles > 0);
      }
      const { 'etc/client.keys': _keys, ...expected } = readTree(home);
      for (const pack of packs) assert.deepEqual(await received(t, pack), expected);
    });
  }
}
