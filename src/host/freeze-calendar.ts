/**
 * Freeze windows: times in which no rollout goes on by itself. A window begins where a cron line
 * (five fields, UTC) matches and holds for a while; whether one holds is asked of the time, not
 * remembered, so a restart in the middle of a window changes nothing.
 */
import { createTask, validate } from 'node-cron';

export interface FreezeWindow {
  /** `0 22 * * 5` */
  readonly from: string;
  readonly forMs: number;
}

const minuteMs = 60_000;

export function isCronLine(text: string): boolean {
  return text.trim().split(/\s+/).length === 5 && validate(text);
}

/** The window that holds at `nowMs`, in words; undefined when none does. */
export function buildFreezeCalendar(
  windows: readonly FreezeWindow[],
): (nowMs: number) => string | undefined {
  const tasks = windows.map(({ from, forMs }) => ({
    name: `${from} for ${forMs / minuteMs} min`,
    hasBegun: buildLook(
      createTask(from, () => undefined, { timezone: 'Etc/UTC' }),
      forMs,
    ),
  }));
  let known: { readonly minute: number; readonly name: string | undefined } | undefined;
  return (nowMs) => {
    const minute = Math.floor(nowMs / minuteMs);
    if (known?.minute === minute) return known.name;
    const found = tasks.find(({ hasBegun }) => hasBegun(minute));
    known = { minute, name: found?.name };
    return found?.name;
  };
}

/**
 * Whether it began within `forMs` before a minute. Asking the library is slow, and a window may be a
 * week: minutes that were looked at are not looked at again while time goes on.
 */
function buildLook(task: ReturnType<typeof createTask>, forMs: number) {
  const minutes = Math.ceil(forMs / minuteMs);
  let lookedTo = Number.NEGATIVE_INFINITY;
  let begun = Number.NEGATIVE_INFINITY;
  return (minute: number): boolean => {
    if (minute < lookedTo) lookedTo = begun = Number.NEGATIVE_INFINITY; // the clock was set back
    const first = minute - minutes + 1;
    for (let at = minute; at >= Math.max(first, lookedTo + 1); at -= 1) {
      if (!task.match(new Date(at * minuteMs))) continue;
      begun = at;
      break;
    }
    lookedTo = minute;
    return begun >= first;
  };
}
