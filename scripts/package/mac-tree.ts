/** What an installer of macOS puts there: every path of a folder, owned by root:wheel. */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

export type MacEntry = {
  /** Relative, beginning with `.`; the root of the tree is `.` itself. */
  readonly path: string;
  /** With the type, as in `st_mode`. */
  readonly mode: number;
} & (
  | { readonly kind: 'folder' }
  | { readonly kind: 'file'; readonly bytes: Buffer }
  | { readonly kind: 'link'; readonly to: string }
);

/** Every folder before what is in it; names in the order of their bytes. */
export function readMacTree(folder: string): readonly MacEntry[] {
  const walk = (path: string): readonly MacEntry[] => {
    const entry = readEntry(folder, path);
    if (entry.kind !== 'folder') return [entry];
    const names = readdirSync(join(folder, path)).toSorted((left, right) =>
      left < right ? -1 : 1,
    );
    return [entry, ...names.flatMap((name) => walk(`${path}/${name}`))];
  };
  return walk('.');
}

function readEntry(folder: string, path: string): MacEntry {
  const at = join(folder, path);
  const { mode } = lstatSync(at);
  const type = mode & 0o170000;
  if (type === 0o040000) return { kind: 'folder', path, mode };
  if (type === 0o100000) return { kind: 'file', path, mode, bytes: readFileSync(at) };
  // A link has no permissions of its own on Linux; on a Mac it is made with these.
  if (type === 0o120000) return { kind: 'link', path, mode: 0o120755, to: readlinkSync(at) };
  throw new Error(`${at}: neither file, folder nor link`);
}
