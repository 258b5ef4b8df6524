/** `doctor` of both programs: one line a finding, worst first, each with what to do. */
import { exitOfFindings, type Finding, type Level, worstFirst } from '../diagnosis/finding.ts';
import type { Outcome } from './run-command.ts';
import { type Colour, paint, printable, show, type Terminal } from './terminal.ts';

const marks: Readonly<Record<Level, { readonly word: string; readonly colour: Colour }>> = {
  fail: { word: 'FAIL', colour: 'red' },
  warn: { word: 'WARN', colour: 'yellow' },
  skip: { word: 'skip', colour: 'dim' },
  ok: { word: 'ok', colour: 'green' },
};

export const doctorHelp = `
Worst first; every finding says what to do. Changes nothing.
Exit codes: 0 all well, 1 something is broken, 3 something should be mended before it breaks.
`;

export interface DoctorFlags {
  readonly json: boolean;
  readonly quiet: boolean;
}

export function showFindings(
  parts: { readonly terminal: Terminal; readonly outcome: Outcome },
  flags: DoctorFlags,
  findings: readonly Finding[],
): void {
  const { terminal, outcome } = parts;
  outcome.exit = exitOfFindings(findings);
  const told = worstFirst(findings);
  const shown = flags.quiet ? told.filter(({ level }) => level !== 'ok') : told;
  const counts = countsOf(findings);
  show(terminal, flags.json, { counts, findings: told }, () => textOf(terminal, shown, counts));
}

type Counts = Readonly<Record<Level, number>>;

function countsOf(findings: readonly Finding[]): Counts {
  const count = (level: Level): number => findings.filter((one) => one.level === level).length;
  return { fail: count('fail'), warn: count('warn'), skip: count('skip'), ok: count('ok') };
}

function textOf(terminal: Terminal, findings: readonly Finding[], counts: Counts): string {
  const width = Math.max(0, ...findings.map(({ check }) => Math.min(check.length, 40)));
  const lines = findings.flatMap(({ check, level, text, fix }) => {
    const { word, colour } = marks[level];
    const head = `${paint(terminal, colour, word.padEnd(4))}  ${printable(check).padEnd(width)}`;
    const line = `${head}  ${printable(text)}`;
    return fix === undefined ? [line] : [line, `      what to do: ${printable(fix)}`];
  });
  const { fail, warn, skip, ok } = counts;
  return [...lines, `${fail} broken, ${warn} to mend, ${ok} well, ${skip} not looked at`].join(
    '\n',
  );
}
