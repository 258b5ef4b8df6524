/** `pilotfish-publisher timeline`: journal, history and reports as one story. */
import type { Command } from 'commander';
import { momentOf } from '../diagnosis/moments.ts';
import { maxHistory } from '../publisher/history.ts';
import { publishedMoment, reportedMoment } from '../publisher/story.ts';
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
          ...office.history.list(maxHistory).map(publishedMoment),
          ...events.map(reportedMoment),
        ];
        showTimeline(terminal, flags, moments, nowMs);
      }),
  );
}
