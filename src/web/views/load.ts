/** Agents of every manager over time: the plot, and the same as a table. */
import uPlot from 'uplot';
import type { LoadAnswer } from '../../publisher/api/answers.ts';
import { ask } from '../api.ts';
import type { View } from '../app.ts';
import { type Child, el, table } from '../dom.ts';
import { count, dayTime, instant } from '../format.ts';
import { choices, empty, loading, section } from '../parts.ts';

const spans = [
  { value: '15', text: '15 minutes' },
  { value: '60', text: '1 hour' },
  { value: '360', text: '6 hours' },
  { value: '1440', text: '1 day' },
];
const fallback = '60';

interface Load extends LoadAnswer {
  readonly minutes: number;
}

export const loadView: View<Load> = {
  title: () => 'Load',
  refreshMs: 15_000,
  async load({ token, route }, signal) {
    const wanted = route.query.get('minutes') ?? fallback;
    const minutes = spans.some(({ value }) => value === wanted) ? wanted : fallback;
    const came = await ask<LoadAnswer>(token, 'GET', 'load', { minutes }, signal);
    return { ...came, minutes: Number(minutes) };
  },
  render: ({ route }, data) => [
    choices('How far back', route, 'minutes', spans, fallback),
    section(
      'load',
      'Agents per manager over time',
      ...(data === undefined ? [loading()] : parts(data)),
    ),
  ],
  drawn: draw,
};

function parts(data: LoadAnswer): readonly Child[] {
  if (data.times.length === 0) {
    return [empty('Nothing was counted yet.', 'Every half minute, since this publisher runs.')];
  }
  const rows = data.managers.map(({ id, agents }, at) => {
    const seen = agents.filter((one) => one !== null);
    return { id, at, last: seen.at(-1) ?? 0, least: Math.min(...seen), most: Math.max(...seen) };
  });
  return [
    el('div', { key: 'plot', id: 'plot', 'data-own': true, 'aria-hidden': 'true' }),
    table(
      `Agents per manager since ${instant(data.times[0] ?? 0)}`,
      [
        {
          name: 'Manager',
          cell: ({ id, at }) =>
            el(
              'span',
              {},
              el('span', { class: `swatch line-${at % colours}`, 'aria-hidden': 'true' }),
              ` ${id}`,
            ),
        },
        { name: 'Now', kind: 'number', cell: ({ last }) => count(last) },
        { name: 'Least', kind: 'number', cell: ({ least }) => count(least) },
        { name: 'Most', kind: 'number', cell: ({ most }) => count(most) },
      ],
      rows,
      ({ id }) => id,
    ),
  ];
}

const colours = 8;
const height = 300;

interface Drawn {
  readonly plot: uPlot;
  readonly key: string;
}

let drawn: Drawn | undefined;

/** One plot at a time; made anew where managers, width or colours changed. */
function draw(data: Load | undefined): void {
  const place = document.getElementById('plot');
  if (place === null || data === undefined || data.times.length === 0) {
    forget();
    return;
  }
  const width = Math.max(240, place.clientWidth);
  const style = getComputedStyle(document.documentElement);
  const ids = data.managers.map(({ id }) => id);
  const key = JSON.stringify([ids, width, data.minutes, style.getPropertyValue('--ink')]);
  const values: uPlot.AlignedData = [
    data.times.map((ms) => ms / 1_000),
    ...data.managers.map(({ agents }) => agents),
  ];
  if (drawn?.key === key && place.contains(drawn.plot.root)) {
    drawn.plot.setData(values);
    return;
  }
  forget();
  drawn = { plot: new uPlot(optionsOf(ids, width, style, data.minutes), values, place), key };
}

function forget(): void {
  drawn?.plot.destroy();
  drawn = undefined;
}

function optionsOf(
  ids: readonly string[],
  width: number,
  style: CSSStyleDeclaration,
  minutes: number,
): uPlot.Options {
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour('--quiet'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1 },
    font: '12px system-ui, sans-serif',
  };
  return {
    ...{ width, height },
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    scales: {
      // Up to now, however little was counted yet.
      x: { range: (_plot, _from, to) => [(to ?? 0) - minutes * 60, to ?? 0] },
      y: { range: (_plot, _least, most) => [0, Math.max(1, (most ?? 1) * 1.1)] },
    },
    axes: [
      { ...axis, values: (_plot, ticks) => ticks.map((one) => dayTime(one * 1_000)) },
      { ...axis, size: 64, values: (_plot, ticks) => ticks.map((one) => count(one)) },
    ],
    series: [
      {},
      ...ids.map((id, at) => ({
        label: id,
        stroke: colour(`--line-${at % colours}`),
        width: 2,
        // The same colour comes again with dashes.
        ...(at >= colours ? { dash: [6, 4] } : {}),
        spanGaps: false,
      })),
    ],
  };
}
