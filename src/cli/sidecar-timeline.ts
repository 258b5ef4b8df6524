/** `pilotfish timeline`: what this sidecar saw and did. */
import type { Command } from 'commander';
import { momentOf } from '../diagnosis/moments.ts';
import { addCommand, type Common, type SidecarParts } from './sidecar-command.ts';
import { showTimeline, type TimelineFlags, withTimelineFlags } from './timeline-output.ts';

export function addTimeline(program: Command, { terminal, host }: SidecarParts): void {
  const summary = 'what happened here when: detect, publish, apply, first event';
  withTimelineFlags(addCommand(program, 'timeline', summary)).action(
    async (flags: Common & TimelineFlags) => {
      const events = await (await host.open(flags.config)).journal();
      showTimeline(terminal, flags, events.map(momentOf), host.clock.nowMs());
    },
  );
}
