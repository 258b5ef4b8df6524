/** Comparisons of SQLite that Wazuh's API leans on: `LIKE`, `COLLATE NOCASE`, affinity. Pure. */

/** ASCII letters only, as SQLite folds them. */
export function foldCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** `%` is any text, `_` any character. Time grows with the product of the lengths at most. */
export function likeTest(pattern: string): (text: string) => boolean {
  const wanted = [...foldCase(pattern)];
  return (text) => matches([...foldCase(text)], wanted);
}

function matches(subject: readonly string[], wanted: readonly string[]): boolean {
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

/** Reads no character twice: whoever asks chooses the text, and it may be long. */
const numeric = /^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?\s*$/i;

/** Negative, 0 or positive: a column's value against this text, which a number column makes a number. */
export function comparerWith(text: string): (value: string | number) => number {
  const right = foldCase(text);
  const number = numeric.test(text) ? Number(text) : undefined;
  return (value) => {
    if (typeof value === 'number') return number === undefined ? -1 : value - number;
    const left = foldCase(value);
    if (left === right) return 0;
    return left < right ? -1 : 1;
  };
}
