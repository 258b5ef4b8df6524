/**
 * The edits that turn the entries of a file into the wanted list (agent-side.md 8.1, 3 to 7):
 * kept entries are moved as whole spans, new ones written in the style of the first, the rest
 * removed; a block that would be left without an element goes as a whole, since an empty one is
 * fatal.
 */
import { applyEdits, type Edit, inOrder } from './bytes-edit.ts';
import type { Dialect } from './dialect.ts';
import { contentOf, type Element, latin1 } from './element.ts';
import { parseEndpoint } from './endpoint.ts';
import { matchEntries, ownSections, type Readable } from './entries.ts';
import { keptEdits } from './kept-entry.ts';
import { endsLine, indentAt, type Layout, layoutOf, removal } from './layout.ts';
import type { LoadedServer } from './loaded.ts';
import { type Placement, place } from './placement.ts';
import { renderServer, type Style } from './render.ts';
import type { Target } from './wish.ts';

export interface ListTask {
  readonly bytes: Uint8Array;
  readonly dialect: Dialect;
  readonly reading: Readable;
  readonly entries: readonly LoadedServer[];
  readonly targets: readonly Target[];
  /** Seconds; only for a block that has to be made. */
  readonly notifyTime: number | undefined;
}

/** Edits in the order of the file. There is at least one entry. */
export function listEdits(task: ListTask): readonly Edit[] {
  const { entries, targets, dialect } = task;
  const kept = matchEntries(entries, targets, dialect);
  const home = homeOf(task, kept);
  const slots = [...entries.keys()].filter((index) => isSlot(task, index, home));
  const model = slots.map((slot) => entries[slot]).find(isBlock) ?? entries[slots[0] ?? -1];
  const section = entries[home]?.section;
  if (section === undefined) return [];
  const layout = layoutOf(task.bytes, section, model?.element);
  const writer: Writer = { task, kept, slots, layout, style: styleOf(task, entries[home]) };
  const placements = place(slots.length, slotsKept(task, kept, slots));
  const gone = goneElements(task, slots, placements);
  const edits = [
    ...placements.flatMap((placement) => placementEdits(writer, placement)),
    ...removals(task, gone),
  ];
  return withoutBlankLines(task.bytes, inOrder(edits), layout);
}

/** Two new entries side by side on one line would both bring the line break between them. */
function withoutBlankLines(
  bytes: Uint8Array,
  edits: readonly Edit[],
  { eol, indent }: Layout,
): readonly Edit[] {
  const line = eol + indent;
  return edits.map((edit, index) => {
    const next = edits[index + 1];
    const content = Buffer.from(edit.text);
    const isDouble =
      next !== undefined &&
      Buffer.from(next.text).indexOf(line) === 0 &&
      content.length > line.length &&
      content.lastIndexOf(line) === content.length - line.length &&
      /^[ \t]*$/.test(latin1(bytes, edit.end, next.start));
    return isDouble ? { ...edit, text: content.subarray(0, -line.length) } : edit;
  });
}

/** A `<server>` or `<manager>` block rather than a deprecated single element. */
function isBlock(entry: LoadedServer | undefined): boolean {
  return entry !== undefined && entry.element.children.length > 0;
}

/** The entry whose section takes the list: 4.x the first one, 5.x the kept, effective or last one. */
function homeOf(
  task: Pick<ListTask, 'dialect' | 'reading' | 'entries'>,
  kept: readonly (number | undefined)[],
): number {
  if (task.dialect === '4') return 0;
  const effective = task.reading.servers[0]?.element;
  const index = task.entries.findIndex(({ element }) => element === effective);
  return kept[0] ?? (index < 0 ? task.entries.length - 1 : index); // a <client> may be effective
}

/** The section that holds the list after the edit; undefined while there is no entry. */
export function homeSection(
  task: Pick<ListTask, 'dialect' | 'reading' | 'entries' | 'targets'>,
): Element | undefined {
  const { entries, targets, dialect } = task;
  return entries[homeOf(task, matchEntries(entries, targets, dialect))]?.section;
}

function isSlot(task: ListTask, index: number, home: number): boolean {
  if (task.dialect === '5') return index === home;
  return task.entries[index]?.section === task.entries[home]?.section;
}

/** For each target the slot of the entry it keeps, undefined when that lies elsewhere. */
function slotsKept(
  task: ListTask,
  kept: readonly (number | undefined)[],
  slots: readonly number[],
): readonly (number | undefined)[] {
  return task.targets.map((_, index) => {
    const slot = slots.indexOf(kept[index] ?? -1);
    return slot < 0 ? undefined : slot;
  });
}

interface Writer {
  readonly task: ListTask;
  /** For each target the index of the entry it keeps. */
  readonly kept: readonly (number | undefined)[];
  /** Indexes of the entries whose places the list takes. */
  readonly slots: readonly number[];
  readonly layout: Layout;
  readonly style: Style;
}

function styleOf(task: ListTask, model: LoadedServer | undefined): Style {
  const { dialect, bytes } = task;
  const children = model?.element.children ?? [];
  const endpoint = children.findLast((child) => child.name === 'endpoint');
  const isEndpoint = model?.form === 'endpoint' && endpoint !== undefined;
  return {
    dialect,
    tag: model?.element.name === 'manager' ? 'manager' : 'server',
    endpoint: isEndpoint ? parseEndpoint(contentOf(bytes, endpoint), endpoint.start) : undefined,
    order: children.map((child) => child.name),
  };
}

