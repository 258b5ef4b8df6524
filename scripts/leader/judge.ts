/**
 * Was the fence kept? A history of one seat, as etcd itself remembers it revision by revision, next to
 * what the contenders were told. Pure.
 */

/** One change of a key, in the order of revisions. */
export interface StoreEvent {
  readonly revision: number;
  readonly kind: 'seat_taken' | 'seat_empty' | 'written';
  /** Of the state that was written. */
  readonly value?: WrittenValue;
}

export interface WrittenValue {
  readonly op: string;
  /** The token that the writer believed in. */
  readonly token: number;
  /** The op that the writer knew as the last one; empty for none. */
  readonly after: string;
}

/** What a contender was told of its write. */
export interface Told {
  readonly op: string;
  readonly outcome: 'written' | 'fenced' | 'raced' | 'error';
  readonly revision?: number;
}

/** What is wrong, one line each. */
export function judgeHistory(
  events: readonly StoreEvent[],
  told: readonly Told[],
): readonly string[] {
  return [...judgeFence(events), ...judgeAnswers(events, told)];
}

/** Nothing was written but with the token of the very seat that was taken at that revision. */
function judgeFence(events: readonly StoreEvent[]): readonly string[] {
  const wrong: string[] = [];
  let seat: number | undefined;
  let last: WrittenValue = { op: '', token: 0, after: '' };
  for (const { revision, kind, value } of events) {
    if (kind === 'seat_taken') seat = revision;
    if (kind === 'seat_empty') seat = undefined;
    if (kind !== 'written' || value === undefined) continue;
    const { op, token, after } = value;
    if (token !== seat) wrong.push(`${op} at ${revision}: token ${token}, the seat is ${seat}`);
    if (token < last.token) wrong.push(`${op} at ${revision}: token ${token} after ${last.token}`);
    if (after !== last.op) wrong.push(`${op} at ${revision}: made after ${after}, not ${last.op}`);
    last = value;
  }
  return wrong;
}

/** What was told to be written is there once; what was told to be refused is not. */
function judgeAnswers(events: readonly StoreEvent[], told: readonly Told[]): readonly string[] {
  const places = new Map<string, number[]>();
  for (const { revision, value } of events) {
    if (value !== undefined) places.set(value.op, [...(places.get(value.op) ?? []), revision]);
  }
  return told.flatMap(({ op, outcome, revision }) => {
    const seen = places.get(op) ?? [];
    if (seen.length > 1) return [`${op} was written ${seen.length} times`];
    if (outcome === 'written' && seen[0] !== revision)
      return [`${op} was told written, and is not`];
    if (outcome === 'fenced' && seen.length > 0) return [`${op} was told fenced, and is written`];
    return [];
  });
}
