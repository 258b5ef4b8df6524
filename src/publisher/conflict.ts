/**
 * Two operators at once: whoever comes second is told whose word would be lost, and repeats the
 * command knowing it. Changes of different managers stand side by side. Pure.
 */
import { ConfigError } from '../errors.ts';
import type { PublishedList, Reason } from './history.ts';

/** Versions that somebody decided on, or that took something back; the rest follows from what is. */
const decisions: readonly Reason[] = [
  ...(['first', 'publish', 'config', 'drain', 'undrain'] as const),
  ...(['weight', 'rollback', 'halt'] as const),
];
/** Whoever took something back is not to be overridden by somebody who does not know it yet. */
const takenBack: readonly Reason[] = ['rollback', 'halt'];

export interface Intent {
  readonly reason: Reason;
  /** Its first word is the manager. */
  readonly detail: string;
  /** The version that the operator looked at: any decision since then is in the way. */
  readonly ifVersion?: number;
}

/** Throws ConfigError `conflict`. `meanwhile`: versions since the operator looked, newest first. */
export function refuseConflict(intent: Intent, meanwhile: readonly PublishedList[]): void {
  const found = meanwhile.find(
    (entry) => decisions.includes(entry.reason) && isInWay(intent, entry),
  );
  if (found === undefined) return;
  const { version, reason, detail, issuedAtMs } = found;
  const what = `${reason} ${detail}`.trim();
  const when = new Date(issuedAtMs).toISOString();
  throw new ConfigError('conflict', `version ${version} (${what}, ${when}) came meanwhile`);
}

function isInWay({ reason, detail, ifVersion }: Intent, entry: PublishedList): boolean {
  if (ifVersion !== undefined || reason === 'rollback') return true;
  if (takenBack.includes(entry.reason)) return true;
  // Drains and weights outlive what a configuration says, and its file has one text for everybody.
  return detail !== '' && subjectOf(detail) === subjectOf(entry.detail);
}

function subjectOf(detail: string): string {
  return detail.split(' ', 1)[0] ?? '';
}
