/**
 * What peers upload, on disk: one folder per link below `queue/cluster/NODE`, files named by our
 * own numbers. Whatever a link leaves behind goes when it ends, and all of it at the next start.
 */
import { constants, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Random } from '../clock.ts';
import type { StoreStep } from '../cluster/session/output.ts';
import type { TransferFolder } from '../cluster/tasks/node-ports.ts';
import { HostError } from '../errors.ts';
import { bulkMemory } from './bulk-memory.ts';

/** The folder is the group's: what lay there meanwhile may be anything. */
const adoptFlags =
  constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** As it came from the socket, and opened: what one uploaded byte costs on its way here. */
const copiesPerByte = 2.4;

/** `queueFolder`: `queue/cluster` of the home. */
export class ClusterTransfers implements TransferFolder {
  readonly #nodeFolder: string;
  readonly #folder: string;
  readonly #kept: string;
  readonly #open = new Map<number, FileHandle>();
  readonly #written = new Set<number>();
  #hasEnded = false;

  constructor(queueFolder: string, node: string, random: Random) {
    const name = Buffer.from(random.bytes(8)).toString('hex');
    this.#nodeFolder = join(queueFolder, node);
    this.#folder = join(this.#nodeFolder, name);
    this.#kept = join(this.#nodeFolder, 'kept.part');
    // Now, so that a disk without room for it is known before anything is uploaded.
    mkdirSync(this.#nodeFolder, { recursive: true, mode: 0o770 });
  }

  pathOf(transfer: number): string {
    return join(this.#folder, `${transfer}.part`);
  }

  read(transfer: number): Promise<Buffer> {
    return readFile(this.pathOf(transfer));
  }

  stagingOf(transfer: number): string {
    return join(this.#folder, `${transfer}.staging`);
  }

  async perform(step: StoreStep): Promise<void> {
    switch (step.action) {
      case 'open':
        return this.#create(step.transfer);
      case 'adopt':
        return this.#adopt(step.transfer, step.bytes);
      case 'append':
        await writeAll(this.#open.get(step.transfer), step.bytes);
        bulkMemory.moved(step.bytes.length * copiesPerByte);
        return;
      case 'close':
        return this.#close(step.transfer);
      case 'keep':
        return this.#keep(step.transfer);
      case 'drop':
        return this.drop(step.transfer);
    }
  }

  async drop(transfer: number): Promise<void> {
    await this.#close(transfer);
    if (this.#written.delete(transfer)) await rm(this.pathOf(transfer), { force: true });
  }

  async end(): Promise<void> {
    this.#hasEnded = true;
    await Promise.all([...this.#open.keys()].map((transfer) => this.#close(transfer)));
    await rm(this.#folder, { recursive: true, force: true });
    await this.#leaveNode();
  }

  async dropKept(): Promise<void> {
    await rm(this.#kept, { force: true });
    await this.#leaveNode();
  }

  /** Names of nodes may change without end; another link of this one may be using the folder. */
  async #leaveNode(): Promise<void> {
    await rmdir(this.#nodeFolder).catch(() => undefined);
  }

  async #create(transfer: number): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o770 });
    this.#written.add(transfer);
    await this.#use(transfer, await open(this.pathOf(transfer), 'wx', 0o600));
  }

  async #adopt(transfer: number, bytes: number): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o770 });
    await rename(this.#kept, this.pathOf(transfer));
    this.#written.add(transfer);
    const file = await open(this.pathOf(transfer), adoptFlags);
    await this.#use(transfer, file);
    const stat = await file.stat();
    if (!stat.isFile() || stat.nlink !== 1) {
      throw new HostError('not_regular', 'what was kept of an upload is no file of ours any more');
    }
    if (stat.size === bytes) return;
    const seen = `${stat.size} bytes were kept of an upload instead of ${bytes}`;
    throw new HostError('store_failed', seen);
  }

  async #keep(transfer: number): Promise<void> {
    await this.#close(transfer);
    await rename(this.pathOf(transfer), this.#kept);
    this.#written.delete(transfer);
  }

  async #use(transfer: number, file: FileHandle): Promise<void> {
    this.#open.set(transfer, file);
    if (!this.#hasEnded) return;
    await this.end(); // it ended meanwhile: nobody else would close this one
    throw new HostError('store_failed', 'the link has ended');
  }

  async #close(transfer: number): Promise<void> {
    const file = this.#open.get(transfer);
    this.#open.delete(transfer);
    await file?.close();
  }
}

async function writeAll(file: FileHandle | undefined, bytes: Uint8Array): Promise<void> {
  for (let done = 0; file !== undefined && done < bytes.length; ) {
    done += (await file.write(bytes, done)).bytesWritten;
  }
}

/** At the start: nothing of an earlier run is of use, except the socket of the local server. */
export function clearTransfers(queueFolder: string): void {
  mkdirSync(queueFolder, { recursive: true, mode: 0o770 });
  for (const name of readdirSync(queueFolder)) {
    if (name === 'c-internal.sock') continue;
    rmSync(join(queueFolder, name), { recursive: true, force: true });
  }
}
