/** Files that travel inside a single-executable binary. */
import { getAsset, isSea } from 'node:sea';

/** Its text, or undefined where this program runs from files. */
export function programAsset(name: string): string | undefined {
  return isSea() ? getAsset(name, 'utf8') : undefined;
}
