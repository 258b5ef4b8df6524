/** Wazuh homes in temporary folders, and the file jobs on them. */
import assert from 'node:assert/strict';
import {
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { parseClusterJson } from '../../../src/cluster/files/cluster-json.ts';
import type { FilesSettings, SealOrder } from '../../../src/cluster/files/jobs.ts';
import { defaultUnpackLimits } from '../../../src/cluster/files/member-count.ts';
import type { SealedChunk } from '../../../src/cluster/tasks/sealed-pack.ts';
import { splitOnce } from '../../../src/cluster/wire/payload.ts';
import { createSeal } from '../../../src/cluster/wire/seal.ts';
import { ClusterFiles } from '../../../src/host/cluster-files.ts';
import { FilesWorker } from '../../../src/host/cluster-files-worker.ts';

export const clusterKey = 'c98b62a9b6169ac5f67dae55ae4a9088';

export type Tree = Readonly<Record<string, string | Uint8Array>>;

export function makeHome(t: TestContext, files: Tree = {}): string {
  const home = mkdtempSync(join(tmpdir(), 'pilotfish-home-'));
  t.after(() => rmSync(home, { recursive: true, force: true, maxRetries: 9 }));
  mkdirSync(join(home, 'queue/cluster/w'), { recursive: true });
  writeFiles(home, files);
  return home;
}

export function writeFiles(home: string, files: Tree): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(home, name)), { recursive: true });
    writeFileSync(join(home, name), content);
  }
}

/** Every file below `home` but the cluster's own, with its content. */
export function readTree(home: string): Record<string, string> {
  const names = readdirSync(home, { recursive: true, encoding: 'utf8' });
  return Object.fromEntries(
    names
      .filter((name) => !name.startsWith('queue') && lstatSync(join(home, name)).isFile())
      .sort()
      .map((name) => [name, readFileSync(join(home, name)).toString('latin1')]),
  );
}

export function settingsOf(home: string, more: Partial<FilesSettings> = {}): FilesSettings {
  return {
    home,
    catalogue: parseClusterJson({}).catalogue,
    owner: undefined,
    unpackLimits: defaultUnpackLimits,
    compressLevel: 1,
    clusterKey,
    hashCachePath: undefined,
    ...more,
  };
}

/** The jobs of the thread, run in this one. */
export function workerOn(home: string, more: Partial<FilesSettings> = {}): FilesWorker {
  return new FilesWorker(settingsOf(home, more), 0);
}

export function jobsOn(
  t: TestContext,
  home: string,
  more: Partial<FilesSettings> = {},
): ClusterFiles {
  const jobs = new ClusterFiles(settingsOf(home, more));
  t.after(() => jobs.close());
  return jobs;
}

/** Where a received bundle lies before it is read. */
export function saveBundle(home: string, bundle: Uint8Array): string {
  const path = join(home, 'queue/cluster/w/received.zip');
  writeFileSync(path, bundle);
  return path;
}

export function stagingOf(home: string): string {
  return join(home, 'queue/cluster/w/staging');
}

type Target = Pick<SealOrder, 'path' | 'descriptor'>;
type Chunks = Iterable<readonly SealedChunk[]> | AsyncIterable<readonly SealedChunk[]>;

/** What receivers get of the bundle that `seal` writes down, opened, a message at a time. */
export async function* opened(
  home: string,
  seal: (target: Target) => Chunks,
): AsyncGenerator<Buffer> {
  const target = sealedTarget(home);
  try {
    for await (const chunks of seal(target)) yield* openedChunks(target, chunks);
  } finally {
    closeSync(target.descriptor);
  }
}

export function sealedTarget(home: string, name = 'sealed'): Target {
  const descriptor = openSync(join(home, 'queue/cluster/w', name), 'w+');
  return { path: '/queue/cluster/b.zip', descriptor };
}

export function* openedChunks(
  { path, descriptor }: Target,
  chunks: readonly SealedChunk[],
): Generator<Buffer> {
  const { open } = createSeal(clusterKey);
  for (const { offset, tokenBytes, contentBytes } of chunks) {
    const token = Buffer.alloc(tokenBytes);
    readSync(descriptor, token, 0, tokenBytes, offset);
    const { head, rest } = splitOnce(open(token));
    assert.deepEqual([head, rest.length], [path, contentBytes]);
    yield rest;
  }
}

/** The same out of a worker in this thread. */
export function* sealAll(worker: FilesWorker, order: SealOrder): Generator<readonly SealedChunk[]> {
  const id = worker.startSealed(order);
  for (let part = worker.nextSealed(id); ; part = worker.nextSealed(id)) {
    yield part.chunks;
    if (part.kind === 'end') return;
  }
}

export async function gather(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of stream) parts.push(chunk);
  return Buffer.concat(parts);
}

/** A whole pack out of a worker in this thread. */
export function packAll(worker: FilesWorker, id: number): Buffer {
  const parts: Uint8Array[] = [];
  for (let chunk = worker.nextChunk(id); chunk.kind === 'bytes'; chunk = worker.nextChunk(id)) {
    parts.push(chunk.bytes);
  }
  return Buffer.concat(parts);
}
