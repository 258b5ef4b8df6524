/** Where commands print: human text or one JSON value, tables, a little colour. */

/** The process as commands see it; `*-main.ts` passes the real one, tests their own. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  readonly isTty: boolean;
  /** From the environment: `NO_COLOR` set to anything (no-color.org). */
  readonly noColor: boolean;
  /** Columns of the terminal, 80 when unknown. */
  readonly columns: number;
}

export type Cell = string | number | boolean | undefined;

/** Print `value` as one JSON document, or `human()` for people. */
export function show(terminal: Terminal, json: boolean, value: unknown, human: () => string): void {
  const text = json ? renderJson(value, 2) : human();
  terminal.out(text.endsWith('\n') ? text : `${text}\n`);
}

/** Rows under a header, columns as wide as their widest cell; numbers to the right. */
export function renderTable(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  if (rows.length === 0) return '(none)\n';
  const text = rows.map((row) =>
    row.map((cell) => printable(cell === undefined ? '-' : `${cell}`)),
  );
  const widths = header.map((name, column) =>
    Math.max(name.length, ...text.map((row) => row[column]?.length ?? 0)),
  );
  const isNumeric = header.map((_, column) => rows.every((row) => typeof row[column] === 'number'));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return isNumeric[column] ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return `${[line(header), ...text.map(line)].join('\n')}\n`;
}

/** Control characters, line separators, marks and overrides of direction. */
const obeyed = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/**
 * Text from elsewhere made safe for a terminal: control and bidirectional characters become
 * visible escapes, so that a hostile name can neither move the cursor nor reorder a line.
 */
export function printable(text: string): string {
  return text.replace(obeyed, escaped);
}

/** The same of several lines, whose ends and tabs stay. */
export function printableLines(text: string): string {
  return text.replace(new RegExp(`\\r?\\n|\\t|${obeyed.source}`, 'gu'), (found) =>
    /[\n\t]/.test(found) ? found : escaped(found),
  );
}

function escaped(character: string): string {
  return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
}

/** The same value to whoever parses it; JSON by itself leaves C1 controls to the terminal. */
export function renderJson(value: unknown, indent?: number): string {
  return printableLines(JSON.stringify(value, undefined, indent));
}

const codes = { red: 31, green: 32, yellow: 33, blue: 34, dim: 2, bold: 1 } as const;
export type Colour = keyof typeof codes;

export function paint(terminal: Terminal, colour: Colour, text: string): string {
  if (terminal.noColor || !terminal.isTty) return text;
  return `\u001b[${codes[colour]}m${text}\u001b[0m`;
}

/** `3d 4h`, `2 min 5 s`, `0.8 s`: a duration of `ms` milliseconds for people. */
export function renderDuration(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const hours = Math.floor(seconds / 3600);
  if (hours < 48) return `${hours} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
