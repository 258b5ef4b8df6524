/**
 * The query language `q` of Wazuh's API: `status=active;(os.name~deb,os.name~ubu)`. A clause is a
 * field, an operator and a value; `;` is and, `,` is or and binds less. A value may hold balanced
 * parentheses, and commas within brackets. Pure; what is not read to its end is refused whole.
 */

export type QueryOperator = '=' | '!=' | '<' | '>' | '~';

export interface Clause {
  readonly kind: 'clause';
  readonly field: string;
  readonly operator: QueryOperator;
  readonly value: string;
}

export interface Joined {
  readonly kind: 'and' | 'or';
  readonly parts: readonly Query[];
}

export type Query = Clause | Joined;

/** Not of the language: `near` is what could not be read. */
export class QueryFormatError extends Error {
  readonly near: string;

  constructor(near: string) {
    super(`not a query near ${JSON.stringify(near)}`);
    this.near = near;
  }
}

/** A clause is of the language but for its operator. */
export class QueryOperatorError extends Error {
  readonly operator: string;

  constructor(operator: string) {
    super(`unknown operator ${operator}`);
    this.operator = operator;
  }
}

export const queryOperators: readonly QueryOperator[] = ['=', '!=', '<', '>', '~'];

const [mostCharacters, mostClauses, mostDepth] = [8_192, 256, 16];
const head = /([\p{L}\p{N}_.]+)([=!<>~]{1,2})/uy;
const plain = /[[\]\p{L}\p{N}_ \-.:?\\/'"=@%<>{}$]/u;

/** Throws `QueryFormatError`, `QueryOperatorError`. */
export function parseQuery(text: string): Query {
  if (text.length > mostCharacters) throw new QueryFormatError(`${text.slice(0, 64)}…`);
  const reader = new Reader(text);
  const query = reader.either(0);
  reader.demandEnd();
  return query;
}

class Reader {
  readonly #text: string;
  #at = 0;
  #clauses = 0;

  constructor(text: string) {
    this.#text = text;
  }

  either(depth: number): Query {
    return this.#joined('or', ',', () => this.#joined('and', ';', () => this.#part(depth)));
  }

  demandEnd(): void {
    if (this.#at < this.#text.length) throw this.#unreadable(this.#at);
  }

  #joined(kind: Joined['kind'], separator: string, read: () => Query): Query {
    const first = read();
    const parts = [first];
    while (this.#skips(separator)) parts.push(read());
    return parts.length === 1 ? first : { kind, parts };
  }

  #part(depth: number): Query {
    if (!this.#skips('(')) return this.#clause();
    if (depth >= mostDepth) throw this.#unreadable(this.#at);
    const inner = this.either(depth + 1);
    if (!this.#skips(')')) throw this.#unreadable(this.#at);
    return inner;
  }

  #clause(): Clause {
    const startAt = this.#at;
    head.lastIndex = startAt;
    const [, field, word = ''] = head.exec(this.#text) ?? [];
    this.#clauses += 1;
    if (field === undefined || this.#clauses > mostClauses) throw this.#unreadable(startAt);
    const operator = queryOperators.find((one) => one === word);
    if (operator === undefined) throw new QueryOperatorError(word);
    this.#at = head.lastIndex;
    const value = this.#value();
    if (value === '') throw this.#unreadable(startAt);
    return { kind: 'clause', field, operator, value };
  }

  /** Up to a separator, or a parenthesis that the value did not open. */
  #value(): string {
    const startAt = this.#at;
    for (let end = startAt; ; ) {
      this.#at = end;
      end = pieceEnd(this.#text, end);
      if (end === this.#at) return this.#text.slice(startAt, end);
    }
  }

  #skips(character: string): boolean {
    if (this.#text.charAt(this.#at) !== character) return false;
    this.#at += 1;
    return true;
  }

  #unreadable(at: number): QueryFormatError {
    return new QueryFormatError(this.#text.slice(at, at + 64));
  }
}

/** Behind the character, the brackets or the parentheses that begin here; `at`: no part of a value. */
function pieceEnd(text: string, at: number): number {
  const character = text.charAt(at);
  if (character === '(') return parenthesesEnd(text, at) ?? at;
  if (character === '[') return bracketsEnd(text, at) ?? at + 1;
  return plain.test(character) ? at + 1 : at;
}

/** Undefined: they are not closed. Brackets may hold commas, and no brackets. */
function bracketsEnd(text: string, at: number): number | undefined {
  for (let end = at + 1; ; end += 1) {
    const character = text.charAt(end);
    if (character === ']') return end + 1;
    if (character === '[' || (character !== ',' && !plain.test(character))) return undefined;
  }
}

/** Undefined: they are not closed, or hold others. */
function parenthesesEnd(text: string, at: number): number | undefined {
  for (let end = at + 1; text.charAt(end) !== '('; ) {
    if (text.charAt(end) === ')') return end + 1;
    const next = pieceEnd(text, end);
    if (next === end) return undefined;
    end = next;
  }
  return undefined;
}
