/**
 * The file of events beside a program's state: appended line by line, turned over at a megabyte,
 * at most so many lines a second. It is worth less than the work it tells of: a disk that refuses
 * stops nothing, and what was lost is counted in the next line that goes through.
 */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import {
  type EventLevel,
  type LoggedEvent,
  parseEventLines,
  renderEventLine,
} from '../diagnosis/event-line.ts';
import { HostError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import type { Log, LogFields } from '../log.ts';
import { readBounded } from './read-bounded.ts';

export const journalName = 'events.json';
const maxJournalBytes = 1024 * 1024;
/** It grows no further where it cannot be turned over, so that all of it can be read. */
const maxReadBytes = 2 * maxJournalBytes;
const perSecond = 20;
const burst = 200;
const flags =
  constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);
const readFlags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

export interface JournalPlace {
  readonly folder: string;
  readonly program: string;
  readonly clock: Clock;
}

/** `log`, and every event from `info` up into the journal too, whatever level is logged. */
export function withJournal(log: Log, place: JournalPlace): Log {
  const journal = new Journal(place);
  const at =
    (level: EventLevel) =>
    (event: string, fields: LogFields = {}): void => {
      log[level](event, fields);
      journal.note(level, event, fields);
    };
  return { debug: log.debug, info: at('info'), warn: at('warn'), error: at('error') };
}

class Journal {
  readonly #place: JournalPlace;
  readonly #path: string;
  #tokens = burst;
  #refilledAtMs: number;
  #lost = 0;

  constructor(place: JournalPlace) {
    this.#place = place;
    this.#path = join(place.folder, journalName);
    this.#refilledAtMs = place.clock.monotonicMs();
  }

  note(level: EventLevel, event: string, fields: LogFields): void {
    if (!this.#mayWrite()) {
      this.#lost += 1;
      return;
    }
    const { program, clock } = this.#place;
    const atMs = clock.nowMs();
    const lost: LoggedEvent[] =
      this.#lost === 0
        ? []
        : [{ atMs, program, level: 'warn', event: 'events.lost', fields: { count: this.#lost } }];
    const lines = [...lost, { atMs, program, level, event, fields }].map(renderEventLine);
    if (this.#append(lines.join(''))) this.#lost = 0;
    else this.#lost += 1;
  }

  #mayWrite(): boolean {
    const nowMs = this.#place.clock.monotonicMs();
    const gained = ((nowMs - this.#refilledAtMs) * perSecond) / 1_000;
    this.#tokens = Math.min(burst, this.#tokens + gained);
    this.#refilledAtMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Opened for each line: events are rare, and a file that was taken away comes back. */
  #append(text: string): boolean {
    try {
      const file = openSync(this.#path, flags, 0o640);
      let size: number;
      try {
        const stats = fstatSync(file);
        // Somebody keeps it from being turned over, such as a reader on Windows.
        if (!stats.isFile() || stats.size > maxReadBytes) return false;
        writeSync(file, isTorn(file, stats.size) ? `\n${text}` : text);
        size = stats.size + Buffer.byteLength(text);
      } finally {
        closeSync(file);
      }
      if (size > maxJournalBytes) turnOver(this.#path);
      return true;
    } catch {
      return false;
    }
  }
}

/** A kill or a full disk left half a line: the next one must not become a part of it. */
function isTorn(file: number, size: number): boolean {
  const last = Buffer.alloc(1);
  return size > 0 && readSync(file, last, 0, 1, size - 1) === 1 && last[0] !== 0x0a;
}

/** Tried again behind the next line: this one is written. */
function turnOver(path: string): void {
  try {
    renameSync(path, `${path}.1`);
  } catch {
    // held by somebody
  }
}

/** Throws HostError `state_inaccessible` where it may not be read: silence would pass for peace. */
export async function refuseUnreadable(folder: string): Promise<void> {
  const path = join(folder, journalName);
  try {
    const handle = await open(path, readFlags);
    await handle.close();
  } catch (error) {
    if (systemCodeOf(error) !== 'EACCES') return;
    throw new HostError('state_inaccessible', `${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** The events of `folder`, oldest first, the last turn included. */
export async function readJournal(folder: string): Promise<readonly LoggedEvent[]> {
  const path = join(folder, journalName);
  const texts = await Promise.all(
    [`${path}.1`, path].map((name) => readBounded(name, maxReadBytes)),
  );
  return texts.flatMap((text) => parseEventLines(text?.toString('utf8') ?? ''));
}
