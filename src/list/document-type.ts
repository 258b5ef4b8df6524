/** Type confusion ends here: a payload says what it is, and must say what was asked for. */
import { ListError } from '../errors.ts';
import { isJsonObject, type JsonValue } from '../guards.ts';
import type { DocumentKind } from './model.ts';

/** @throws ListError `wrong_type` when `typ` or (receipts have none) `spec` is not the expected one */
export function checkType(value: JsonValue, kind: DocumentKind): void {
  const { typ, spec } = isJsonObject(value) ? value : {};
  if (typ !== `pf-${kind}`) {
    throw new ListError('wrong_type', `typ is ${quote(typ)}; expected "pf-${kind}"`);
  }
  if (kind !== 'receipt' && spec !== 1) {
    throw new ListError('wrong_type', `spec is ${quote(spec)}; this version knows 1`);
  }
}

/** The same for the signature header. */
export function checkHeaderKind(seen: DocumentKind, expected: DocumentKind): void {
  if (seen === expected) return;
  throw new ListError('wrong_type', `signed as a ${seen}; a ${expected} was expected`);
}

function quote(value: JsonValue | undefined): string {
  return value === undefined ? 'missing' : JSON.stringify(value).slice(0, 60);
}
