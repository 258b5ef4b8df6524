/** Agents away over time, and the load of every manager, as one SVG picture. */
import type { Outcome, Sample } from './outcome.ts';

const width = 1200;
const left = 80;
const panelHeight = 260;
const palette = [
  '#1b6ca8',
  '#c8553d',
  '#588157',
  '#8d5a97',
  '#b08900',
  '#3a7d7c',
  '#7a4419',
  '#444',
];

interface Line {
  readonly name: string;
  readonly color: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

interface Panel {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly endMs: number;
  readonly top: number;
}

/** `sampleMs` is the time between two samples. */
export function renderPlot({ samples, seed, doors }: Outcome, sampleMs: number): string {
  const endMs = samples.at(-1)?.atMs ?? 1;
  const managers = doors.map((_, number) => number);
  const lineOf = (name: string, number: number, value: (sample: Sample) => number): Line => ({
    name,
    color: palette[number % palette.length] ?? '#000',
    points: samples.map((sample) => ({ x: sample.atMs, y: value(sample) })),
  });
  const panels: readonly Panel[] = [
    { title: 'agents away', lines: [lineOf('away', 1, ({ away }) => away)], endMs, top: 40 },
    {
      title: 'agents on each manager',
      lines: managers.map((n) => lineOf(`m${n}`, n, ({ sessions }) => sessions[n] ?? 0)),
      endMs,
      top: 40 + panelHeight + 50,
    },
    {
      title: 'new sessions a second, by manager',
      lines: managers.map((n) =>
        lineOf(`m${n}`, n, ({ arrivals }) => ((arrivals[n] ?? 0) * 1000) / sampleMs),
      ),
      endMs,
      top: 40 + 2 * (panelHeight + 50),
    },
  ];
  const height = 40 + 3 * (panelHeight + 50);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${left}" y="20" font-size="15">Pilotfish simulation, seed ${seed}</text>`,
    ...panels.flatMap(renderPanel),
    '</svg>',
    '',
  ].join('\n');
}

function renderPanel({ title, lines, endMs, top }: Panel): readonly string[] {
  const highest = lines.reduce(
    (most, { points }) => points.reduce((high, { y }) => Math.max(high, y), most),
    1,
  );
  const innerWidth = width - left - 90;
  const x = (atMs: number): number => left + (atMs / endMs) * innerWidth;
  const y = (value: number): number => top + panelHeight - (value / highest) * (panelHeight - 20);
  const path = ({ points }: Line): string =>
    points.map((point) => `${x(point.x).toFixed(1)},${y(point.y).toFixed(1)}`).join(' ');
  const marks = [0, 0.25, 0.5, 0.75, 1];
  return [
    `<text x="${left}" y="${top + 12}" font-weight="bold">${title}</text>`,
    ...marks.flatMap((share) => [
      `<line x1="${left}" x2="${left + innerWidth}" y1="${y(highest * share)}" y2="${y(highest * share)}" stroke="#ddd"/>`,
      `<text x="${left - 6}" y="${y(highest * share) + 4}" text-anchor="end">${label(highest * share)}</text>`,
      `<text x="${x(endMs * share)}" y="${top + panelHeight + 16}" text-anchor="middle">${((endMs * share) / 3_600_000).toFixed(1)} h</text>`,
    ]),
    ...lines.map(
      (line) =>
        `<polyline fill="none" stroke="${line.color}" stroke-width="1.2" points="${path(line)}"/>`,
    ),
    ...lines.map(
      ({ name, color }, place) =>
        `<text x="${left + innerWidth + 10}" y="${top + 26 + place * 15}" fill="${color}">${name}</text>`,
    ),
  ];
}

function label(value: number): string {
  return value >= 10 ? String(Math.round(value)) : value.toFixed(1);
}
