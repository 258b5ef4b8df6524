/**
 * ACLs, SELinux labels and extended attributes, which Node has no calls for. GNU tar lists them
 * (every `SCHILY.xattr.NAME` record of its archive header, ACLs included), GNU cp carries them;
 * both work on inherited descriptors, so no name in the agent's directory is ever followed.
 */
import { runProgram } from './run-program.ts';

export type CarryOutcome =
  | { readonly kind: 'same' }
  /** Attributes that differ after the attempt. */
  | { readonly kind: 'lost'; readonly names: readonly string[] }
  /** This host cannot list attributes. */
  | { readonly kind: 'unknown'; readonly why: string };

/** Makes the attributes of `to` those of `from`; both are open descriptors of regular files. */
export interface FileAttributes {
  carry(from: number, to: number, maxBytes: number): Promise<CarryOutcome>;
}

const timeoutMs = 10_000;
/** Integrity hashes belong to the content; the kernel makes them anew. */
const contentBound = ['security.ima', 'security.evm'];

type Attributes = ReadonlyMap<string, string>;
type Listing =
  | { readonly kind: 'listed'; readonly files: readonly Attributes[] }
  | { readonly kind: 'unknown'; readonly why: string };

/** By GNU tar and cp (Debian and Red Hat have both in their smallest installation). */
export const gnuAttributes: FileAttributes = {
  async carry(from, to, maxBytes) {
    const before = await list(from, to, maxBytes);
    if (before.kind === 'unknown') return before;
    if (differences(before.files).length === 0) return { kind: 'same' };
    await runProgram({
      argv: [
        'cp',
        '--attributes-only',
        '--preserve=mode,xattr',
        '/proc/self/fd/3',
        '/proc/self/fd/4',
      ],
      descriptors: [from, to],
      timeoutMs,
    });
    const after = await list(from, to, maxBytes);
    if (after.kind === 'unknown') return after;
    const names = differences(after.files);
    return names.length === 0 ? { kind: 'same' } : { kind: 'lost', names };
  },
};

/** For systems without these tools: says so. */
export const noAttributes: FileAttributes = {
  carry: () => Promise.resolve({ kind: 'unknown', why: 'not supported on this system' }),
};

async function list(from: number, to: number, maxBytes: number): Promise<Listing> {
  const argv = ['tar', '--xattrs', '--xattrs-include=*', '--format=posix', '-chPf', '-'];
  const { exit, stdout, stderr, startError } = await runProgram({
    argv: [...argv, '/proc/self/fd/4', '/proc/self/fd/3'],
    descriptors: [from, to],
    timeoutMs,
    maxOutputBytes: 2 * maxBytes + 1024 * 1024,
  });
  if (exit !== 0 || stderr.length > 0) {
    const why = startError ?? stderr.toString().split('\n')[0]?.slice(0, 200) ?? '';
    return { kind: 'unknown', why: `tar: ${why}` };
  }
  const files = parseArchive(stdout);
  return files.length === 2 ? { kind: 'listed', files } : { kind: 'unknown', why: 'tar: no list' };
}

function differences([left, right]: readonly Attributes[]): readonly string[] {
  const names = new Set([...(left?.keys() ?? []), ...(right?.keys() ?? [])]);
  return [...names].filter(
    (name) => !contentBound.includes(name) && left?.get(name) !== right?.get(name),
  );
}

const blockBytes = 512;

/** Attributes of each regular file in a pax archive, in order (POSIX.1-2001 pax, ustar headers). */
export function parseArchive(archive: Buffer): readonly Attributes[] {
  const files: Attributes[] = [];
  let pending: Attributes = new Map();
  let at = 0;
  while (at + blockBytes <= archive.length && archive[at] !== 0) {
    const size = Number.parseInt(archive.toString('latin1', at + 124, at + 136), 8);
    const type = archive.toString('latin1', at + 156, at + 157);
    const start = at + blockBytes;
    if (type === 'x') pending = parseRecords(archive.subarray(start, start + size));
    if (type === '0') {
      files.push(pending);
      pending = new Map();
    }
    at = start + Math.ceil(size / blockBytes) * blockBytes;
  }
  return files;
}

/** Records are `LENGTH KEY=VALUE\n`, LENGTH counting itself; values may hold any byte. */
function parseRecords(bytes: Buffer): Attributes {
  const found = new Map<string, string>();
  const prefix = 'SCHILY.xattr.';
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.indexOf(0x20, at);
    const length = Number(bytes.toString('latin1', at, space));
    if (space < 0 || !Number.isInteger(length) || length <= 0) break;
    const record = bytes.toString('latin1', space + 1, at + length - 1);
    const equals = record.indexOf('=');
    if (record.startsWith(prefix)) {
      found.set(record.slice(prefix.length, equals), record.slice(equals + 1));
    }
    at += length;
  }
  return found;
}
