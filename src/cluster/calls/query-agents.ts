/**
 * `q` over agents, as stock's SQL means it: letters' case does not count, NULL matches nothing
 * but the value `null`, a clause with the value `all` says nothing, dates take an age (`7d`) or a
 * day. Pure. Not as stock: a quoted value with `!=`, `<` or `>` is refused (stock turns it round).
 */
import type { JsonValue } from '../../guards.ts';
import { fault } from '../wire/fault.ts';
import { agentColumn, queryFields } from './agent-rows.ts';
import { CallFault } from './call-fault.ts';
import { comparerWith, likeTest } from './like.ts';
import type { AgentRow } from './node-view.ts';
import {
  type Clause,
  parseQuery,
  type Query,
  QueryFormatError,
  type QueryOperator,
  QueryOperatorError,
  queryOperators,
} from './query-language.ts';

export type AgentTest = (agent: AgentRow) => boolean;

const any: AgentTest = () => true;

/** Throws `CallFault` 1407, 1408, 1409, 1411 or 1412. Absent or empty: any agent. */
export function agentQuery(q: JsonValue | undefined, nowMs: number): AgentTest {
  if (q === undefined || q === null || q === '') return any;
  if (typeof q !== 'string') throw new CallFault(fault(1407, 'q is not a text'));
  return testOf(parse(q), nowMs) ?? any;
}

function parse(q: string): Query {
  try {
    return parseQuery(q);
  } catch (error) {
    if (error instanceof QueryFormatError) throw new CallFault(fault(1407, q.slice(0, 256)));
    if (!(error instanceof QueryOperatorError)) throw error;
    const valid = queryOperators.join(', ');
    throw new CallFault(fault(1409, `Valid operators: ${valid}. Used operator: ${error.operator}`));
  }
}

/** Undefined: it says nothing. */
function testOf(query: Query, nowMs: number): AgentTest | undefined {
  if (query.kind === 'clause') return clauseTest(query, nowMs);
  const tests = query.parts
    .map((part) => testOf(part, nowMs))
    .filter((test): test is AgentTest => test !== undefined);
  if (tests.length === 0) return undefined;
  if (query.kind === 'and') return (agent) => tests.every((test) => test(agent));
  return (agent) => tests.some((test) => test(agent));
}

const dates: ReadonlySet<string> = new Set(['lastKeepAlive', 'dateAdd']);

function clauseTest(clause: Clause, nowMs: number): AgentTest | undefined {
  const { field, operator, value } = clause;
  if (!queryFields.includes(field)) {
    const available = [...queryFields].sort().join(', ');
    const said = `Available fields: ${available}. Field: ${field.slice(0, 64)}`;
    throw new CallFault(fault(1408, said));
  }
  if (value === 'all') return undefined;
  if (dates.has(field)) return dateTest(clause, nowMs);
  const read = agentColumn(field);
  if (value === 'null') return (agent) => read(agent) === undefined;
  if (field === 'group') return groupTest(operator, unquoted(clause));
  const wanted = unquoted(clause);
  const text = field === 'version' ? wanted.replace(/([a-zA-Z])v/g, '$1 v') : wanted;
  const isKept = comparison(/['"]/.test(value) ? 'like' : operator, text);
  return (agent) => {
    const own = read(agent);
    return own !== undefined && isKept(own);
  };
}

/** Quotes become any character, as stock has them. */
function unquoted({ operator, value }: Clause): string {
  if (!/['"]/.test(value)) return value;
  if (operator !== '=' && operator !== '~') {
    throw new CallFault(fault(1407, `a quoted value after ${operator}`));
  }
  const text = value.replace(/['"]/g, '_');
  return operator === '~' ? `%${text}%` : text;
}

type Compare = (own: string | number) => boolean;

function comparison(operator: QueryOperator | 'like', text: string): Compare {
  if (operator === '~' || operator === 'like') {
    const isLike = likeTest(operator === '~' ? `%${text}%` : text);
    return (own) => isLike(String(own));
  }
  const compare = comparerWith(text);
  switch (operator) {
    case '=':
      return (own) => compare(own) === 0;
    case '!=':
      return (own) => compare(own) !== 0;
    case '<':
      return (own) => compare(own) < 0;
    case '>':
      return (own) => compare(own) > 0;
  }
}

/** Groups are one text with commas; `=` is about one of them. */
function groupTest(operator: QueryOperator, text: string): AgentTest {
  if (operator === '<' || operator === '>') {
    const said = `Valid operators for 'group' field: =, !=, ~. Used operator: ${operator}`;
    throw new CallFault(fault(1409, said));
  }
  const [isAmong, isWithin] = [likeTest(`%,${text},%`), likeTest(`%${text}%`)];
  return ({ columns: { group } }) => {
    if (group === undefined) return false;
    if (operator === '~') return isWithin(String(group));
    return isAmong(`,${group},`) === (operator === '=');
  };
}

const unitS: Readonly<Record<string, number>> = { d: 86_400, h: 3_600, m: 60, s: 1 };

/** The manager itself has no dates. */
function dateTest({ field, operator, value }: Clause, nowMs: number): AgentTest {
  const read = agentColumn(field);
  const isKept = dateComparison(operator, value, Math.floor(nowMs / 1000));
  return (agent) => {
    const own = read(agent);
    return own !== undefined && agent.id !== 0 && isKept(own);
  };
}

/** `<7d`: less than seven days old, and so later than a moment. */
function dateComparison(operator: QueryOperator, value: string, nowS: number): Compare {
  const ageS = ageOf(value);
  if (ageS === undefined) {
    return comparison(operator === '~' ? '=' : operator, String(momentOf(value)));
  }
  const isYounger = operator === '<' || operator === '=';
  return comparison(isYounger ? '>' : '<', String(nowS - ageS));
}

/** Seconds of `600` or `1d12h`; undefined: it is no age. */
function ageOf(value: string): number | undefined {
  if (/^\d{1,12}$/.test(value)) return Number(value);
  if (!/^\d+[dhms]/.test(value)) return undefined;
  if (!/^(?:\d{1,9}[dhms]){1,8}$/.test(value)) throw new CallFault(fault(1411, value.slice(0, 64)));
  const parts = [...value.matchAll(/(\d+)([dhms])/g)];
  return parts.reduce((sum, [, count, unit = '']) => sum + Number(count) * (unitS[unit] ?? 0), 0);
}

/** Seconds since the epoch of a day, or of a second of it. */
function momentOf(value: string): number {
  const [, day, time = '00:00:00'] =
    /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d)(?:\.\d{1,6})?)?Z?$/.exec(value) ?? [];
  const ms = Date.parse(`${day}T${time}Z`);
  if (Number.isNaN(ms)) throw new CallFault(fault(1412, value.slice(0, 64)));
  return Math.floor(ms / 1000);
}
