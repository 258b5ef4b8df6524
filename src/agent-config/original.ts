/**
 * The way back on uninstall: the `<client>` and `<agent>` sections as they were before us, put
 * into the file as it is now; everything else in it stays.
 */
import { applyEdits, type Edit, inOrder } from './bytes-edit.ts';
import type { Dialect } from './dialect.ts';
import type { Element } from './element.ts';
import { eolNear, indentAt, removal, visibleEnd } from './layout.ts';
import { type ConfigReading, readConfig } from './servers.ts';
import { notEditable, UneditableError } from './uneditable.ts';

/** One connection section, its bytes exactly as they stood in the file. */
export interface OriginalSection {
  readonly name: 'client' | 'agent';
  readonly bytes: Uint8Array;
}

/** All `<client>` and `<agent>` sections in document order. Throws `AgentError('config_unparseable')`. */
export function extractClientSections(
  bytes: Uint8Array,
  dialect: Dialect,
): readonly OriginalSection[] {
  return sectionsOf(bytes, readLoadable(bytes, dialect)).map((element) => ({
    name: element.name === 'agent' ? 'agent' : 'client',
    bytes: bytes.slice(element.start, visibleEnd(bytes, element)),
  }));
}

/**
 * The current file with the original sections in place of its own, section by section; surplus
 * ones go, missing ones follow the last. The result was read again and loads the original servers.
 * Throws `AgentError`: `config_unparseable`, or `config_not_editable` when that cannot be reached.
 */
export function restoreClientSections(
  current: Uint8Array,
  originals: readonly OriginalSection[],
  dialect: Dialect,
): Buffer {
  const sections = sectionsOf(current, readLoadable(current, dialect));
  const last = sections.at(-1);
  if (last === undefined || originals.length === 0) {
    const said = 'there is no <client> or <agent> section to put back, or no place for it.';
    throw notEditable(current, { offset: 0, said, fix: 'restore the whole file from a backup' });
  }
  const after = applyEdits(current, inOrder(swaps(current, sections, originals, last)));
  const restored = readConfig(after, dialect);
  const found = restored.kind === 'refused' ? [] : extractClientSections(after, dialect);
  const isSame =
    found.length === originals.length &&
    originals.every(({ name, bytes }) =>
      found.some((section) => section.name === name && Buffer.compare(section.bytes, bytes) === 0),
    );
  if (isSame) return after;
  const said = 'the original section does not fit this file any more.';
  throw notEditable(current, {
    offset: last.start,
    said,
    fix: 'restore the whole file from a backup',
  });
}

function swaps(
  current: Uint8Array,
  sections: readonly Element[],
  originals: readonly OriginalSection[],
  last: Element,
): readonly Edit[] {
  const waiting = [...originals];
  const edits: Edit[] = sections.map((section) => {
    const index = waiting.findIndex(({ name }) => name === section.name);
    const [original] = index < 0 ? [] : waiting.splice(index, 1);
    if (original === undefined) return removal(current, section);
    return { start: section.start, end: visibleEnd(current, section), text: original.bytes };
  });
  const lead = eolNear(current, last.start) + (indentAt(current, last.start) ?? '');
  const end = visibleEnd(current, last);
  for (const { bytes } of waiting) {
    edits.push({ start: end, end, text: Buffer.concat([Buffer.from(lead, 'latin1'), bytes]) });
  }
  return edits;
}

function readLoadable(
  bytes: Uint8Array,
  dialect: Dialect,
): Exclude<ConfigReading, { readonly kind: 'refused' }> {
  const reading = readConfig(bytes, dialect);
  if (reading.kind === 'refused') throw new UneditableError('config_unparseable', reading.problem);
  return reading;
}

function sectionsOf(
  bytes: Uint8Array,
  reading: Exclude<ConfigReading, { readonly kind: 'refused' }>,
): readonly Element[] {
  const sections = reading.roots.flatMap(({ children }) =>
    children.filter(({ name }) => name === 'client' || name === 'agent'),
  );
  const stray = sections.find(({ inPlace }) => !inPlace);
  if (stray === undefined) return sections;
  const said = `<${stray.name}> stands inside <var>.`;
  throw notEditable(bytes, { offset: stray.start, said, fix: 'take it out of <var>' });
}
