/** Bundles written and read the simple way, whole in memory: shares no code with ours. */
import { deflateSync, inflateSync } from 'node:zlib';
import {
  defaultUnpackLimits,
  type MemberSink,
  type UnpackLimits,
} from '../../../src/cluster/files/member-count.ts';
import { unpackBundle } from '../../../src/cluster/files/unpack.ts';

const fileSeparator = Buffer.from('|@@//@@|');
const nameSeparator = Buffer.from('|//@@//|');

export interface RawMember {
  readonly name: string | Buffer;
  readonly content?: Uint8Array | string;
  /** The bytes after the name, where they are not the plain zlib stream of `content`. */
  readonly stream?: Uint8Array;
}

export function rawBundle(
  members: readonly RawMember[],
  metadata: unknown = emptyMetadata,
): Buffer {
  const json = typeof metadata === 'string' ? metadata : JSON.stringify(metadata);
  const all = [...members, { name: 'files_metadata.json', content: json }];
  const parts = all.map(({ name, content, stream }: RawMember) =>
    Buffer.concat([Buffer.from(name), nameSeparator, stream ?? deflateSync(content ?? '')]),
  );
  return Buffer.concat(
    parts.flatMap((part, index) => (index === 0 ? [part] : [fileSeparator, part])),
  );
}

export const emptyMetadata = { missing: {}, extra: {}, shared: {} };

/** As a stock receiver does: cut at every separator, then inflate each piece to its very end. */
export function splitBundle(bundle: Buffer): ReadonlyMap<string, Buffer> {
  const members = new Map<string, Buffer>();
  for (let start = 0; start <= bundle.length; ) {
    const found = bundle.indexOf(fileSeparator, start);
    const end = found === -1 ? bundle.length : found;
    const piece = bundle.subarray(start, end);
    const cut = piece.indexOf(nameSeparator);
    const stream = piece.subarray(cut + nameSeparator.length);
    members.set(piece.subarray(0, cut).toString(), inflateSync(stream));
    start = end + fileSeparator.length;
  }
  return members;
}

export interface ReadBundle {
  readonly metadata: string;
  readonly members: ReadonlyMap<string, Buffer>;
}

/** Ours, fed in pieces of `step` bytes; content is gathered in memory. */
export async function readBundle(
  bundle: Uint8Array,
  limits: Partial<UnpackLimits> = {},
  step = 1_000_003,
): Promise<ReadBundle> {
  const members = new Map<string, Buffer>();
  let at = 0;
  const source = (): Uint8Array => {
    at += step;
    return bundle.subarray(at - step, at);
  };
  const open = (name: string): MemberSink => {
    const parts: Buffer[] = [];
    return {
      write: (bytes) => void parts.push(Buffer.from(bytes)),
      end: () => void members.set(name, Buffer.concat(parts)),
      abort: () => void parts.splice(0),
    };
  };
  const all = { ...defaultUnpackLimits, ...limits };
  const metadata = await unpackBundle(source, open, all);
  return { metadata: metadata.toString(), members };
}
