/** What a copy of `client.keys` holds, as values to compare between nodes. Pure. */
import { createHash } from 'node:crypto';

export interface KeysFacts {
  /** Agents that live: lines that are neither comments nor of removed agents. */
  readonly count: number;
  /** Of all lines, removed agents too: the next id that authd gives is above it. */
  readonly greatestId: number;
  /** SHA-256 of the file's bytes, hexadecimal. */
  readonly digest: string;
}

interface KeyLine {
  readonly id: string;
  readonly name: string;
  readonly isRemoved: boolean;
  /** Without the end of the line. */
  readonly text: string;
}

const lineShape = /^([0-9]{1,12}) (!?)([^ !][^ ]{0,254}) \S{1,64} \S{1,256}\s*$/;

export function keysFacts(bytes: Buffer): KeysFacts {
  const lines = linesOf(bytes);
  return {
    count: lines.filter(({ isRemoved }) => !isRemoved).length,
    greatestId: lines.reduce((greatest, { id }) => Math.max(greatest, Number(id)), 0),
    digest: digestOf(bytes),
  };
}

export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A key that one copy has and another one lacks. */
export interface StrayKey {
  readonly id: string;
  readonly name: string;
  /** `missing`: no agent of this id there; `other`: another agent has the id; `removed`: removed here only. */
  readonly kind: 'missing' | 'other' | 'removed';
  /** The line as it stands in the copy. Holds the agent's secret. */
  readonly line: string;
}

/** What `copy` says otherwise than `agreed`, but for agents that only `agreed` knows. */
export function strayKeys(copy: Buffer, agreed: Buffer): readonly StrayKey[] {
  const known = new Map(linesOf(agreed).map((line) => [line.id, line]));
  return linesOf(copy).flatMap((line): readonly StrayKey[] => {
    const kind = strayKind(line, known.get(line.id));
    return kind === undefined ? [] : [{ id: line.id, name: line.name, kind, line: line.text }];
  });
}

function strayKind(line: KeyLine, other: KeyLine | undefined): StrayKey['kind'] | undefined {
  if (line.isRemoved) {
    const isHeldThere = other?.isRemoved === false && other.name === line.name;
    return isHeldThere ? 'removed' : undefined;
  }
  if (other === undefined) return 'missing';
  // Removed over there by its own master: its word is the newer one.
  if (other.text.trimEnd() === line.text.trimEnd() || other.isRemoved) return undefined;
  return 'other';
}

function linesOf(bytes: Buffer): readonly KeyLine[] {
  const found: KeyLine[] = [];
  for (const text of bytes.toString('latin1').split('\n')) {
    const [, id, mark, name] = lineShape.exec(text) ?? [];
    if (id === undefined || name === undefined) continue;
    found.push({ id, name, isRemoved: mark === '!', text });
  }
  return found;
}
