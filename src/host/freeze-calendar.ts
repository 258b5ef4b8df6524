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
    forMs,
    task: createTask(from, () => undefined, { timezone: 'Etc/UTC' }),
  }));
  let known: { readonly minute: number; readonly name: string | undefined } | undefined;
  return (nowMs) => {
    const minute = Math.floor(nowMs / minuteMs);
    if (known?.minute === minute) return known.name;
    const found = tasks.find(({ task, forMs }) => hasBegun(task, minute, forMs));
    known = { minute, name: found?.name };
    return found?.name;
  };
}

function hasBegun(task: ReturnType<typeof createTask>, minute: number, forMs: number): boolean {
  const minutes = Math.ceil(forMs / minuteMs);
  for (let back = 0; back < minutes; back += 1) {
    if (task.match(new Date((minute - back) * minuteMs))) return true;
  }
  return false;
}
