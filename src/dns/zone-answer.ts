/**
 * Answers for one zone we are the authority of, and for nothing else: no recursion, no other class,
 * no update. RFC 1034 4.3.2, RFC 2308 (negative answers), RFC 6891 (EDNS), RFC 8482 (ANY).
 * Bytes and values in, bytes out.
 */
import { type Answer, decode, encode, type Packet, type Question } from 'dns-packet';
import { checkLayout, layoutLimits } from './layout.ts';
import { ednsUdpBytes } from './query.ts';
import type { ResourceRecord } from './record.ts';
import type { ZoneContent } from './zone-content.ts';

export interface ZoneQuestion {
  readonly bytes: Uint8Array;
  readonly transport: 'udp' | 'tcp';
  /** May this client transfer the zone? */
  readonly mayTransfer: boolean;
}

export interface ZoneReply {
  /** One message, or those of a transfer, in order; none: not to be answered at all. */
  readonly messages: readonly Buffer[];
  /** For counting. */
  readonly outcome: 'answered' | 'negative' | 'refused' | 'transfer' | 'truncated' | 'dropped';
}

const codes = { NOERROR: 0, FORMERR: 1, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;
type Code = keyof typeof codes;
const flags = { aa: 1 << 10, tc: 1 << 9, rd: 1 << 8 } as const;
const plainUdpBytes = 512;
/** Records of a transfer in one message; each stays far below 64 KiB. */
const recordsPerMessage = 100;

/** `fraction` is a chance in [0, 1) for each answer: weights decide which address comes first. */
export function answerZone(
  zone: ZoneContent,
  question: ZoneQuestion,
  fraction: () => number,
): ZoneReply {
  const asked = readQuestion(question.bytes);
  if (asked === undefined) return { messages: [], outcome: 'dropped' };
  const { packet } = asked;
  if (asked.opcode !== 0) return refusal(asked, 'NOTIMP');
  const [first] = packet.questions ?? [];
  if (first === undefined || (packet.questions ?? []).length !== 1)
    return refusal(asked, 'FORMERR');
  const name = first.name.toLowerCase();
  const isOurs = name === zone.origin || name.endsWith(`.${zone.origin}`);
  if (!isOurs || (first.class ?? 'IN') !== 'IN') return refusal(asked, 'REFUSED');
  if (first.type === 'AXFR' || first.type === 'IXFR') return transfer(zone, asked, question);
  return plainAnswer(zone, asked, { name, type: first.type, question, fraction });
}

/** The shortest answer there is: "ask over TCP"; undefined for what is no query. */
export function truncatedAnswer(bytes: Uint8Array): Buffer | undefined {
  const asked = readQuestion(bytes);
  return asked && message(asked, 'NOERROR', { isTruncated: true });
}

interface Asked {
  readonly packet: Packet;
  readonly opcode: number;
  readonly questions: readonly Question[];
  /** Largest answer this client takes over UDP. */
  readonly udpBytes: number;
  readonly hasEdns: boolean;
}

/** Undefined for what is no query: answering it could make two servers answer each other for ever. */
function readQuestion(bytes: Uint8Array): Asked | undefined {
  const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (message.length < layoutLimits.headerBytes || ((message[2] ?? 0x80) & 0x80) !== 0) {
    return undefined;
  }
  try {
    checkLayout(message);
    const packet = decode(message);
    const opt = (packet.additionals ?? []).find(({ type }) => type === 'OPT') as
      | { readonly udpPayloadSize?: number }
      | undefined;
    const wished = opt?.udpPayloadSize ?? plainUdpBytes;
    return {
      packet,
      opcode: ((message[2] ?? 0) >> 3) & 15,
      questions: packet.questions ?? [],
      udpBytes: Math.min(Math.max(wished, plainUdpBytes), ednsUdpBytes),
      hasEdns: opt !== undefined,
    };
  } catch {
    return undefined; // damaged: whoever sent it does not wait for an answer of ours
  }
}

function refusal(asked: Asked, code: Code): ZoneReply {
  return { messages: [message(asked, code, {})], outcome: 'refused' };
}

interface Sections {
  readonly answers?: readonly ResourceRecord[];
  readonly authorities?: readonly ResourceRecord[];
  readonly additionals?: readonly ResourceRecord[];
  readonly isTruncated?: boolean;
}

function message(asked: Asked, code: Code, sections: Sections): Buffer {
  const { packet, questions, hasEdns } = asked;
  const isAnswer = code === 'NOERROR' || code === 'NXDOMAIN';
  const opt = { type: 'OPT', name: '.', udpPayloadSize: ednsUdpBytes, flags: 0, options: [] };
  return encode({
    type: 'response',
    id: packet.id ?? 0,
    flags:
      codes[code] |
      (asked.opcode << 11) |
      (isAnswer ? flags.aa : 0) |
      (sections.isTruncated === true ? flags.tc : 0) |
      ((packet.flags ?? 0) & flags.rd),
    questions: [...questions],
    answers: (sections.answers ?? []).map(toWire),
    authorities: (sections.authorities ?? []).map(toWire),
    additionals: [
      ...(sections.additionals ?? []).map(toWire),
      ...(hasEdns ? [opt as unknown as Answer] : []),
    ],
  });
}

interface Wish {
  readonly name: string;
  readonly type: string;
  readonly question: ZoneQuestion;
  readonly fraction: () => number;
}

function plainAnswer(zone: ZoneContent, asked: Asked, wish: Wish): ZoneReply {
  const own = zone.records.filter((record) => record.name === wish.name);
  const soa = zone.records.slice(0, 1);
  if (own.length === 0) {
    const isBranch = zone.records.some((record) => record.name.endsWith(`.${wish.name}`));
    const code = isBranch ? 'NOERROR' : 'NXDOMAIN';
    return { messages: [message(asked, code, { authorities: soa })], outcome: 'negative' };
  }
  const matching = own.filter(({ type }) => type === wish.type);
  if (wish.type === 'ANY') return fit(asked, wish, { answers: soa });
  if (matching.length === 0) {
    return { messages: [message(asked, 'NOERROR', { authorities: soa })], outcome: 'negative' };
  }
  const answers = weighed(matching, zone.weights, wish.fraction);
  return fit(asked, wish, { answers, additionals: targetsOf(zone, answers) });
}

/** Extra records are left out before the answer is cut (RFC 2181 9). */
function fit(asked: Asked, { question }: Wish, sections: Sections): ZoneReply {
  const limit = question.transport === 'tcp' ? 65_535 : asked.udpBytes;
  const whole = message(asked, 'NOERROR', sections);
  if (whole.length <= limit) return { messages: [whole], outcome: 'answered' };
  const bare = message(asked, 'NOERROR', { answers: sections.answers ?? [] });
  if (bare.length <= limit) return { messages: [bare], outcome: 'answered' };
  return { messages: [message(asked, 'NOERROR', { isTruncated: true })], outcome: 'truncated' };
}

/** The addresses of SRV and NS targets, so that nobody has to ask again. */
function targetsOf(zone: ZoneContent, answers: readonly ResourceRecord[]): ResourceRecord[] {
  const targets = new Set(
    answers.flatMap((record) => {
      if (record.type === 'SRV') return [record.srv.target];
      return record.type === 'NS' ? [record.target] : [];
    }),
  );
  return zone.records.filter(
    ({ name, type }) => targets.has(name) && (type === 'A' || type === 'AAAA'),
  );
}

/** Each place in turn goes to one of the rest with a chance by its weight. */
function weighed(
  records: readonly ResourceRecord[],
  weights: ReadonlyMap<string, number>,
  fraction: () => number,
): readonly ResourceRecord[] {
  const rest = [...records];
  const ordered: ResourceRecord[] = [];
  const weightOf = (record: ResourceRecord): number =>
    'address' in record ? (weights.get(record.address) ?? 1) : 1;
  while (rest.length > 0) {
    const total = rest.reduce((sum, record) => sum + weightOf(record), 0);
    let left = fraction() * total;
    const index = rest.findIndex((record) => {
      left -= weightOf(record);
      return left < 0;
    });
    ordered.push(...rest.splice(Math.max(index, 0), 1));
  }
  return ordered;
}

/** RFC 5936 over TCP to whom it is allowed; over UDP a secondary learns the serial (RFC 1995). */
function transfer(zone: ZoneContent, asked: Asked, question: ZoneQuestion): ZoneReply {
  const [first] = asked.questions;
  if (!question.mayTransfer || first?.name.toLowerCase() !== zone.origin)
    return refusal(asked, 'REFUSED');
  const soa = zone.records.slice(0, 1);
  if (question.transport === 'udp') {
    if (first.type !== 'IXFR') return refusal(asked, 'REFUSED');
    return { messages: [message(asked, 'NOERROR', { answers: soa })], outcome: 'answered' };
  }
  const all = [...zone.records, ...soa];
  const messages: Buffer[] = [];
  for (let at = 0; at < all.length; at += recordsPerMessage) {
    messages.push(message(asked, 'NOERROR', { answers: all.slice(at, at + recordsPerMessage) }));
  }
  return { messages, outcome: 'transfer' };
}

function toWire(record: ResourceRecord): Answer {
  const common = { name: record.name, ttl: record.ttlSec, class: 'IN' as const };
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return { ...common, type: record.type, data: record.address };
    case 'CNAME':
    case 'NS':
    case 'PTR':
      return { ...common, type: record.type, data: record.target };
    case 'SOA':
      return { ...common, type: 'SOA', data: { ...record.soa } };
    case 'SRV':
      return { ...common, type: 'SRV', data: { ...record.srv } };
    case 'TXT':
      return { ...common, type: 'TXT', data: [...record.texts] };
    case 'HTTPS':
    case 'SVCB':
      throw new TypeError(`${record.type} is in no zone of ours`);
  }
}
