/** What happened: incidents with their steps, and every moment. */
import type { TimelineAnswer } from '../../publisher/api/answers.ts';
import { ask } from '../api.ts';
import type { App, View } from '../app.ts';
import { type Child, el, svg, table } from '../dom.ts';
import { count, duration, instant, plural } from '../format.ts';
import { badge, choices, empty, loading, moment, section } from '../parts.ts';

const spans = [
  { value: '60', text: '1 hour' },
  { value: '360', text: '6 hours' },
  { value: '1440', text: '1 day' },
  { value: '10080', text: '1 week' },
];
const fallback = '1440';

export const timelineView: View<TimelineAnswer> = {
  title: () => 'Timeline',
  refreshMs: 10_000,
  load({ token, route }, signal) {
    const wanted = route.query.get('minutes') ?? fallback;
    const minutes = spans.some(({ value }) => value === wanted) ? wanted : fallback;
    return ask(token, 'GET', 'timeline', { minutes }, signal);
  },
  render: ({ route }, data) => [
    choices('How far back', route, 'minutes', spans, fallback),
    ...(data === undefined ? [loading()] : parts(data)),
  ],
};

function parts(data: TimelineAnswer): readonly Child[] {
  return [
    section('incidents', 'Incidents', bars(data), incidents(data)),
    section('moments', 'Moments', moments(data)),
  ];
}

function bars({ bars: heights, fromMs, toMs, total }: TimelineAnswer): HTMLElement {
  const most = Math.max(1, ...heights);
  const drawn = heights.flatMap((height, at) => {
    // By its root: one thing beside ten thousand is still seen.
    const tall = height === 0 ? 0 : Math.max(1.5, Math.sqrt(height / most) * 20);
    return tall === 0
      ? []
      : [
          svg('rect', {
            key: `${at}`,
            class: 'fill-load',
            x: at,
            y: 20 - tall,
            width: 0.8,
            height: tall,
          }),
        ];
  });
  const name = `${plural(total, 'moment')} between ${instant(fromMs)} and ${instant(toMs)}`;
  return el(
    'figure',
    { class: 'spark' },
    svg(
      'svg',
      {
        viewBox: `0 0 ${heights.length} 20`,
        preserveAspectRatio: 'none',
        role: 'img',
        'aria-label': name,
      },
      ...drawn,
    ),
    el(
      'figcaption',
      { class: 'quiet' },
      el('span', {}, instant(fromMs)),
      el('span', {}, plural(total, 'moment')),
      el('span', {}, 'now'),
    ),
  );
}

const steps = ['detect', 'publish', 'apply', 'first event'] as const;

function incidents({ incidents: found }: TimelineAnswer): HTMLElement {
  if (found.length === 0) return empty('Nothing happened in this time.');
  const items = found.map(({ startedAtMs, after, allAppliedMs, moments: number }) =>
    el(
      'li',
      { key: `${startedAtMs}` },
      el(
        'h3',
        {},
        instant(startedAtMs),
        el('span', { class: 'quiet' }, ` · ${plural(number, 'moment')}`),
      ),
      el(
        'ol',
        { class: 'steps' },
        ...steps.map((step) =>
          stepItem(step, after[step], step === 'apply' ? allAppliedMs : undefined),
        ),
      ),
    ),
  );
  return el('ul', { class: 'incidents' }, ...items);
}

function stepItem(step: string, atMs: number | undefined, allMs: number | undefined): HTMLElement {
  const isSpread = allMs !== undefined && atMs !== undefined && allMs > atMs;
  const when = atMs === undefined ? 'not seen' : `+${duration(atMs)}`;
  return el(
    'li',
    { key: step, class: atMs === undefined ? 'later' : 'past' },
    el('strong', {}, step),
    el('span', {}, when),
    isSpread && el('span', { class: 'quiet' }, `all by +${duration(allMs)}`),
  );
}

function moments({ moments: found, total }: TimelineAnswer): HTMLElement {
  if (found.length === 0) return empty('Nothing was written down in this time.');
  const caption =
    total > found.length
      ? `The newest ${count(found.length)} of ${count(total)} moments`
      : 'Every moment, newest first';
  return table(
    caption,
    [
      { name: 'When', cell: ({ atMs }) => moment(atMs) },
      { name: 'Step', cell: ({ phase }) => (phase === undefined ? '—' : badge('plain', phase)) },
      { name: 'What', cell: ({ what }) => what },
    ],
    found.map((moment, at) => ({ ...moment, at })),
    ({ atMs, at, what }) => `${atMs}-${at}-${what.length}`,
  );
}

export function isOnTimeline({ route }: App): boolean {
  return route.name === 'timeline';
}
