/** Numbers and times for people. Pure. */

const whole = new Intl.NumberFormat('en');

export function count(value: number): string {
  return whole.format(value);
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** `1.2 s`, `3 min`, `2 h`, `4 d`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, ms) / 1_000;
  if (seconds === 0) return '0 s';
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** By whole steps, so that a picture does not change every second. */
export function ago(atMs: number, nowMs: number): string {
  const ms = nowMs - atMs;
  return ms < 10_000 ? 'just now' : `${duration(ms)} ago`;
}

const clock = new Intl.DateTimeFormat('en-GB', {
  ...({ month: 'short', day: '2-digit' } as const),
  ...({ hour: '2-digit', minute: '2-digit', second: '2-digit' } as const),
});

/** In the reader's own time zone. */
export function instant(atMs: number): string {
  return clock.format(atMs);
}

const short = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });

/** `22:05`. */
export function dayTime(atMs: number): string {
  return short.format(atMs);
}

export function percent(part: number, all: number): string {
  if (all === 0) return '0 %';
  const share = (part / all) * 100;
  // Never 100 % while one is missing, never 0 % while there is one.
  const text = share > 0 && share < 100 ? Math.min(99.9, Math.max(0.1, share)) : share;
  return `${text >= 10 && text < 99.5 ? Math.round(text) : Number(text.toFixed(1))} %`;
}
