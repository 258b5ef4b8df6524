/**
 * The last word before a candidate leaves this folder: it is read again with the agent's grammar
 * and must hold exactly the wanted list, every other element where it was, every other byte as it
 * was. A failure here is never returned as a candidate.
 */
import { expandIpv6, isLinkLocal, normalAddress } from './address.ts';
import { type Edit, editedSpans, onlyDiffersIn } from './bytes-edit.ts';
import type { Dialect } from './dialect.ts';
import type { Element } from './element.ts';
import { hasWantedList, listEntries, ownSections, type Readable } from './entries.ts';
import { type ConfigReading, readConfig } from './servers.ts';
import { notEditable } from './uneditable.ts';
import type { EditWish, Target } from './wish.ts';

export interface Candidate {
  readonly before: Uint8Array;
  readonly after: Uint8Array;
  readonly edits: readonly Edit[];
}

interface Expected {
  readonly dialect: Dialect;
  readonly reading: Readable;
  readonly targets: readonly Target[];
  readonly wish: EditWish;
}

/** Throws `AgentError('config_not_editable')` when the candidate is not exactly what was meant. */
export function prove(candidate: Candidate, expected: Expected): void {
  const { before, after, edits } = candidate;
  const again = readConfig(after, expected.dialect);
  const doubt = doubtOf(candidate, expected, again);
  if (doubt === undefined) return;
  throw notEditable(before, {
    offset: edits[0]?.start ?? 0,
    said: `the file loads, but an edit here would not be safe: ${doubt}`,
    fix: 'put every server entry on lines of its own, without stray text, backslashes or <var> around it',
  });
}

function doubtOf(
  { before, after, edits }: Candidate,
  { dialect, reading, targets, wish }: Expected,
  again: ConfigReading,
): string | undefined {
  if (again.kind === 'refused') return `the agent would say ${again.problem.said}`;
  if (again.kind !== 'starts') return 'no usable server would be left.';
  const entries = listEntries(after, again, dialect);
  if (!hasWantedList(again, entries, targets, dialect)) return 'another list would be loaded.';
  if (again.servers.every((server) => isLinkLocal(server.address) && server.interfaceIndex === 0)) {
    return 'link-local addresses alone need an interface_index (4114).';
  }
  if (!keepsScalars(reading, again, wish, dialect)) return 'another setting would change.';
  if (!onlyDiffersIn(before, after, edits)) return 'bytes outside the edits would change.';
  return keepsElements(reading, again, edits) ? undefined : 'other elements would change.';
}

function keepsScalars(
  reading: Readable,
  again: Readable,
  wish: EditWish,
  dialect: Dialect,
): boolean {
  const { notifyTime = reading.notifyTime, timeReconnect = reading.timeReconnect } =
    wish.tuning ?? {};
  // A 5.x file without <agent> has no place for tuning.
  const tunable = ownSections(again, dialect).length > 0;
  return (
    again.notifyTime === (tunable ? notifyTime : reading.notifyTime) &&
    (dialect === '5' || again.timeReconnect === timeReconnect) &&
    again.verification === reading.verification &&
    again.enrollment.enabled === reading.enrollment.enabled &&
    again.enrollment.port === reading.enrollment.port &&
    again.enrollment.managerAddress === expectedEnrollment(reading, wish, dialect)
  );
}

function expectedEnrollment(
  reading: Readable,
  wish: EditWish,
  dialect: Dialect,
): string | undefined {
  const { managerAddress } = reading.enrollment;
  const { gone, to } = wish.retargetEnrollment ?? { gone: [], to: '' };
  if (dialect === '5' || managerAddress === undefined) return managerAddress;
  const isGone = gone.map(normalAddress).includes(normalAddress(managerAddress));
  return isGone ? expandIpv6(to) : managerAddress;
}

interface Landmark {
  readonly name: string;
  readonly level: number;
  readonly start: number;
}

/** Every element outside the edited spans is still there, in the same order, at its shifted place. */
function keepsElements(before: Readable, after: Readable, edits: readonly Edit[]): boolean {
  const old = outside(landmarks(before.roots), edits);
  const now = outside(landmarks(after.roots), editedSpans(edits));
  if (old.length !== now.length) return false;
  const shiftAt = shifts(edits);
  return old.every((landmark, index) => {
    const same = now[index];
    if (same === undefined || same.name !== landmark.name || same.level !== landmark.level) {
      return false;
    }
    return same.start === landmark.start + shiftAt(landmark.start);
  });
}

function landmarks(elements: readonly Element[], found: Landmark[] = []): Landmark[] {
  for (const element of elements) {
    found.push(element);
    landmarks(element.children, found);
  }
  return found;
}

function outside(
  marks: readonly Landmark[],
  spans: readonly { readonly start: number; readonly end: number }[],
): readonly Landmark[] {
  let next = 0;
  return marks.filter(({ start }) => {
    while (next < spans.length && (spans[next]?.end ?? 0) <= start) next += 1;
    const span = spans[next];
    return span === undefined || start < span.start;
  });
}

/** How far an offset moves, for offsets asked in rising order. */
function shifts(edits: readonly Edit[]): (offset: number) => number {
  let next = 0;
  let shift = 0;
  return (offset) => {
    for (let edit = edits[next]; edit !== undefined && edit.end <= offset; edit = edits[next]) {
      shift += edit.text.length - (edit.end - edit.start);
      next += 1;
    }
    return shift;
  };
}
