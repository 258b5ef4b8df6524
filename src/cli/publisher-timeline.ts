/** `pilotfish-publisher timeline`: journal, history and reports as one story. */
import type { Command } from 'commander';
import { momentOf } from '../diagnosis/moments.ts';
import type { Moment } from '../diagnosis/timeline.ts';
import { maxHistory, type PublishedList } from '../publisher/history.ts';
import type { AgentEvent } from '../publisher/reports/agent-book.ts';
import { addCommand, type CommandParts, type Common, withOffice } from './publisher-command.ts';
import {
  maxMoments,
  showTimeline,
  sinceOf,
  type TimelineFlags,
  withTimelineFlags,
} from './timeline-output.ts';

export function addTimeline(program: Command, { terminal, host }: CommandParts): void {
  const summary = 'what happened when: detect, publish, apply, first event';
  withTimelineFlags(addCommand(program, 'timeline', summary)).action(
    (flags: Common & TimelineFlags) =>
      withOffice(host, flags.dir, async (office) => {
        const nowMs = host.clock.nowMs();
        const sinceMs = sinceOf(flags, nowMs);
        const journal = await host.journal(flags.dir);
        const events = office.config.reports.enabled
          ? office.withReports((store) => store.recent(sinceMs, maxMoments))
          : [];
        const moments = [
          // The history has every version; the journal only those that were served here.
          ...journal.filter(({ event }) => event !== 'list.served').map(momentOf),
          ...office.history.list(maxHistory).map(published),
          ...events.map(reported),
        ];
        showTimeline(terminal, flags, moments, nowMs);
      }),
  );
}

function published({ version, reason, detail, issuedAtMs }: PublishedList): Moment {
  const what = `published version ${version}: ${reason} ${detail}`.trim();
  // Signed anew is no news to anybody.
  return { atMs: issuedAtMs, what, ...(reason === 'resign' ? {} : { phase: 'publish' }) };
}

function reported({ agent, atMs, kind, text }: AgentEvent): Moment {
  const what = `agent ${agent}: ${kind} ${text}`;
  if (kind === 'list') return { atMs, what, phase: 'apply' };
  const isOnManager = kind === 'manager' && !text.endsWith('none');
  return { atMs, what, ...(isOnManager ? { phase: 'first event' } : {}) };
}
