/** Who makes versions, and how one becomes the only one: what `publish` needs of it. */
import { PeerError } from '../errors.ts';
import type { Holder } from '../leader/engine.ts';
import type { Standing } from '../leader/keep-office.ts';
import type { History, PublishedList, RolloutMark } from './history.ts';

/** Port. Every method throws PeerError `not_leader` when another publisher writes. */
export interface Writer {
  /** Afterwards the history is as new as what anybody has written. */
  ready(): Promise<void>;
  /** The term of what comes after `before`; a new writer begins a new one. */
  termAfter(before: PublishedList | undefined): number;
  /** False, and nothing written, when somebody else was first. */
  append(entry: PublishedList, before: PublishedList | undefined): Promise<boolean>;
  /** The same content under another configuration. */
  noteSource(entry: PublishedList, source: string): Promise<void>;
  mark(mark: RolloutMark): Promise<void>;
}

export const firstTerm = 1;

/** The only writer there is; with `standing` only while it has the seat of its directory. */
export function buildLocalWriter(history: History, standing?: () => Standing): Writer {
  const token = (): number | undefined => {
    const now = standing?.();
    if (now === undefined) return undefined;
    if (now.kind === 'leader') return now.token;
    throw notLeader(now.holder, now.why);
  };
  return {
    ready: async () => void token(),
    termAfter: (before) => before?.term ?? firstTerm,
    append: async (entry, before) => history.append(entry, before?.version, token()),
    noteSource: async ({ version }, source) => history.noteSource(version, source),
    mark: async (mark) => history.mark(mark),
  };
}

/** A publisher as the seat knows it. */
export interface SeatOwner {
  readonly name: string;
  /** Undefined: it never ran in this place. */
  readonly instance: string | undefined;
}

/** A holder of a program of before tells no instance: its name decides. */
export function isSeatOf(holder: Holder, own: SeatOwner): boolean {
  if (holder.name !== own.name) return false;
  return holder.instance === undefined || holder.instance === own.instance;
}

/** Two publishers with one name: who is meant is told by nothing but this. */
export function isNamesake(holder: Holder, own: SeatOwner): boolean {
  return holder.name === own.name && !isSeatOf(holder, own);
}

/** Names who may, so that the operator knows where to go. */
export function notLeader(holder: Holder | undefined, why: string, own?: SeatOwner): PeerError {
  if (holder === undefined) return new PeerError('not_leader', `no publisher leads now: ${why}`);
  const where = holder.url === '' ? '' : ` (${holder.url})`;
  if (own !== undefined && isNamesake(holder, own)) {
    const other = `another one that is called ${holder.name} as well${where} leads`;
    const todo = 'give each an own `leader.name`';
    return new PeerError('not_leader', `this publisher stands by; ${other}; ${todo}`);
  }
  return new PeerError('not_leader', `this publisher stands by; ${holder.name}${where} leads`);
}
