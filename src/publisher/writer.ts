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

/** Names who may, so that the operator knows where to go. */
export function notLeader(holder: Holder | undefined, why: string): PeerError {
  if (holder === undefined) return new PeerError('not_leader', `no publisher leads now: ${why}`);
  const where = holder.url === '' ? '' : ` (${holder.url})`;
  return new PeerError('not_leader', `this publisher stands by; ${holder.name}${where} leads`);
}
