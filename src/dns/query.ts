/**
 * One question as bytes, and the proof that other bytes are its answer: id, question byte for byte
 * (letters in the case we sent, where the server keeps it), shape, size. Pure; `dns-packet` is the
 * codec behind it. RFC 1035 4, RFC 6891 (EDNS), RFC 5452 (forgery resilience).
 */
import { type Answer, type DecodedPacket, decode, encode, RECURSION_DESIRED } from 'dns-packet';
import { DnsFault } from './fault.ts';
import { checkLayout, layoutLimits } from './layout.ts';
import { parseName } from './name.ts';
import {
  isRecordType,
  type RecordData,
  type RecordType,
  type ResourceRecord,
  typeNumbers,
} from './record.ts';
import { decodeServiceBinding } from './svcb.ts';

export interface Question {
  /** As `parseName` gives it. */
  readonly name: string;
  readonly type: RecordType;
}

export interface QueryOptions {
  /** 16 random bits. */
  readonly id: number;
  /** The name with its letters as they are to be sent (0x20); the plain name without. */
  readonly spelling?: string;
  /** Largest UDP answer we take; undefined leaves EDNS out. */
  readonly udpBytes?: number;
}

/** 1232 fits an IPv6 minimum MTU: no fragments, which can be forged (DNS flag day 2020). */
export const ednsUdpBytes = 1_232;
export const maxUdpBytes = 4_096;

export type ResponseCode =
  | 'NOERROR'
  | 'FORMERR'
  | 'SERVFAIL'
  | 'NXDOMAIN'
  | 'NOTIMP'
  | 'REFUSED'
  | 'OTHER';

const responseCodes: readonly ResponseCode[] = [
  'NOERROR',
  'FORMERR',
  'SERVFAIL',
  'NXDOMAIN',
  'NOTIMP',
  'REFUSED',
];

export interface Reply {
  readonly code: ResponseCode;
  readonly isTruncated: boolean;
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
}

/** A query with recursion asked for. Throws TypeError for a type outside the table. */
export function encodeQuery(question: Question, options: QueryOptions): Buffer {
  // The library sends what it does not know as type 0; numbers it takes as they are.
  const number = typeNumbers[question.type] as number | undefined;
  if (number === undefined) throw new TypeError(`DNS type ${question.type} is not in the table`);
  const { id, spelling = question.name, udpBytes } = options;
  const opt = { type: 'OPT', name: '.', udpPayloadSize: udpBytes, flags: 0, options: [] };
  return encode({
    type: 'query',
    id,
    flags: RECURSION_DESIRED,
    questions: [{ name: spelling, type: `UNKNOWN_${number}` as 'A' }],
    ...(udpBytes === undefined ? {} : { additionals: [opt as unknown as Answer] }),
  });
}

/** The reply in `bytes` if it answers `query`. Throws DnsFault with what is wrong. */
export function decodeReply(bytes: Uint8Array, query: Buffer): Reply {
  const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (message.length < layoutLimits.headerBytes) throw new DnsFault('malformed', 'too short');
  if (message.readUInt16BE(0) !== query.readUInt16BE(0)) throw new DnsFault('wrong_id', 'id');
  if (((message[2] ?? 0) & 0xf8) !== 0x80) throw new DnsFault('not_a_reply', 'not a query reply');
  const code = responseCodes[(message[3] ?? 0) & 15] ?? 'OTHER';
  const isTruncated = ((message[2] ?? 0) & 2) !== 0;
  const { questionEnd } = checkLayout(message);
  checkQuestion(message.subarray(layoutLimits.headerBytes, questionEnd), query, code);
  const packet = decodePacket(message);
  return {
    code,
    isTruncated,
    answers: recordsOf(packet.answers ?? []),
    authorities: recordsOf(packet.authorities ?? []),
  };
}

/** Some servers leave the question out of a FORMERR or SERVFAIL; then the id alone must do. */
function checkQuestion(echoed: Buffer, query: Buffer, code: ResponseCode): void {
  if (echoed.length === 0 && (code === 'FORMERR' || code === 'NOTIMP')) return;
  const headerBytes = layoutLimits.headerBytes;
  const asked = query.subarray(headerBytes, headerBytes + echoed.length);
  if (echoed.length === 0 || echoed.length !== questionBytes(query)) {
    throw new DnsFault('wrong_question', 'another question came back');
  }
  if (echoed.equals(asked)) return;
  const isOnlyCase =
    echoed.toString('latin1').toLowerCase() === asked.toString('latin1').toLowerCase();
  throw isOnlyCase
    ? new DnsFault('wrong_case', 'letters came back in another case')
    : new DnsFault('wrong_question', 'another question came back');
}

function questionBytes(query: Buffer): number {
  let at: number = layoutLimits.headerBytes;
  for (let length = query[at]; length !== undefined && length !== 0; length = query[at]) {
    at += length + 1;
  }
  return at + 5 - layoutLimits.headerBytes;
}

function decodePacket(message: Buffer): DecodedPacket {
  try {
    return decode(message);
  } catch (thrown) {
    throw new DnsFault('malformed', thrown instanceof Error ? thrown.message : String(thrown));
  }
}

function recordsOf(answers: readonly Answer[]): readonly ResourceRecord[] {
  return answers.flatMap((answer) => recordOf(answer) ?? []);
}

const typeOfNumber: ReadonlyMap<string, RecordType> = new Map(
  Object.entries(typeNumbers).map(([name, number]) => [`UNKNOWN_${number}`, name as RecordType]),
);

/** Other classes and types we did not ask for are left out. */
function recordOf(answer: Answer): ResourceRecord | undefined {
  const { type: spelled, name } = answer;
  const type = typeOfNumber.get(spelled) ?? spelled;
  if (!isRecordType(type) || !('ttl' in answer) || answer.class !== 'IN') return undefined;
  const owner = nameOf(name);
  const ttl = answer.ttl ?? 0;
  const ttlSec = ttl >= 2 ** 31 ? 0 : ttl;
  return { ...dataOf(type, (answer as { readonly data: unknown }).data), name: owner, ttlSec };
}

/** The root is the only name without a label; a name nobody can have makes the reply useless. */
function nameOf(text: string): string {
  if (text === '.' || text === '') return '';
  const name = parseName(text);
  if (name === undefined) throw new DnsFault('malformed', 'a name with bytes no name may have');
  return name;
}

/** What the codec made of each type; `data` has the shape that its documentation gives. */
function dataOf(type: RecordType, data: unknown): RecordData {
  switch (type) {
    case 'A':
    case 'AAAA':
      return { type, address: data as string };
    case 'CNAME':
    case 'NS':
    case 'PTR':
      return { type, target: nameOf(data as string) };
    case 'SOA': {
      const soa = data as Extract<RecordData, { type: 'SOA' }>['soa'];
      return { type, soa: { ...soa, mname: nameOf(soa.mname) } };
    }
    case 'SRV': {
      const {
        priority = 0,
        weight = 0,
        port,
        target,
      } = data as Extract<RecordData, { type: 'SRV' }>['srv'];
      return { type, srv: { priority, weight, port, target: nameOf(target) } };
    }
    case 'TXT': {
      const parts = Array.isArray(data) ? (data as readonly Buffer[]) : [data as Buffer];
      return { type, texts: parts.map((part) => part.toString('latin1')) };
    }
    case 'HTTPS':
    case 'SVCB':
      return { type, binding: decodeServiceBinding(data as Uint8Array) };
  }
}
