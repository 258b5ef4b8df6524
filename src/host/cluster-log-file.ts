/**
 * `logs/cluster.log` in the stock format, rotated by day to
 * `logs/cluster/YYYY/Mon/cluster.log-DD.gz` (cluster-protocol.md 7.6). A log that cannot be
 * written never stops the node: the structured log says so once.
 */
import {
  closeSync,
  constants,
  createReadStream,
  createWriteStream,
  existsSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { copyFile, mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Clock } from '../clock.ts';
import type { ClusterLevel, ClusterLine, ClusterLog } from '../cluster/tasks/node-log.ts';
import { messageOf } from '../guards.ts';
import type { Log } from '../log.ts';

export interface ClusterLogOptions {
  readonly home: string;
  readonly clock: Clock;
  readonly events: Log;
  /** 0: INFO and above; 1: DEBUG too; 2: DEBUG2 too. */
  readonly debugLevel: number;
  /** Also to standard error, as `-f` does. */
  readonly isForeground: boolean;
}

const least: Readonly<Record<ClusterLevel, number>> = {
  DEBUG2: 2,
  DEBUG: 1,
  INFO: 0,
  WARNING: 0,
  ERROR: 0,
  CRITICAL: 0,
};
const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');
const rotatingPattern = /^cluster\.log\.rotating-(\d{4}-[A-Z][a-z]{2}-\d{2}-\d+)(?:\.gz)?$/;

export class ClusterLogFile implements ClusterLog {
  readonly #options: ClusterLogOptions;
  readonly #path: string;
  #file: number | undefined;
  #day = '';
  #hasComplained = false;
  /** Days are packed one after the other, beside everything else. */
  #packing: Promise<void> = Promise.resolve();

  constructor(options: ClusterLogOptions) {
    this.#options = options;
    this.#path = join(options.home, 'logs', 'cluster.log');
  }

  line(line: ClusterLine): void {
    const { debugLevel, isForeground, clock } = this.#options;
    if (least[line.level] > debugLevel) return;
    const now = new Date(clock.nowMs());
    const text = `${stockTime(now)} ${renderLine(line)}\n`;
    if (isForeground) process.stderr.write(text);
    try {
      this.#rotate(now);
      this.#file ??= this.#open();
      writeSync(this.#file, text);
    } catch (error) {
      this.#complain(error);
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #open(): number {
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o770 });
    return openSync(this.#path, 'a', 0o660);
  }

  #rotate(now: Date): void {
    const date = String(now.getDate()).padStart(2, '0');
    const day = `${now.getFullYear()}-${months[now.getMonth()]}-${date}`;
    const before = this.#day;
    this.#day = day;
    if (before === day) return;
    if (before === '') {
      this.#packLeft();
      return;
    }
    this.close();
    const aside = `${before}-${now.getTime()}`;
    renameSync(this.#path, `${this.#path}.rotating-${aside}`);
    this.#pack(aside);
  }

  /** What an earlier run had no time for. */
  #packLeft(): void {
    const names = existsSync(dirname(this.#path)) ? readdirSync(dirname(this.#path)) : [];
    const left = names.flatMap((name) => rotatingPattern.exec(name)?.[1] ?? []);
    for (const aside of new Set(left.sort())) this.#pack(aside);
  }

  #pack(aside: string): void {
    this.#packing = this.#packing
      .then(() => this.#packDay(aside))
      .catch((error: unknown) => this.#complain(error));
  }

  /** A kill loses nothing: what is packed is whole once its source is gone. */
  async #packDay(aside: string): Promise<void> {
    const source = `${this.#path}.rotating-${aside}`;
    const packed = `${source}.gz`;
    if (existsSync(source)) {
      const sink = createWriteStream(packed, { mode: 0o640, flush: true });
      await pipeline(createReadStream(source), createGzip(), sink);
      await rm(source);
    }
    const [year = '', month = '', date = ''] = aside.split('-');
    const folder = join(dirname(this.#path), 'cluster', year, month);
    await mkdir(folder, { recursive: true, mode: 0o750 });
    await fileUnder(packed, join(folder, `cluster.log-${date}.gz`));
  }

  #complain(error: unknown): void {
    if (this.#hasComplained) return;
    this.#hasComplained = true;
    this.#options.events.warn('cluster.log_unwritable', { reason: messageOf(error) });
  }
}

/** Behind what the day has already: a clock may be set back over midnight. */
async function fileUnder(packed: string, target: string): Promise<void> {
  if (!existsSync(target)) return rename(packed, target);
  const both = `${packed}.new`;
  await copyFile(target, both);
  await pipeline(createReadStream(packed), createWriteStream(both, { flags: 'a', flush: true }));
  await rename(both, target);
  await rm(packed);
}

export function hasLogFolder(home: string): boolean {
  return existsSync(join(home, 'logs'));
}

/** A log that root wrote becomes the manager's, so that its user can go on with it, as in stock. */
export function handOverLog(home: string, { uid, gid }: { uid: number; gid: number }): void {
  try {
    const flags = constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const file = openSync(join(home, 'logs', 'cluster.log'), flags);
    try {
      const found = fstatSync(file);
      if (!found.isFile() || found.nlink !== 1) return; // another name of it may be anybody's file
      fchownSync(file, uid, gid);
      fchmodSync(file, 0o660);
    } finally {
      closeSync(file);
    }
  } catch {
    return; // absent, or not ours to give: the first line tells
  }
}

/** `INFO: [Master] [Main] text`; control characters of foreign text cannot forge a line. */
export function renderLine({ level, tag, subTag, message }: ClusterLine): string {
  const safe = message.replace(
    /[\p{Cc}\u2028\u2029]/gu,
    (unit) => `\\x${unit.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return `${level}: [${tag}] [${subTag}] ${safe}`;
}

/** `2024/11/21 10:00:00`, local time. */
function stockTime(now: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = `${now.getFullYear()}/${two(now.getMonth() + 1)}/${two(now.getDate())}`;
  return `${date} ${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
}
