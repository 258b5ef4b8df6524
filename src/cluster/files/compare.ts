/** What a worker lacks, has otherwise or has too much, judged by hash alone as stock does (5.5). */
import { type Catalogue, findItem } from './catalogue.ts';
import type { Changes, Entry, Manifest } from './manifest.ts';
import type { FileName } from './name.ts';

export interface Comparison {
  /** `extra` is a wish: nothing of it may be ordered before `guard.ts` let it through. */
  readonly changes: Changes;
  /** Files of items that workers may add to; they stay, and the worker may be asked for them. */
  readonly extraValid: Manifest;
  /** Files of item kinds that we do not know: nobody's business, left alone. */
  readonly unknown: readonly FileName[];
}

export function compareManifests(
  good: Manifest,
  check: Manifest,
  catalogue: Catalogue,
): Comparison {
  const missing = new Map<FileName, Entry>();
  const shared = new Map<FileName, Entry>();
  for (const [name, entry] of good) {
    const other = check.get(name);
    if (other === undefined) missing.set(name, entry);
    else if (other.hash !== entry.hash) shared.set(name, entry);
  }
  return { ...surplus(good, check, catalogue, { missing, shared }) };
}

function surplus(
  good: Manifest,
  check: Manifest,
  catalogue: Catalogue,
  found: Pick<Changes, 'missing' | 'shared'>,
): Comparison {
  const extra = new Map<FileName, Entry>();
  const extraValid = new Map<FileName, Entry>();
  const unknown: FileName[] = [];
  for (const [name, entry] of check) {
    if (good.has(name)) continue;
    const item = findItem(catalogue, entry.itemKey);
    if (item === undefined) unknown.push(name);
    else if (item.extraValid) extraValid.set(name, entry);
    else extra.set(name, entry);
  }
  return { changes: { ...found, extra }, extraValid, unknown };
}
