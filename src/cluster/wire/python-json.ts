/**
 * JSON as Python's `json.dumps` writes it by default: `, ` and `: ` between items, everything
 * outside printable ASCII escaped. Stock nodes accept any spacing; writing theirs keeps what we
 * send comparable to recordings byte by byte.
 */
import type { JsonValue } from '../../guards.ts';

function escaped(text: string): string {
  return JSON.stringify(text).replace(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Python's shortest repr: the same digits as ours, other thresholds for the exponent. */
function numberText(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError(`${value} is not JSON`);
  const magnitude = Math.abs(value);
  if (Number.isInteger(value) && magnitude < 1e21) return BigInt(value).toString();
  if (magnitude >= 1e-4 && magnitude < 1e16) return String(value);
  const [digits = '', exponent = ''] = value.toExponential().split('e');
  return `${digits}e${exponent.slice(0, 1)}${exponent.slice(1).padStart(2, '0')}`;
}

export function pythonJson(value: JsonValue): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return escaped(value);
  if (typeof value === 'number') return numberText(value);
  if (typeof value === 'boolean') return String(value);
  if (isList(value)) return `[${value.map(pythonJson).join(', ')}]`;
  const members = Object.entries(value).map(
    ([key, member]) => `${escaped(key)}: ${pythonJson(member)}`,
  );
  return `{${members.join(', ')}}`;
}

function isList(value: object): value is readonly JsonValue[] {
  return Array.isArray(value);
}
