/**
 * The portable ASCII archive that is a pkg's Payload and Scripts: `cpio -H odc`, magic 070707
 * (POSIX.1-1988, `pax` interchange format). Owner root:wheel, one time, numbers in order.
 */
import type { MacEntry } from './mac-tree.ts';

const blockBytes = 512;

/** `epoch`: seconds since 1970, for every entry. Same entries, same bytes. */
export function encodeCpio(entries: readonly MacEntry[], epoch: number): Buffer {
  const parts = entries.flatMap((entry, index) => {
    const data = dataOf(entry);
    return [header({ path: entry.path, mode: entry.mode, inode: index + 1, epoch }, data), data];
  });
  parts.push(header({ path: 'TRAILER!!!', mode: 0, inode: 0, epoch: 0 }, Buffer.alloc(0)));
  const used = parts.reduce((sum, { length }) => sum + length, 0);
  return Buffer.concat([...parts, Buffer.alloc(-used & (blockBytes - 1))]);
}

function dataOf(entry: MacEntry): Buffer {
  if (entry.kind === 'file') return entry.bytes;
  return Buffer.from(entry.kind === 'link' ? entry.to : '');
}

interface Head {
  readonly path: string;
  readonly mode: number;
  readonly inode: number;
  readonly epoch: number;
}

function header({ path, mode, inode, epoch }: Head, data: Buffer): Buffer {
  const name = Buffer.from(`${path}\0`);
  const fields = [
    ...['070707', octal(0, 6), octal(inode, 6), octal(mode, 6), octal(0, 6), octal(0, 6)],
    ...[octal(1, 6), octal(0, 6), octal(epoch, 11), octal(name.length, 6), octal(data.length, 11)],
  ];
  return Buffer.concat([Buffer.from(fields.join('')), name]);
}

function octal(value: number, digits: number): string {
  const text = value.toString(8).padStart(digits, '0');
  if (text.length > digits) throw new Error(`${value} does not fit into ${digits} octal digits`);
  return text;
}
