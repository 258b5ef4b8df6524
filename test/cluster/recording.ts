/** Reads the recordings of `test/fixtures/cluster`. */
import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync, inflateSync } from 'node:zlib';
import { createSeal } from '../../src/cluster/wire/seal.ts';

const folder = new URL('../fixtures/cluster/', import.meta.url);

export const recordedSeal = createSeal('c98b62a9b6169ac5f67dae55ae4a9088');

export type Direction = 'w>m' | 'm>w' | 'c>s' | 's>c';

export interface RecordedFrame {
  readonly conn: number;
  readonly dir: Direction;
  readonly counter: number;
  readonly command: string;
  readonly flag: string;
  readonly field: Buffer;
  readonly isRequest: boolean;
  readonly wireBytes: number;
  /** Undefined: a part of a divided message. */
  readonly payload: Buffer | undefined;
  /** Number of frames the message came in. */
  readonly parts: number;
  readonly doesNotOpen: boolean;
}

export function recordingNames(): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl.gz'))
    .map((name) => name.slice(0, -'.jsonl.gz'.length));
}

export function rawBytes(name: string): Buffer {
  return gunzipSync(readFileSync(new URL(`${name}.raw.gz`, folder)));
}

export function recordedFrames(name: string): readonly RecordedFrame[] {
  return gunzipSync(readFileSync(new URL(`${name}.jsonl.gz`, folder)))
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
    .filter((record) => record.cmd_raw !== undefined)
    .map(frameOf);
}

/** One line of a recording, as the recorder wrote it. */
interface Line {
  readonly conn: number;
  readonly dir: Direction;
  readonly counter: number;
  readonly command: string;
  readonly flag: string;
  readonly cmd_raw: string;
  readonly kind: string;
  readonly enc_len: number;
  readonly part_len?: number;
  readonly parts?: number;
  readonly err?: string;
  readonly payload_b64?: string;
  readonly payload_zb64?: string;
}

function frameOf(line: Line): RecordedFrame {
  return {
    conn: line.conn,
    dir: line.dir,
    counter: line.counter,
    command: line.command,
    flag: line.flag,
    field: Buffer.from(line.cmd_raw, 'latin1'),
    isRequest: line.kind === 'req',
    wireBytes: line.enc_len,
    payload: line.part_len === undefined ? payloadOf(line) : undefined,
    parts: line.parts ?? 1,
    doesNotOpen: line.err !== undefined,
  };
}

function payloadOf(line: Line): Buffer {
  if (line.payload_zb64 !== undefined) return inflateSync(Buffer.from(line.payload_zb64, 'base64'));
  return Buffer.from(line.payload_b64 ?? '', 'base64');
}
