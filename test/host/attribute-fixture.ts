/**
 * Sets and reads extended attributes without attr or acl packages: a hand-made pax archive is
 * unpacked by tar, which sets what its `SCHILY.xattr.` records say.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { TestContext } from 'node:test';
import { parseArchive } from '../../src/host/file-attributes.ts';

/** Values are Latin-1 strings of the raw bytes. False, and the test skipped, where it is impossible. */
export function setAttributes(
  context: TestContext,
  path: string,
  values: Readonly<Record<string, string>>,
): boolean {
  const archive = encodeArchive(basename(path), readFileSync(path), values);
  try {
    const flags = ['--xattrs', '--xattrs-include=*', '-C', dirname(path), '-xf', '-'];
    execFileSync('tar', flags, { input: archive, stdio: 'pipe' });
  } catch (error) {
    context.skip(`tar cannot set attributes here: ${String(error).split('\n')[0]}`);
    return false;
  }
  const missing = Object.keys(values).filter((name) => !readAttributes(path).has(name));
  if (missing.length > 0) context.skip(`this file system takes no ${missing.join(', ')}`);
  return missing.length === 0;
}

export function readAttributes(path: string): ReadonlyMap<string, string> {
  const flags = ['--xattrs', '--xattrs-include=*', '--format=posix', '-chPf', '-', path];
  return parseArchive(execFileSync('tar', flags, { stdio: 'pipe' }))[0] ?? new Map();
}

function encodeArchive(
  name: string,
  content: Buffer,
  values: Readonly<Record<string, string>>,
): Buffer {
  const records = Object.entries(values).map(([key, value]) =>
    encodeRecord(`SCHILY.xattr.${key}=${value}`),
  );
  return Buffer.concat([
    ...encodeMember(`PaxHeaders/${name}`, 'x', Buffer.concat(records)),
    ...encodeMember(name, '0', content),
    Buffer.alloc(1024),
  ]);
}

function encodeRecord(text: string): Buffer {
  const bare = Buffer.from(` ${text}\n`, 'latin1');
  let length = bare.length + 1;
  while (String(length).length + bare.length !== length) length += 1;
  return Buffer.concat([Buffer.from(String(length)), bare]);
}

function encodeMember(name: string, type: string, content: Buffer): readonly Buffer[] {
  const header = Buffer.alloc(512);
  const octal = (value: number, digits: number): string =>
    `${value.toString(8).padStart(digits, '0')}\0`;
  header.write(name, 0);
  header.write(octal(0o660, 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(content.length, 11), 124);
  header.write(octal(1_700_000_000, 11), 136);
  header.write('        ', 148);
  header.write(type, 156);
  header.write('ustar\0' + '00', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
}
