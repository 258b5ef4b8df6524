/** Reading a file's own style around a place: end of line, indentation, what shares the line. */
import type { Edit } from './bytes-edit.ts';
import type { Element } from './element.ts';
import { latin1, SLASH } from './element.ts';

const LF = 0x0a;
const CR = 0x0d;
const TAB = 0x09;
const SPACE = 0x20;
const BACKSLASH = 0x5c;
const LESS = 0x3c;
const GREATER = 0x3e;
const DEFAULT_UNIT = '  ';

const nothing = Buffer.alloc(0);
const blank = Buffer.from(' ');

export interface Layout {
  readonly eol: string;
  /** Indentation of an entry, and of its children. */
  readonly indent: string;
  readonly childIndent: string;
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}

function isEol(byte: number | undefined): boolean {
  return byte === LF || byte === CR;
}

/** Start of the blanks right before `offset`. */
function blanksBefore(bytes: Uint8Array, offset: number): number {
  let at = offset;
  while (at > 0 && isBlank(bytes[at - 1])) at -= 1;
  return at;
}

/** The blanks that indent `offset`, undefined when something else stands before it on its line. */
export function indentAt(bytes: Uint8Array, offset: number): string | undefined {
  const start = blanksBefore(bytes, offset);
  if (start > 0 && !isEol(bytes[start - 1])) return undefined;
  return latin1(bytes, start, offset);
}

/** Whether nothing but blanks follows `offset` on its line. */
export function endsLine(bytes: Uint8Array, offset: number): boolean {
  let at = offset;
  while (isBlank(bytes[at])) at += 1;
  return at >= bytes.length || isEol(bytes[at]);
}

/** End of line as the neighbouring lines have it: the one before `offset`, else the next one. */
export function eolNear(bytes: Uint8Array, offset: number): string {
  for (let at = offset - 1; at >= 0; at -= 1) {
    if (bytes[at] === LF) return at > 0 && bytes[at - 1] === CR ? '\r\n' : '\n';
    if (bytes[at] === CR) return '\r';
  }
  for (let at = offset; at < bytes.length; at += 1) {
    if (bytes[at] === LF) return '\n';
    if (bytes[at] === CR) return bytes[at + 1] === LF ? '\r\n' : '\r';
  }
  return '\n';
}

/** Style of the entries of a section, taken from `model` when there is one. */
export function layoutOf(bytes: Uint8Array, section: Element, model: Element | undefined): Layout {
  const outer = indentAt(bytes, section.start) ?? '';
  const sibling = section.children.find((child) => indentAt(bytes, child.start) !== undefined);
  const siblingIndent = sibling === undefined ? undefined : indentAt(bytes, sibling.start);
  const own = model === undefined ? undefined : indentAt(bytes, model.start);
  const indent = own ?? siblingIndent ?? outer + unitOf(outer);
  const unit =
    indent.startsWith(outer) && indent !== outer ? indent.slice(outer.length) : unitOf(indent);
  const child = model?.children.find(({ start }) => indentAt(bytes, start) !== undefined);
  const childIndent = child === undefined ? indent + unit : indentAt(bytes, child.start);
  const eol = eolNear(bytes, model?.start ?? section.start);
  return { eol, indent, childIndent: childIndent ?? indent + unit };
}

function unitOf(indent: string): string {
  return indent.includes('\t') ? '\t' : DEFAULT_UNIT;
}

/** End of an element as people see it: `<x />` includes the `>`, which is text to the agent. */
export function visibleEnd(bytes: Uint8Array, element: Element): number {
  const slashEnded = bytes[element.end - 1] === SLASH && bytes[element.end] === GREATER;
  return slashEnded ? element.end + 1 : element.end;
}

/** Takes an element out: itself, its leading blanks and one end of line. */
export function removal(bytes: Uint8Array, element: Element): Edit {
  const end = visibleEnd(bytes, element);
  const start = eolBefore(bytes, blanksBefore(bytes, element.start));
  const before = bytes[start - 1];
  // A backslash or an escaped < must not get a new right neighbour, least of all one that makes
  // a comment of it.
  if (before !== BACKSLASH && before !== LESS) return { start, end, text: nothing };
  const joins = start === element.start && before === LESS;
  return { start: element.start, end, text: joins ? blank : nothing };
}

function eolBefore(bytes: Uint8Array, offset: number): number {
  const last = bytes[offset - 1];
  if (last === CR) return offset - 1;
  if (last !== LF) return offset;
  return bytes[offset - 2] === CR ? offset - 2 : offset - 1;
}
