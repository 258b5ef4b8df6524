/** Comparisons of SQLite that Wazuh's API leans on: `LIKE`, `COLLATE NOCASE`, affinity. Pure. */

/** ASCII letters only, as SQLite folds them. */
export function foldCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** `%` is any text, `_` any character. Time grows with the product of the lengths at most. */
export function isLike(text: string, pattern: string): boolean {
  const [subject, wanted] = [[...foldCase(text)], [...foldCase(pattern)]];
  let [at, next, star, starAt] = [0, 0, -1, 0];
  while (at < subject.length) {
    const one = wanted[next];
    if (one === '%') {
      [star, starAt] = [next, at];
      next += 1;
    } else if (one === '_' || (one !== undefined && one === subject[at])) {
      at += 1;
      next += 1;
    } else if (star >= 0) {
      starAt += 1;
      [at, next] = [starAt, star + 1];
    } else {
      return false;
    }
  }
  while (wanted[next] === '%') next += 1;
  return next === wanted.length;
}

const numeric = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i;

/** Negative, 0 or positive: a column's value against a text, which a number column makes a number. */
export function compareWithText(value: string | number, text: string): number {
  if (typeof value === 'number') return numeric.test(text) ? value - Number(text) : -1;
  const [left, right] = [foldCase(value), foldCase(text)];
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
