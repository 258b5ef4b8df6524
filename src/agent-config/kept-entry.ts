/** The few inner edits that make an entry we keep say what is wanted, everything else untouched. */
import type { Edit } from './bytes-edit.ts';
import { contentOf, type Element } from './element.ts';
import { eolNear, indentAt, removal, visibleEnd } from './layout.ts';
import { DEFAULT_MAX_RETRIES, DEFAULT_RETRY_INTERVAL_SEC, type LoadedServer } from './loaded.ts';
import { fieldsOf, type Style } from './render.ts';
import { toInt } from './values.ts';
import type { Target } from './wish.ts';

/** Edits inside `entry`, offsets of the file. The address is already right and keeps its spelling. */
export function keptEdits(
  bytes: Uint8Array,
  entry: LoadedServer,
  target: Target,
  style: Style,
): readonly Edit[] {
  const children = entry.element.children;
  const edits: Edit[] = [];
  for (const [name, value] of fieldsOf(target, style)) {
    const named = children.filter((child) => child.name === name);
    const last = named.at(-1);
    for (const shadowed of named.slice(0, -1)) {
      edits.push(removal(bytes, shadowed));
    }
    const isSettled = name === 'endpoint' && style.endpoint?.port === target.port;
    if (name === 'address' || isSettled) continue;
    if (last === undefined) edits.push(...missingChild(bytes, entry, name, value, style));
    else if (!says(contentOf(bytes, last), value)) edits.push(setContent(bytes, last, value));
  }
  return edits;
}

/** Numbers compare as numbers: `001514` is left as it is. */
function says(content: string, value: string): boolean {
  if (content === value) return true;
  return /^[0-9]+$/.test(content) && /^[0-9]+$/.test(value) && toInt(content) === toInt(value);
}

/** Replace an element's value; a self-closed element gets an opening and a closing tag. */
export function setContent(bytes: Uint8Array, element: Element, value: string): Edit {
  if (element.valueEnd !== element.end) {
    return { start: element.valueStart, end: element.valueEnd, text: Buffer.from(value, 'latin1') };
  }
  const text = Buffer.from(`<${element.name}>${value}</${element.name}>`, 'latin1');
  return { start: element.start, end: visibleEnd(bytes, element), text };
}

/** A child the entry does not have yet, behind its address; none when the default says the same. */
function missingChild(
  bytes: Uint8Array,
  entry: LoadedServer,
  name: string,
  value: string,
  style: Style,
): readonly Edit[] {
  if (value === defaultOf(name, style)) return [];
  const address = entry.element.children.findLast((child) => child.name === 'address');
  if (address === undefined) return [];
  const indent = indentAt(bytes, address.start);
  const lead = indent === undefined ? '' : eolNear(bytes, address.start) + indent;
  const at = visibleEnd(bytes, address);
  return [
    { start: at, end: at, text: Buffer.from(`${lead}<${name}>${value}</${name}>`, 'latin1') },
  ];
}

function defaultOf(name: string, style: Style): string | undefined {
  if (name === 'port') return style.dialect === '4' ? '1514' : '1517';
  if (name === 'protocol') return 'tcp';
  if (name === 'max_retries') return String(DEFAULT_MAX_RETRIES);
  return name === 'retry_interval' ? String(DEFAULT_RETRY_INTERVAL_SEC) : undefined;
}
