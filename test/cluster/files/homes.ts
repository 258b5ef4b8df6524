/** Wazuh homes in temporary folders, and the file jobs on them. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { stockClusterJson } from '../../../src/cluster/files/cluster-json.ts';
import type { FilesSettings } from '../../../src/cluster/files/jobs.ts';
import { defaultUnpackLimits } from '../../../src/cluster/files/unpack.ts';
import { ClusterFiles } from '../../../src/host/cluster-files.ts';
import { FilesWorker } from '../../../src/host/cluster-files-worker.ts';

export type Tree = Readonly<Record<string, string | Uint8Array>>;

export function makeHome(t: TestContext, files: Tree = {}): string {
  const home = mkdtempSync(join(tmpdir(), 'pilotfish-home-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
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
      .filter((name) => !name.startsWith('queue') && statSync(join(home, name)).isFile())
      .sort()
      .map((name) => [name, readFileSync(join(home, name)).toString('latin1')]),
  );
}

export function settingsOf(home: string, more: Partial<FilesSettings> = {}): FilesSettings {
  return {
    home,
    catalogue: stockClusterJson.catalogue,
    owner: undefined,
    unpackLimits: defaultUnpackLimits,
    compressLevel: 1,
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

/** A whole pack out of a worker in this thread. */
export function packAll(worker: FilesWorker, id: number): Buffer {
  const parts: Uint8Array[] = [];
  for (let chunk = worker.nextChunk(id); chunk.kind === 'bytes'; chunk = worker.nextChunk(id)) {
    parts.push(chunk.bytes);
  }
  return Buffer.concat(parts);
}
