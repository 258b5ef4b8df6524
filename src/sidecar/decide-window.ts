/** Maintenance windows: when the agent may be moved by choice. In UTC, the same on every host. Pure. */

/** Minutes of the week, Monday 00:00 UTC is 0; `to` may lie before `from`: over the end of the week. */
export interface Window {
  readonly fromMin: number;
  readonly toMin: number;
}

const minuteMs = 60_000;
const weekMin = 7 * 24 * 60;
/** 1970-01-01 was a Thursday. */
const epochMin = 3 * 24 * 60;

/** Undefined: open now (always, without windows). Otherwise the instant at which the next one opens. */
export function closedUntilMs(windows: readonly Window[], nowMs: number): number | undefined {
  if (windows.length === 0) return undefined;
  const nowMin = (Math.floor(nowMs / minuteMs) + epochMin) % weekMin;
  if (windows.some((window) => isWithin(window, nowMin))) return undefined;
  const waitMin = Math.min(...windows.map(({ fromMin }) => wrap(fromMin - nowMin)));
  return (Math.floor(nowMs / minuteMs) + waitMin) * minuteMs;
}

function isWithin({ fromMin, toMin }: Window, nowMin: number): boolean {
  return wrap(nowMin - fromMin) < wrap(toMin - fromMin);
}

export function lengthMsOf({ fromMin, toMin }: Window): number {
  return wrap(toMin - fromMin) * minuteMs;
}

function wrap(min: number): number {
  return ((min % weekMin) + weekMin) % weekMin;
}

const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const form =
  /^(mon|tue|wed|thu|fri|sat|sun)(?:-(mon|tue|wed|thu|fri|sat|sun))? (\d\d):(\d\d)-(\d\d):(\d\d)$/;

/** `mon-fri 22:00-04:00`: one window a day, over midnight when it ends before it starts. */
export function parseWindows(text: string): readonly Window[] | undefined {
  const match = form.exec(text.trim().toLowerCase());
  if (match === null) return undefined;
  const [, first = '', last = first, ...digits] = match;
  const [fromHour = 0, fromMinute = 0, toHour = 0, toMinute = 0] = digits.map(Number);
  if (fromHour > 23 || toHour > 24 || fromMinute > 59 || toMinute > 59) return undefined;
  const from = fromHour * 60 + fromMinute;
  const to = toHour * 60 + toMinute;
  const lengthMin = to > from ? to - from : to - from + 24 * 60;
  const start = days.indexOf(first);
  const count = ((days.indexOf(last) - start + 7) % 7) + 1;
  return Array.from({ length: count }, (_, day) => {
    const fromMin = (((start + day) % 7) * 24 * 60 + from) % weekMin;
    return { fromMin, toMin: (fromMin + lengthMin) % weekMin };
  });
}
