/**
 * `q` over rows that no database holds (nodes, groups), as stock reads them: letters' case counts,
 * what a row lacks matches nothing, of a list one item is enough. Pure.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../../guards.ts';
import { fault } from '../wire/fault.ts';
import { CallFault } from './call-fault.ts';
import {
  type Clause,
  parseQuery,
  type Query,
  QueryFormatError,
  QueryOperatorError,
  queryOperators,
} from './query-language.ts';

/** Throws `CallFault` 1407 or 1409. Absent or empty: all rows. */
export function queryRows(
  rows: readonly JsonObject[],
  q: JsonValue | undefined,
): readonly JsonObject[] {
  if (q === undefined || q === null || q === '') return rows;
  if (typeof q !== 'string') throw new CallFault(fault(1407, 'q is not a text'));
  const query = parse(q);
  return rows.filter((row) => matches(row, query));
}

function parse(q: string): Query {
  try {
    return parseQuery(q);
  } catch (error) {
    if (error instanceof QueryFormatError) throw invalid(error.near);
    if (!(error instanceof QueryOperatorError)) throw error;
    const valid = queryOperators.join(', ');
    throw new CallFault(fault(1409, `Valid operators: ${valid}. Used operator: ${error.operator}`));
  }
}

function invalid(near: string): CallFault {
  return new CallFault(fault(1407, `Parameter 'q' is not valid: '${near}'`));
}

function matches(row: JsonObject, query: Query): boolean {
  if (query.kind === 'clause') return isMet(query, memberOf(row, query.field));
  if (query.kind === 'and') return query.parts.every((part) => matches(row, part));
  return query.parts.some((part) => matches(row, part));
}

/** Rows are flat or nested: `os.name` is a member, or one of a member. */
function memberOf(row: JsonObject, field: string): JsonValue | undefined {
  if (Object.hasOwn(row, field)) return row[field];
  const [head = '', ...tail] = field.split('.');
  const value = Object.hasOwn(row, head) ? row[head] : undefined;
  if (tail.length === 0 || !isJsonObject(value)) return tail.length === 0 ? value : undefined;
  return memberOf(value, tail.join('.'));
}

function isMet(clause: Clause, value: JsonValue | undefined): boolean {
  if (Array.isArray(value))
    return (value as readonly JsonValue[]).some((one) => isMet(clause, one));
  if (typeof value !== 'string' && typeof value !== 'number') return false;
  if (clause.operator === '~') return String(value).includes(clause.value);
  const wanted = typeof value === 'number' ? numberOf(clause) : clause.value;
  switch (clause.operator) {
    case '=':
      return value === wanted;
    case '!=':
      return value !== wanted;
    case '<':
      return value < wanted;
    case '>':
      return value > wanted;
  }
}

function numberOf({ field, operator, value }: Clause): number {
  if (/^\s*[+-]?\d{1,15}\s*$/.test(value)) return Number(value);
  throw invalid(`${field}${operator}${value}`.slice(0, 64));
}
