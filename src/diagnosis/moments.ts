/** Events of the journal as moments of a timeline. Pure. */
import type { LoggedEvent } from './event-line.ts';
import type { Moment, Phase } from './timeline.ts';

/** Which step an event is; those that are not here are shown without one. */
const phases: Readonly<Record<string, Phase>> = {
  'manager.down': 'detect',
  'manager.changed': 'detect',
  'roster.unready': 'detect',
  'relay.no_manager': 'detect',
  'list.served': 'publish',
  'list.proven': 'publish',
  'cycle.acted': 'apply',
  'apply.written': 'apply',
  'apply.restarted': 'first event',
  'relay.connected': 'first event',
};

/** An agent that is back is what counts; a manager that comes back is no incident. */
export function momentOf({ atMs, level, event, fields, program }: LoggedEvent): Moment {
  const told = Object.entries(fields)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
  const what = `${program} ${event} ${told}`.trim();
  const isGoodNews = level === 'info' && phases[event] === 'detect';
  const isResign = event === 'list.served' && fields.reason === 'resign';
  const phase = isGoodNews || isResign ? undefined : phases[event];
  return { atMs, what, ...(phase === undefined ? {} : { phase }) };
}
