/** Versions and reports as moments of a timeline. Pure. */
import type { Moment } from '../diagnosis/timeline.ts';
import type { PublishedList } from './history.ts';
import type { AgentEvent } from './reports/agent-book.ts';

export function publishedMoment({ version, reason, detail, issuedAtMs }: PublishedList): Moment {
  const what = `published version ${version}: ${reason} ${detail}`.trim();
  // Signed anew is no news to anybody.
  return { atMs: issuedAtMs, what, ...(reason === 'resign' ? {} : { phase: 'publish' }) };
}

export function reportedMoment({ agent, atMs, kind, text }: AgentEvent): Moment {
  const what = `agent ${agent}: ${kind} ${text}`;
  if (kind === 'list') return { atMs, what, phase: 'apply' };
  const isOnManager = kind === 'manager' && !text.endsWith('none');
  return { atMs, what, ...(isOnManager ? { phase: 'first event' } : {}) };
}
