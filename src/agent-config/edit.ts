/**
 * The edit of an agent's ossec.conf (agent-side.md 8.1): spans of the original are replaced, every
 * other byte stays. Idempotent, pure; a file the agent could not load is left alone, except one
 * that only lacks real addresses.
 */
import { isLiteral, normalAddress } from './address.ts';
import { applyEdits, type Edit, inOrder } from './bytes-edit.ts';
import type { Dialect } from './dialect.ts';
import type { Element } from './element.ts';
import { hasWantedList, listEntries, type Readable } from './entries.ts';
import { firstEntryEdits, listEdits } from './list-edits.ts';
import type { LoadedServer } from './loaded.ts';
import { prove } from './proof.ts';
import { enrollmentEdits, tuningEdits } from './scalar-edits.ts';
import { readConfig } from './servers.ts';
import { notEditable, UneditableError } from './uneditable.ts';
import { type EditWish, settle, type Target } from './wish.ts';

export type { Edit } from './bytes-edit.ts';
export type { EditWish, Tuning, WantedServer } from './wish.ts';

export type EditPlan =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'changed'; readonly bytes: Buffer; readonly edits: readonly Edit[] };

/**
 * What the file must look like for the agent to load the wished list.
 * Throws `UneditableError` (an `AgentError`): `config_unparseable` when the agent could not load
 * the file, `config_not_editable` when it could but an edit would not be safe; `ConfigError` when
 * the wish itself is out of bounds.
 */
export function planEdit(bytes: Uint8Array, dialect: Dialect, wish: EditWish): EditPlan {
  const settled = settle(wish);
  const targets = dialect === '4' ? settled : settled.slice(0, 1);
  const reading = readEditable(bytes, dialect);
  refuseUncovered(bytes, reading, targets, wish);
  const entries = listEntries(bytes, reading, dialect);
  const edits = inOrder(collectEdits({ bytes, dialect, reading, entries, targets, wish }));
  if (edits.length === 0 && hasWantedList(reading, entries, targets, dialect)) {
    return { kind: 'unchanged' };
  }
  const after = applyEdits(bytes, edits);
  prove({ before: bytes, after, edits }, { dialect, reading, targets, wish });
  return { kind: 'changed', bytes: after, edits };
}

interface Task {
  readonly bytes: Uint8Array;
  readonly dialect: Dialect;
  readonly reading: Readable;
  readonly entries: readonly LoadedServer[];
  readonly targets: readonly Target[];
  readonly wish: EditWish;
}

function collectEdits(task: Task): readonly Edit[] {
  const { reading, entries, targets, dialect, wish } = task;
  const listTask = { ...task, notifyTime: wish.tuning?.notifyTime };
  const isWanted = hasWantedList(reading, entries, targets, dialect);
  const write = entries.length === 0 ? firstEntryEdits : listEdits;
  return [
    ...(isWanted ? [] : write(listTask)),
    ...tuningEdits(task, wish.tuning ?? {}),
    ...(wish.retargetEnrollment === undefined
      ? []
      : enrollmentEdits(task, wish.retargetEnrollment)),
  ];
}

function readEditable(bytes: Uint8Array, dialect: Dialect): Readable {
  const nul = bytes.indexOf(0);
  const reading = readConfig(bytes, dialect);
  if (reading.kind === 'refused' || reading.kind === 'no_server') {
    throw new UneditableError('config_unparseable', reading.problem);
  }
  if (nul >= 0) {
    throw notEditable(bytes, {
      offset: nul,
      said: 'a NUL byte stands here; the agent would silently cut the value.',
      fix: 'the file is damaged: restore it from a backup, or remove the NUL bytes',
      ruleNumber: 73,
    });
  }
  refuseMisplaced(bytes, reading.roots);
  return reading;
}

/** `<var>` can lend its children to another section; their bytes then lie outside it. */
function refuseMisplaced(bytes: Uint8Array, elements: readonly Element[]): void {
  for (const element of elements) {
    if (!element.inPlace) {
      throw notEditable(bytes, {
        offset: element.start,
        said: `<${element.name}> inside <var> counts as part of what stands before it.`,
        fix: 'take it out of <var>',
        ruleNumber: 67,
      });
    }
    refuseMisplaced(bytes, element.children);
  }
}

/** Under `verification_mode full` the address must be a name the certificate covers (case 91). */
function refuseUncovered(
  bytes: Uint8Array,
  reading: Readable,
  targets: readonly Target[],
  wish: EditWish,
): void {
  const [current] = reading.servers;
  const [target] = targets;
  if (reading.verification !== 'full' || current === undefined || target === undefined) return;
  const address = normalAddress(target.address);
  if (normalAddress(current.address) === address) return;
  const covered = wish.coveredHosts?.map(normalAddress);
  if (covered === undefined ? !isLiteral(target.address) : covered.includes(address)) return;
  throw notEditable(bytes, {
    offset: current.start,
    said: `verification_mode is full and no certificate is known to cover ${target.address}.`,
    fix: 'publish managers by the names in their certificates, or name this host as covered',
    ruleNumber: 91,
  });
}
