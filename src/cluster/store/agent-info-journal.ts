/**
 * Agent-info between the read, which marks it as sent, and the master's word that it is stored.
 * Killed in between, the node sends what is here again; killed between the read and `keep`, it
 * knows since when a read may be lost.
 */
import { first, type Sql } from './embedded/sql.ts';
import { Marks } from './marks.ts';

export interface JournalPart {
  readonly number: number;
  readonly body: string;
  readonly failures: number;
}

/** Agents that are here were seen at most this long ago. */
export const seenWithinS = 3_600;

const openMark = 'agent_info_open';
const readMark = 'agent_info_read_s';
const masterMark = 'agent_info_master';

export class AgentInfoJournal {
  readonly #sql: Sql;
  readonly #marks: Marks;

  constructor(sql: Sql) {
    this.#sql = sql;
    this.#marks = new Marks(sql);
  }

  /**
   * Before the first read. Seconds since when reads may be lost; undefined: none can be. Who
   * remembers nothing, or a time that is still to come, cannot know: anything seen lately.
   */
  open(nowS: number): number | undefined {
    const wasOpen = this.#marks.get(openMark) !== 0;
    const readS = this.#marks.get(readMark);
    if (readS === undefined) this.#marks.set(readMark, nowS);
    this.#marks.set(openMark, 1);
    if (!wasOpen) return undefined;
    return readS === undefined || readS > nowS ? nowS - seenWithinS : readS;
  }

  /** After the last read. */
  close(): void {
    this.#marks.set(openMark, 0);
  }

  /** A part of a body that was read; what is here is on disk when this returns. */
  keep(body: string): void {
    this.#sql.run('INSERT INTO agent_info (body) VALUES (?)', body);
  }

  /** The whole body of the read that began at `startS` is here. */
  keptAll(startS: number): void {
    this.#marks.set(readMark, startS);
  }

  /** About when what is here was read; undefined: nothing ever was. */
  get readS(): number | undefined {
    return this.#marks.get(readMark);
  }

  /** Token of the master that is told what is read; undefined: none told its own yet. */
  get master(): number | undefined {
    return this.#marks.get(masterMark);
  }

  /** Everything it was not told is marked to be read. */
  met(master: number): void {
    this.#marks.set(masterMark, master);
  }

  /** The oldest part. */
  next(): JournalPart | undefined {
    return this.after(0);
  }

  /** The oldest part above this number. */
  after(part: number): JournalPart | undefined {
    const oldest = 'SELECT * FROM agent_info WHERE number > ? ORDER BY number LIMIT 1';
    const row = first(this.#sql, oldest, part);
    if (row === undefined) return undefined;
    const { number, body, failures } = row;
    return { number: Number(number), body: String(body), failures: Number(failures) };
  }

  /** The master has it. */
  delivered(number: number): void {
    this.#sql.run('DELETE FROM agent_info WHERE number = ?', number);
  }

  /** The master could not store it. */
  failed(number: number): void {
    this.#sql.run('UPDATE agent_info SET failures = failures + 1 WHERE number = ?', number);
  }
}
