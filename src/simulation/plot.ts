/** Agents away over time, and the load of every manager, as one SVG picture. */
import type { Outcome, Sample } from './outcome.ts';

const width = 1200;
const left = 80;
const right = 110;
const innerWidth = width - left - right;
const panelHeight = 240;
const panelGap = 56;
const firstTop = 70;
const labelHeight = 14;
/** Told apart on white, also by those who see no red; beyond eight the lines are dashed. */
const palette = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#b08900',
  '#56b4e9',
  '#7a4419',
  '#444444',
];

interface Line {
  readonly name: string;
  readonly color: string;
  readonly isDashed: boolean;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

interface Panel {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly endMs: number;
  readonly top: number;
  /** A level to be seen beside the lines. */
  readonly level?: { readonly value: number; readonly name: string };
}

/** `sampleMs` is the time between two samples; `acceptRate`: sessions a second of one manager. */
export function renderPlot(outcome: Outcome, sampleMs: number, acceptRate?: number): string {
  const { samples, seed, doors, faults, stats } = outcome;
  const endMs = samples.at(-1)?.atMs ?? 1;
  const managers = doors.map((_, number) => number);
  const lineOf = (name: string, number: number, value: (sample: Sample) => number): Line => ({
    name,
    color: palette[number % palette.length] ?? '#000',
    isDashed: number >= palette.length,
    points: samples.map((sample) => ({ x: sample.atMs, y: value(sample) })),
  });
  const sessions = (n: number): Line => lineOf(`m${n}`, n, (sample) => sample.sessions[n] ?? 0);
  const arrivals = (n: number): Line =>
    lineOf(`m${n}`, n, (sample) => ((sample.arrivals[n] ?? 0) * 1000) / sampleMs);
  const top = (place: number): number => firstTop + place * (panelHeight + panelGap);
  const level = acceptRate === undefined ? {} : { level: { value: acceptRate, name: 'admits' } };
  const panels: readonly Panel[] = [
    { title: 'Agents away', lines: [lineOf('away', 1, ({ away }) => away)], endMs, top: top(0) },
    { title: 'Agents on each manager', lines: managers.map(sessions), endMs, top: top(1) },
    { title: 'New sessions a second', lines: managers.map(arrivals), endMs, top: top(2), ...level },
  ];
  const told = `${faults.length} faults (grey), ${stats.failovers} failovers, at most ${stats.maxAway} agents away at once`;
  const height = top(3);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12" fill="#222">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${left}" y="24" font-size="17">Pilotfish simulation, seed ${seed}</text>`,
    `<text x="${left}" y="43" fill="#666">${told}</text>`,
    ...panels.flatMap((panel) => [...renderFaults(outcome, panel), ...renderPanel(panel)]),
    '</svg>',
    '',
  ].join('\n');
}

/** When something was wrong: a band for each fault, at least as wide as a hair. */
function renderFaults({ faults }: Outcome, { endMs, top }: Panel): readonly string[] {
  return faults.map(({ kind, atMs, durationMs }) => {
    const x = left + (Math.min(atMs, endMs) / endMs) * innerWidth;
    const wide = Math.max(1, (Math.min(durationMs, endMs - atMs) / endMs) * innerWidth);
    const at = `x="${x.toFixed(1)}" y="${top + 20}" width="${wide.toFixed(1)}"`;
    return `<rect ${at} height="${panelHeight - 20}" fill="#000" opacity="0.07"><title>${kind}</title></rect>`;
  });
}

function renderPanel({ title, lines, endMs, top, level }: Panel): readonly string[] {
  const highest = lines.reduce(
    (most, { points }) => points.reduce((high, { y }) => Math.max(high, y), most),
    level?.value ?? 1,
  );
  const stepY = niceStep(highest, 5);
  const peak = Math.ceil(highest / stepY) * stepY;
  const x = (atMs: number): number => left + (atMs / endMs) * innerWidth;
  const y = (value: number): number => top + panelHeight - (value / peak) * (panelHeight - 20);
  const path = ({ points }: Line): string =>
    points.map((point) => `${x(point.x).toFixed(1)},${y(point.y).toFixed(1)}`).join(' ');
  const hours = endMs / 3_600_000;
  return [
    `<text x="${left}" y="${top + 6}" font-weight="bold">${title}</text>`,
    ...ticks(peak, stepY).flatMap((value) => [
      `<line x1="${left}" x2="${left + innerWidth}" y1="${y(value)}" y2="${y(value)}" stroke="${value === 0 ? '#888' : '#e4e4e4'}"/>`,
      `<text x="${left - 8}" y="${y(value) + 4}" text-anchor="end" fill="#666">${label(value)}</text>`,
    ]),
    ...ticks(hours, niceStep(hours, 8)).map(
      (hour) =>
        `<text x="${x(hour * 3_600_000)}" y="${top + panelHeight + 17}" text-anchor="middle" fill="#666">${label(hour)} h</text>`,
    ),
    ...(level === undefined ? [] : renderLevel(level, y(level.value))),
    ...lines.map(
      (line) =>
        `<polyline fill="none" stroke="${line.color}" stroke-width="1.4"${dashOf(line)} points="${path(line)}"/>`,
    ),
    ...renderNames(lines, y),
  ];
}

function renderLevel({ name }: { readonly name: string }, y: number): readonly string[] {
  return [
    `<line x1="${left}" x2="${left + innerWidth}" y1="${y}" y2="${y}" stroke="#888" stroke-dasharray="2 4"/>`,
    `<text x="${left + innerWidth - 6}" y="${y + 14}" text-anchor="end" fill="#666">what one manager ${name}</text>`,
  ];
}

/** Beside the end of each line, moved apart where lines end together. */
function renderNames(lines: readonly Line[], y: (value: number) => number): readonly string[] {
  const placed = lines
    .map((line) => ({ line, last: line.points.at(-1)?.y ?? 0 }))
    .sort((one, other) => other.last - one.last);
  const lowest = y(0) + 4 - (placed.length - 1) * labelHeight;
  let next = Number.NEGATIVE_INFINITY;
  return placed.map(({ line, last }, place) => {
    const at = Math.max(next, Math.min(y(last) + 4, lowest + place * labelHeight));
    next = at + labelHeight;
    return `<text x="${left + innerWidth + 10}" y="${at.toFixed(1)}" fill="${line.color}">${line.name}  ${label(last)}</text>`;
  });
}

function dashOf({ isDashed }: Line): string {
  return isDashed ? ' stroke-dasharray="5 3"' : '';
}

/** 1, 2 or 5 times a power of ten. */
function niceStep(highest: number, count: number): number {
  const rough = highest / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
}

function ticks(highest: number, step: number): readonly number[] {
  return Array.from({ length: Math.floor(highest / step + 1e-9) + 1 }, (_, place) => place * step);
}

function label(value: number): string {
  return String(Number(value.toPrecision(4)));
}
