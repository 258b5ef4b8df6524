/** A tar archive (POSIX ustar) of small texts. Pure: the same entries give the same bytes. */

export interface TarEntry {
  /** Of ASCII, at most 100 characters. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

const blockBytes = 512;

export function renderTar(entries: readonly TarEntry[], mtimeSec: number): Buffer {
  const parts = entries.flatMap(({ name, bytes }) => {
    const padding = (blockBytes - (bytes.length % blockBytes)) % blockBytes;
    return [headerOf(name, bytes.length, mtimeSec), bytes, Buffer.alloc(padding)];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * blockBytes)]);
}

function headerOf(name: string, size: number, mtimeSec: number): Buffer {
  if (!/^[\x21-\x7e]{1,100}$/.test(name)) throw new RangeError(`no name for a tar entry: ${name}`);
  const header = Buffer.alloc(blockBytes);
  header.write(name, 0);
  header.write('0000600\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  header.write(`${Math.floor(mtimeSec).toString(8).padStart(11, '0')}\0`, 136);
  header.write('        0', 148); // the sum counts as blanks; type 0 is a file
  header.write('ustar\0', 257);
  header.write('00', 263);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}
