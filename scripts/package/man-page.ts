/** A man page (section 1, groff man macros) of a program's command line. */
import type { Stamp } from './bundles.ts';
import type { CommandSurface, Surface } from './surface.ts';

export function renderManPage({ program, text, after, commands }: Surface, stamp: Stamp): string {
  const day = new Date(stamp.epoch * 1000).toISOString().slice(0, 10);
  return [
    `.TH ${program.toUpperCase()} 1 ${day} "${program} ${stamp.version}" "User Commands"`,
    '.SH NAME',
    `${roff(program)} \\- ${roff(text.replace(/\.$/, ''))}`,
    '.SH SYNOPSIS',
    `.B ${roff(program)}`,
    '.I COMMAND',
    '[options]',
    '.SH COMMANDS',
    ...commands.flatMap((command) => renderCommand(program, command)),
    '.SH NOTES',
    ...renderPlain(after),
    '',
  ].join('\n');
}

function renderCommand(program: string, { usage, text, flags, after }: CommandSurface) {
  return [
    '.SS',
    `${roff(program)} ${roff(usage)}`,
    roff(text),
    ...flags.flatMap(({ words, text: meaning }) => ['.TP', `.B ${roff(words)}`, roff(meaning)]),
    ...(after === '' ? [] : ['.PP', ...renderPlain(after)]),
  ];
}

/** Lines that stay as they are. */
function renderPlain(text: string): readonly string[] {
  return text === '' ? [] : ['.nf', ...text.split('\n').map(roff), '.fi'];
}

/** A dot or quote at the start of a line would be a request; a dash must stay a dash. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '...')
    .replace(/^([.'])/gm, '\\&$1');
}
