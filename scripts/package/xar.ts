/**
 * The archive around a pkg (xar 1): a header, a table of contents in XML, a heap that begins with
 * the table's SHA-1. `bsdtar` writes it too, but with times, inodes and devices of the machine, so
 * no two builds are alike. Contents lie in the heap as they are: the installer wants Payload and
 * Scripts without a second compression. Source: the format's description (xar wiki), Apple's tools.
 */
import { createHash } from 'node:crypto';
import { deflateSync } from 'node:zlib';

/** A folder has `files`. */
export interface XarEntry {
  readonly name: string;
  readonly bytes?: Buffer;
  readonly files?: readonly XarEntry[];
}

const headerBytes = 28;
const sha1 = 1;
const sumBytes = 20;

/** `epoch`: seconds since 1970, for every entry. Same entries, same bytes. */
export function encodeXar(entries: readonly XarEntry[], epoch: number): Buffer {
  const time = new Date(epoch * 1000).toISOString().slice(0, 19);
  const heap: Buffer[] = [];
  let at = sumBytes;
  let id = 0;
  const render = ({ name, bytes, files }: XarEntry): string => {
    id += 1;
    const open = `<file id="${id}"><name>${escapeXml(name)}</name>`;
    const owner = `<uid>0</uid><gid>0</gid><mtime>${time}Z</mtime>`;
    if (bytes === undefined) {
      const inside = (files ?? []).map(render).join('');
      return `${open}<type>directory</type><mode>0755</mode>${owner}${inside}</file>`;
    }
    const data = renderData(bytes, at);
    heap.push(bytes);
    at += bytes.length;
    return `${open}<type>file</type><mode>0644</mode>${owner}${data}</file>`;
  };
  const files = entries.map(render).join('\n');
  const text = `<?xml version="1.0" encoding="UTF-8"?>
<xar><toc><creation-time>${time}</creation-time>
<checksum style="sha1"><offset>0</offset><size>${sumBytes}</size></checksum>
${files}
</toc></xar>
`;
  // Stored, not deflated: how well a machine's zlib does it must not show in the bytes.
  const table = deflateSync(Buffer.from(text), { level: 0 });
  return Buffer.concat([header(table, Buffer.byteLength(text)), table, digest(table), ...heap]);
}

function renderData(bytes: Buffer, offset: number): string {
  const sum = digest(bytes).toString('hex');
  const size = bytes.length;
  return [
    `<data><length>${size}</length><offset>${offset}</offset><size>${size}</size>`,
    '<encoding style="application/octet-stream"/>',
    `<extracted-checksum style="sha1">${sum}</extracted-checksum>`,
    `<archived-checksum style="sha1">${sum}</archived-checksum></data>`,
  ].join('');
}

function header(table: Buffer, textBytes: number): Buffer {
  const head = Buffer.alloc(headerBytes);
  head.write('xar!');
  head.writeUInt16BE(headerBytes, 4);
  head.writeUInt16BE(1, 6);
  head.writeBigUInt64BE(BigInt(table.length), 8);
  head.writeBigUInt64BE(BigInt(textBytes), 16);
  head.writeUInt32BE(sha1, 24);
  return head;
}

function digest(bytes: Buffer): Buffer {
  return createHash('sha1').update(bytes).digest();
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
