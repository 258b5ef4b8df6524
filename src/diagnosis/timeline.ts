/**
 * What happened, in order, from what both programs already write down: who noticed, what was
 * published, who applied it, when the first agent was heard on its new manager. Pure.
 */

/** The steps of an incident; everything else is shown without one. */
export type Phase = 'detect' | 'publish' | 'apply' | 'first event';

export interface Moment {
  readonly atMs: number;
  readonly what: string;
  readonly phase?: Phase;
}

export interface Incident {
  readonly startedAtMs: number;
  /** Milliseconds after its start, for each step that was seen. */
  readonly after: Readonly<Partial<Record<Phase, number>>>;
  /** When the last agent applied it, milliseconds after its start; absent where nobody did. */
  readonly allAppliedMs?: number;
  readonly moments: number;
}

/** So long without anything, and the next thing is another incident. */
const quietMs = 15 * 60_000;

/**
 * Steps that belong together. It begins with what was detected, or with a publication of choice.
 * `publish` counts from the first one on, `apply` and `first event` from the publication on.
 */
export function incidentsOf(moments: readonly Moment[]): readonly Incident[] {
  const groups: Moment[][] = [];
  for (const moment of inOrder(moments)) {
    if (moment.phase === undefined) continue;
    const last = groups.at(-1);
    const before = last?.at(-1);
    if (last === undefined || before === undefined || moment.atMs - before.atMs > quietMs) {
      groups.push([moment]);
    } else last.push(moment);
  }
  return groups.map(incidentOf);
}

function incidentOf(moments: readonly Moment[]): Incident {
  const startedAtMs = moments[0]?.atMs ?? 0;
  const first = (phase: Phase): number | undefined =>
    moments.find((one) => one.phase === phase)?.atMs;
  const seen = (['detect', 'publish', 'apply', 'first event'] as const).flatMap((phase) => {
    const atMs = first(phase);
    return atMs === undefined ? [] : [[phase, atMs - startedAtMs] as const];
  });
  const last = moments.findLast(({ phase }) => phase === 'apply')?.atMs;
  return {
    startedAtMs,
    after: Object.fromEntries(seen),
    ...(last === undefined ? {} : { allAppliedMs: last - startedAtMs }),
    moments: moments.length,
  };
}

export function inOrder(moments: readonly Moment[]): readonly Moment[] {
  return moments.toSorted((left, right) => left.atMs - right.atMs);
}

const bars = '▁▂▃▄▅▆▇█';

/** How much happened when: one character a slice of [fromMs, toMs); a blank where nothing did. */
export function sparkline(
  moments: readonly Moment[],
  span: { readonly fromMs: number; readonly toMs: number },
  width: number,
): string {
  const counts = new Array<number>(width).fill(0);
  const sliceMs = Math.max(1, (span.toMs - span.fromMs) / width);
  for (const { atMs } of moments) {
    const at = Math.floor((atMs - span.fromMs) / sliceMs);
    if (at >= 0 && at < width) counts[at] = (counts[at] ?? 0) + 1;
  }
  const most = Math.max(1, ...counts);
  return counts
    .map((count) => (count === 0 ? ' ' : bars[Math.ceil((count / most) * bars.length) - 1]))
    .join('');
}
