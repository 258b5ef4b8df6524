/**
 * `npm run bench -- NAME [--json]`: side-by-side measurements. Each bench is a file in
 * `scripts/benches/` that exports `bench`. With --json one object {bench, host, rows}.
 */
import { readdirSync } from 'node:fs';
import { arch, availableParallelism, platform, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';

/** One figure: what was measured (`subject`), under which `case`, over `n` runs. */
export interface Row {
  readonly subject: string;
  readonly case: string;
  readonly metric: string;
  readonly unit: string;
  readonly n: number;
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface Bench {
  readonly name: string;
  readonly summary: string;
  run(args: readonly string[], note: (line: string) => void): Promise<readonly Row[]>;
  /** A table of its own for people; one line a row when absent. */
  render?(rows: readonly Row[]): string;
}

/** Collapse samples of one figure into a row. */
export function rowOf(
  labels: Pick<Row, 'subject' | 'case' | 'metric' | 'unit'>,
  samples: readonly number[],
): Row {
  const sorted = [...samples].sort((left, right) => left - right);
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  const median = (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2;
  return { ...labels, n: sorted.length, median, min: at(0), max: at(sorted.length - 1) };
}

export function digits(value: number): string {
  if (!Number.isFinite(value)) return '-';
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function renderRows(rows: readonly Row[]): string {
  const header = ['subject', 'case', 'metric', 'unit', 'n', 'median', 'min', 'max'];
  const cells = rows.map((row) => [
    row.subject,
    row.case,
    row.metric,
    row.unit,
    String(row.n),
    ...[row.median, row.min, row.max].map(digits),
  ]);
  return alignColumns([header, ...cells], 4);
}

/** Lines of cells as text; so many first columns hold words, the others figures. */
export function alignColumns(lines: readonly (readonly string[])[], words: number): string {
  const [header = []] = lines;
  const widths = header.map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  const line = (parts: readonly string[]): string =>
    parts
      .map((part, column) =>
        column < words ? part.padEnd(widths[column] ?? 0) : part.padStart(widths[column] ?? 0),
      )
      .join('  ');
  return `${lines.map(line).join('\n')}\n`;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
    allowPositionals: true,
    strict: false,
  });
  const names = readdirSync(new URL('./benches/', import.meta.url))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -3));
  const name = positionals[0];
  if (name === undefined || values.help === true || !names.includes(name)) {
    process.stderr.write(`usage: npm run bench -- NAME [--json]\nbenches: ${names.join(', ')}\n`);
    return values.help === true ? 0 : 2;
  }
  const loaded = (await import(`./benches/${name}.ts`)) as { readonly bench: Bench };
  const rest = process.argv.slice(2).filter((arg) => arg !== name && arg !== '--json');
  const rows = await loaded.bench.run(rest, (line) => void process.stderr.write(`${line}\n`));
  const host = {
    os: `${platform()} ${release()}`,
    arch: arch(),
    cpus: availableParallelism(),
    memoryMb: Math.round(totalmem() / 2 ** 20),
    node: process.version,
  };
  const render = loaded.bench.render ?? renderRows;
  process.stdout.write(
    values.json === true ? `${JSON.stringify({ bench: name, host, rows })}\n` : render(rows),
  );
  return 0;
}

// No top-level await: a bench imports this module, and would wait for it for ever.
if (import.meta.main) {
  main().then(
    (code) => {
      process.exitCode = code;
    },
    (thrown: unknown) => {
      process.stderr.write(`${thrown instanceof Error ? thrown.stack : String(thrown)}\n`);
      process.exitCode = 1;
    },
  );
}
