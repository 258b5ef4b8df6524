/**
 * How much work a statement of somebody else may be, from SQLite's own plan of it. SQLite cannot
 * be stopped once it runs, and whoever shares its thread waits: what would take too long is
 * refused before. An estimate from above for joins of whole tables, not a promise. Pure.
 */

/** A line of `EXPLAIN QUERY PLAN`. */
export interface PlanLine {
  readonly id: number;
  readonly parent: number;
  readonly detail: string;
}

/** Rows that one look into these indexes finds, more or less. */
const lookups: readonly (readonly [RegExp, number])[] = [
  [/^SCAN CONSTANT ROW/, 1],
  [/\(rowid=\?/, 1],
  [/sqlite_autoindex_\S+ \(name=\?/, 1],
  [/\(id_agent=\? AND id_group=\?|\(id=\? AND key=\?/, 1],
  [/\((?:id_agent|id)=\?/, 16],
];

/** Rows that are looked at, where no table has more than `rows`. */
export function planCost(plan: readonly PlanLine[], rows: number, parent = 0): number {
  const here = plan.filter((line) => line.parent === parent);
  const costOf = ({ id }: PlanLine): number => planCost(plan, rows, id);
  const isCorrelated = ({ detail }: PlanLine): boolean => detail.startsWith('CORRELATED');
  const isLoop = ({ detail }: PlanLine): boolean => /^(?:SCAN|SEARCH) /.test(detail);
  const nested = sum(here.filter(isCorrelated).map(costOf));
  const before = sum(here.filter((line) => !isCorrelated(line)).map(costOf));
  const loops = here
    .filter(isLoop)
    .map((line) => found(line, rows, before))
    .reduce((product, one) => product * one, 1);
  return before + loops * (1 + nested);
}

/** `before`: what subqueries of the same level may have found. */
function found({ detail }: PlanLine, rows: number, before: number): number {
  const known = lookups.find(([pattern]) => pattern.test(detail))?.[1];
  return Math.max(1, known ?? Math.max(rows, before));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, one) => total + one, 0);
}
