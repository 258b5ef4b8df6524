/**
 * `logs/cluster.log` in the stock format, rotated by day to
 * `logs/cluster/YYYY/Mon/cluster.log-DD.gz` (cluster-protocol.md 7.6). A log that cannot be
 * written never stops the node: the structured log says so once.
 */
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
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

export class ClusterLogFile implements ClusterLog {
  readonly #options: ClusterLogOptions;
  readonly #path: string;
  #file: number | undefined;
  #day = '';
  #hasComplained = false;

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
    const day = `${now.getFullYear()} ${now.getMonth()} ${now.getDate()}`;
    const before = this.#day;
    this.#day = day;
    if (before === '' || before === day) return;
    this.close();
    const [year = '', month = '0', date = ''] = before.split(' ');
    const folder = join(dirname(this.#path), 'cluster', year, months[Number(month)] ?? '');
    mkdirSync(folder, { recursive: true, mode: 0o750 });
    const aside = `${this.#path}.rotating`;
    renameSync(this.#path, aside);
    const target = join(folder, `cluster.log-${date.padStart(2, '0')}.gz`);
    writeFileSync(target, gzipSync(readFileSync(aside)), { mode: 0o640 });
    rmSync(aside);
  }

  #complain(error: unknown): void {
    if (this.#hasComplained) return;
    this.#hasComplained = true;
    this.#options.events.warn('cluster.log_unwritable', { reason: messageOf(error) });
  }
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
