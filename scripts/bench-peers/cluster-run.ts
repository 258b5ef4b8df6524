/** A master and its workers as processes, for as long as they are measured. */
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ended, type Load, logOf, type Make } from './cluster-peers.ts';

/** A master and its workers; every home is gone when it is closed. */
export class Cluster {
  readonly root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'pf-bench-'));
  readonly masterHome = join(this.root, 'm');
  readonly #make: Make;
  #port = 0;
  readonly #children: ChildProcess[] = [];

  constructor(make: Make) {
    this.#make = make;
  }

  async startMaster(
    load: Load,
  ): Promise<{ readonly pid: number; readonly files: number; port: number }> {
    this.#port = await freePort();
    this.#make.prepare(this.masterHome, 'master', 'm', this.#port);
    const files = load(this.masterHome);
    const pid = this.#start(this.masterHome, 'master', 'm');
    await until(() => /Local integrity\] Finished/.test(logOf(this.masterHome)), 60_000);
    return { pid, files, port: this.#port };
  }

  prepareWorker(name: string): string {
    const home = join(this.root, name);
    this.#make.prepare(home, 'worker', name, this.#port);
    return home;
  }

  startWorker(home: string, name: string): number {
    return this.#start(home, 'worker', name);
  }

  async close(): Promise<void> {
    await Promise.all(this.#children.map(ended));
    rmSync(this.root, { recursive: true, force: true });
  }

  #start(home: string, type: 'master' | 'worker', name: string): number {
    const child = this.#make.start(home, type, name, this.#port);
    this.#children.push(child);
    return child.pid ?? 0;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export async function until(isTrue: () => boolean, timeoutMs: number, everyMs = 50): Promise<void> {
  const startedMs = performance.now();
  while (!isTrue()) {
    if (performance.now() - startedMs > timeoutMs) throw new Error(`not within ${timeoutMs} ms`);
    await pause(everyMs);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