/** Entries and deprecated block settings that no longer belong, each with its section. */
function goneElements(
  task: ListTask,
  slots: readonly number[],
  placements: readonly Placement[],
): ReadonlyMap<Element, ReadonlySet<Element>> {
  const removed = new Set(
    placements.flatMap((placement) => (placement.kind === 'remove' ? [slots[placement.slot]] : [])),
  );
  const taken = new Set(slots);
  const gone = new Map<Element, Set<Element>>();
  const converted = new Set<Element>();
  for (const [index, { section, element, form }] of task.entries.entries()) {
    const here = gone.get(section) ?? new Set();
    gone.set(section, here);
    if (removed.has(index) || !taken.has(index)) here.add(element);
    if (form === 'server-ip' || form === 'server-hostname') converted.add(section);
  }
  for (const section of task.dialect === '4' ? converted : []) {
    const settings = section.children.filter(({ name }) => name === 'port' || name === 'protocol');
    for (const setting of settings) gone.get(section)?.add(setting);
  }
  return gone;
}

function removals(
  task: ListTask,
  gone: ReadonlyMap<Element, ReadonlySet<Element>>,
): readonly Edit[] {
  return [...gone].flatMap(([section, elements]) => {
    const left = section.children.length - elements.size;
    const targets = left === 0 ? [section] : [...elements];
    return targets.map((element) => removal(task.bytes, element));
  });
}

function placementEdits(writer: Writer, placement: Placement): readonly Edit[] {
  const { task, slots, layout } = writer;
  const entry = task.entries[slots[placement.slot] ?? -1];
  if (entry === undefined || placement.kind === 'remove') return [];
  const { start, end } = entry.element;
  const line = layout.eol + layout.indent;
  if (placement.kind === 'before') {
    const lead = indentAt(task.bytes, start) === undefined ? line : '';
    const items = placement.insert.map((target) => itemText(writer, target) + line);
    return [{ start, end: start, text: text(lead + items.join('')) }];
  }
  if (placement.kind === 'stay') return stayEdits(writer, placement, entry);
  const items = placement.by.map((target) => itemText(writer, target));
  const isNew = placement.by.some((target) => writer.kept[target] === undefined);
  const lead = isNew && indentAt(task.bytes, start) === undefined ? line : '';
  const tail = isNew && !endsLine(task.bytes, end) ? line : '';
  return [{ start, end, text: text(lead + items.join(line) + tail) }];
}

function stayEdits(
  writer: Writer,
  placement: Extract<Placement, { readonly kind: 'stay' }>,
  entry: LoadedServer,
): readonly Edit[] {
  const { task, kept, slots, layout } = writer;
  const index = slots[placement.slot];
  const target = task.targets[kept.indexOf(index)];
  const inner = target === undefined ? [] : innerEdits(writer, entry, target);
  if (placement.after.length === 0) return inner;
  const line = layout.eol + layout.indent;
  const at = entry.element.end;
  const tail = endsLine(task.bytes, at) ? '' : line;
  const items = placement.after.map((wanted) => line + itemText(writer, wanted));
  return [...inner, { start: at, end: at, text: text(items.join('') + tail) }];
}

/** A kept entry's bytes with its inner edits, or a freshly rendered one. */
function itemText(writer: Writer, index: number): string {
  const { task, kept, layout, style } = writer;
  const target = task.targets[index];
  if (target === undefined) return '';
  const entry = task.entries[kept[index] ?? -1];
  if (entry === undefined) return renderServer(target, layout, style);
  const { start, end } = entry.element;
  const inner = inOrder(innerEdits(writer, entry, target)).map((edit) => {
    return { ...edit, start: edit.start - start, end: edit.end - start };
  });
  return applyEdits(task.bytes.subarray(start, end), inner).toString('latin1');
}

function innerEdits(writer: Writer, entry: LoadedServer, target: Target): readonly Edit[] {
  return keptEdits(writer.task.bytes, entry, target, styleOf(writer.task, entry));
}

function text(content: string): Buffer {
  return Buffer.from(content, 'latin1');
}

/** 5.x without an entry: into the first `<agent>`, else a new block behind the 4.x `<client>`. */
export function firstEntryEdits(task: ListTask): readonly Edit[] {
  const [target] = task.targets;
  const [agent] = ownSections(task.reading, task.dialect);
  const client = task.reading.servers[0]?.section;
  const style = styleOf(task, undefined);
  if (target === undefined) return [];
  if (agent !== undefined) {
    const layout = layoutOf(task.bytes, agent, undefined);
    const tail = endsLine(task.bytes, agent.openEnd) ? '' : layout.eol + layout.indent;
    const block = layout.eol + layout.indent + renderServer(target, layout, style);
    return [{ start: agent.openEnd, end: agent.openEnd, text: text(block + tail) }];
  }
  if (client === undefined) return [];
  const layout = layoutOf(task.bytes, client, task.reading.servers[0]?.element);
  const outer = layout.eol + (indentAt(task.bytes, client.start) ?? '');
  const server = layout.eol + layout.indent + renderServer(target, layout, style);
  const tail = endsLine(task.bytes, client.end) ? '' : outer;
  const { notifyTime } = task;
  const notify =
    notifyTime === undefined
      ? ''
      : `${layout.eol}${layout.indent}<notify_time>${notifyTime}</notify_time>`;
  const block = `${outer}<agent>${server}${notify}${outer}</agent>${tail}`;
  return [{ start: client.end, end: client.end, text: text(block) }];
}
