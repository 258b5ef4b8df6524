/**
 * The small memories of a node as JSON files in its own folder: which peers are ours, which
 * deletions are held, the newest status. Damaged or absent files mean: nothing known.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Held } from '../cluster/files/guard.ts';
import { isFileName } from '../cluster/files/name.ts';
import type { HeldBook } from '../cluster/tasks/held-book.ts';
import type { PeerBook } from '../cluster/tasks/node-ports.ts';
import { isJsonObject, messageOf, systemCodeOf } from '../guards.ts';
import type { Log } from '../log.ts';

const mostPeers = 10_000;

/** The file is looked at before every answer: the command that forgets is another process. */
export class PeerBookFile implements PeerBook {
  readonly #path: string;
  readonly #log: Log;
  #names: Set<string> = new Set();
  #stamp = '';

  constructor(folder: string, log: Log) {
    this.#path = join(folder, 'cluster-peers.json');
    this.#log = log;
  }

  isOurs(node: string): boolean {
    this.#read();
    return this.#names.has(node);
  }

  remember(node: string): void {
    this.#read();
    if (this.#names.has(node) || this.#names.size >= mostPeers) return;
    this.#names.add(node);
    this.#write();
  }

  /** The operator's word: this node may be a stock one from now on. */
  forget(node: string): boolean {
    this.#read();
    const wasKnown = this.#names.delete(node);
    if (wasKnown) this.#write();
    return wasKnown;
  }

  /** What cannot be read changes nothing. */
  #read(): void {
    const stamp = stampOf(this.#path);
    if (stamp === undefined || stamp === this.#stamp) return;
    this.#stamp = stamp;
    const value = readJson(this.#path, this.#log);
    if (!isJsonObject(value) || !Array.isArray(value.ours)) return;
    this.#names = new Set(value.ours.filter((name): name is string => typeof name === 'string'));
  }

  #write(): void {
    if (writeJson(this.#path, { ours: [...this.#names] }, this.#log)) this.#stamp = '';
  }
}

/** Every change makes another file. Undefined: there is none, or it may not be looked at. */
function stampOf(path: string): string | undefined {
  try {
    const { ino, mtimeNs } = statSync(path, { bigint: true });
    return `${ino} ${mtimeNs}`;
  } catch {
    return undefined;
  }
}

/** Held deletions, one file per peer; a file `accept-PEER` is the operator's word. */
export class HeldBookFile implements HeldBook {
  readonly #folder: string;
  readonly #log: Log;
  readonly #held = new Map<string, Held>();

  constructor(folder: string, log: Log) {
    this.#folder = join(folder, 'cluster-held');
    this.#log = log;
  }

  read(peer: string): Held {
    const known = this.#held.get(peer);
    if (known !== undefined) return known;
    const held = heldOf(readJson(this.#pathOf(peer), this.#log));
    this.#held.set(peer, held);
    return held;
  }

  write(peer: string, held: Held): void {
    if (held.length === 0 && this.read(peer).length === 0) return;
    this.#held.set(peer, held);
    if (held.length === 0) rmSync(this.#pathOf(peer), { force: true });
    else writeJson(this.#pathOf(peer), { held }, this.#log);
  }

  takeAcceptance(peer: string): boolean {
    try {
      rmSync(join(this.#folder, `accept-${peer}`));
      return true;
    } catch (error) {
      if (systemCodeOf(error) !== 'ENOENT') {
        this.#log.warn('cluster.acceptance_unreadable', { peer, reason: messageOf(error) });
      }
      return false;
    }
  }

  /** For the command: the running node takes it with its next look. */
  accept(peer: string): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    closeSync(openSync(join(this.#folder, `accept-${peer}`), 'w', 0o600));
  }

  #pathOf(peer: string): string {
    return join(this.#folder, `${peer}.json`);
  }
}

function heldOf(value: unknown): Held {
  const list = isJsonObject(value) && Array.isArray(value.held) ? value.held : [];
  return list.flatMap((one: unknown) => {
    if (!isJsonObject(one)) return [];
    const { name, itemKey, firstAtMs, agreements, isAccepted } = one;
    const isWhole =
      typeof name === 'string' &&
      isFileName(name) &&
      typeof itemKey === 'string' &&
      typeof firstAtMs === 'number' &&
      typeof agreements === 'number';
    return isWhole
      ? [{ name, itemKey, firstAtMs, agreements, isAccepted: isAccepted === true }]
      : [];
  });
}

/** Undefined: absent or damaged. */
export function readJson(path: string, log: Log): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as unknown;
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') {
      log.warn('cluster.memory_unreadable', { path, reason: messageOf(error) });
    }
    return undefined;
  }
}

/** Whole or not at all; a failure is logged, the node goes on. */
export function writeJson(path: string, value: unknown, log: Log): boolean {
  const aside = `${path}.new`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const file = openSync(aside, 'w', 0o600);
    try {
      const bytes = Buffer.from(JSON.stringify(value));
      // Short where space ends; only the next call says so.
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(aside, path);
    return true;
  } catch (error) {
    log.warn('cluster.memory_unwritable', { path, reason: messageOf(error) });
    return false;
  }
}
