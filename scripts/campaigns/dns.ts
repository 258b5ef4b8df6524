/**
 * Damaged and forged DNS replies: none may crash or hang the decoder, and none may be taken for the
 * answer unless its id and question are byte for byte what was asked.
 */
import { parseArgs } from 'node:util';
import { encode } from 'dns-packet';
import { DnsFault } from '../../src/dns/fault.ts';
import { followReply } from '../../src/dns/follow.ts';
import { mixCase } from '../../src/dns/name.ts';
import { decodeReply, encodeQuery, type Question } from '../../src/dns/query.ts';
import { typeNumbers } from '../../src/dns/record.ts';
import { encodeServiceBinding } from '../../src/dns/svcb.ts';
import { messageOf } from '../../src/guards.ts';
import { seededRandom } from './verdicts.ts';

const LONG = 2_000_000;
const SHORT = 20_000;
const SHOWN = 10;
const headerBytes = 12;

type Choose = (bound: number) => number;

interface Tally {
  packets: number;
  accepted: number;
  slowestMs: number;
  readonly refused: Map<string, number>;
  readonly crashes: string[];
  readonly spoofs: string[];
}

export const campaign = {
  name: 'dns',
  summary: 'two million damaged and forged DNS replies: no crash, no accepted spoof',
  usage: 'dns [--short] [--seed N] [--packets N]',

  /** Exit code 0 without crash and accepted spoof, else 1. */
  async run(args: readonly string[], print: (line: string) => void): Promise<number> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        short: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
        packets: { type: 'string' },
      },
    });
    const seed = Number(values.seed);
    const packets = Number(values.packets ?? (values.short ? SHORT : LONG));
    if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(packets) || packets < 1) {
      print(`usage: ${campaign.usage}`);
      return 2;
    }
    const tally: Tally = {
      ...{ packets: 0, accepted: 0, slowestMs: 0 },
      ...{ refused: new Map(), crashes: [], spoofs: [] },
    };
    const startedMs = performance.now();
    for (let index = 0; index < packets; index += 1) {
      const random = seededRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b));
      checkPacket(`${seed}:${index}`, (bound) => Math.floor(random() * bound), tally);
    }
    report(tally, seed, performance.now() - startedMs, print);
    return tally.crashes.length + tally.spoofs.length === 0 ? 0 : 1;
  },
};

const questions: readonly Question[] = [
  { name: 'wm.example.test', type: 'A' },
  { name: 'wm.example.test', type: 'AAAA' },
  { name: '_wazuh._tcp.example.test', type: 'SRV' },
  { name: 'svc.example.test', type: 'HTTPS' },
  { name: 'example.test', type: 'SOA' },
  { name: 'txt.example.test', type: 'TXT' },
];

function checkPacket(label: string, choose: Choose, tally: Tally): void {
  const question = questions[choose(questions.length)] ?? { name: 'wm.example.test', type: 'A' };
  const bits = Uint8Array.from({ length: 32 }, () => choose(256));
  const spelling = mixCase(question.name, bits);
  const query = encodeQuery(question, { id: choose(65_536), spelling, udpBytes: 1_232 });
  const bytes = damage(choose, wholeReply(choose, question, query));
  tally.packets += 1;
  const startedMs = performance.now();
  try {
    const reply = decodeReply(bytes, query);
    followReply(reply, question);
    tally.accepted += 1;
    if (!isAnswerTo(bytes, query)) tally.spoofs.push(`${label}: ${bytes.toString('hex')}`);
  } catch (thrown) {
    if (thrown instanceof DnsFault) {
      tally.refused.set(thrown.kind, (tally.refused.get(thrown.kind) ?? 0) + 1);
    } else {
      tally.crashes.push(`${label}: ${messageOf(thrown)} ${bytes.toString('hex')}`);
    }
  }
  tally.slowestMs = Math.max(tally.slowestMs, performance.now() - startedMs);
}

/** Said without the decoder: same id, a response to a query, and the question's own bytes. */
function isAnswerTo(bytes: Buffer, query: Buffer): boolean {
  const end = query.indexOf(0, headerBytes) + 5;
  const isReply = ((bytes[2] ?? 0) & 0xf8) === 0x80;
  const code = (bytes[3] ?? 0) & 15;
  const hasNoQuestion = bytes.readUInt16BE(4) === 0 && (code === 1 || code === 4);
  const isSameQuestion = bytes.subarray(headerBytes, end).equals(query.subarray(headerBytes, end));
  return (
    isReply && bytes.readUInt16BE(0) === query.readUInt16BE(0) && (isSameQuestion || hasNoQuestion)
  );
}

function wholeReply(choose: Choose, question: Question, query: Buffer): Buffer {
  const end = query.indexOf(0, headerBytes) + 5;
  const answers = Array.from({ length: choose(4) }, () => record(choose, question));
  const soa = {
    mname: 'ns.test',
    rname: 'admin.test',
    serial: 1,
    refresh: 1,
    retry: 1,
    expire: 1,
    minimum: 9,
  };
  const body = encode({
    type: 'response',
    flags: 0x180,
    answers: answers as never,
    authorities: [{ name: 'example.test', type: 'SOA', ttl: choose(600), data: soa }],
  }).subarray(headerBytes);
  const head = Buffer.alloc(headerBytes);
  query.copy(head, 0, 0, 2);
  head.writeUInt16BE(choose(8) === 0 ? 0x8180 + choose(6) : 0x8180, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(answers.length, 6);
  head.writeUInt16BE(1, 8);
  return Buffer.concat([head, query.subarray(headerBytes, end), body]);
}

function record(choose: Choose, { name, type }: Question): object {
  const ttl = choose(4) === 0 ? choose(2 ** 32) : choose(3_600);
  const srv = { priority: choose(9), weight: choose(9), port: 1_514, target: 'wm.example.test' };
  const binding = encodeServiceBinding({
    ...{ priority: 1, target: '', alpn: ['h2'], port: 1_517, mandatory: [] },
    ...{ ipv4hint: ['192.0.2.1'], ipv6hint: [] },
  });
  const soa = {
    mname: 'ns.test',
    rname: 'a.test',
    serial: 1,
    refresh: 1,
    retry: 1,
    expire: 1,
    minimum: 9,
  };
  const table: Readonly<Record<string, unknown>> = {
    ...{ A: '192.0.2.1', AAAA: '2001:db8::1', SRV: srv, TXT: ['x'], SOA: soa },
    ...{ CNAME: 'other.example.test', HTTPS: binding },
  };
  if (choose(4) === 0) return { name, type: 'CNAME', ttl, data: table.CNAME };
  const spelled = type === 'HTTPS' ? `UNKNOWN_${typeNumbers.HTTPS}` : type;
  return { name, type: spelled, ttl, data: table[type] };
}

/** Nothing, some bytes, a cut, pointers, lengths, or pure noise. */
function damage(choose: Choose, whole: Buffer): Buffer {
  const bytes = Buffer.from(whole);
  const at = (): number => choose(bytes.length);
  switch (choose(8)) {
    case 0:
      return bytes;
    case 1:
      return Buffer.from(Array.from({ length: choose(600) }, () => choose(256)));
    case 2:
      return bytes.subarray(0, choose(bytes.length + 1));
    case 3:
      return Buffer.concat([bytes, bytes.subarray(at())]);
    case 4:
      bytes[at()] = 0xc0 + choose(4);
      bytes[at()] = 0xc0;
      return bytes;
    case 5:
      bytes.writeUInt16BE(choose(65_536), choose(headerBytes - 1));
      return bytes;
    default:
      for (let times = 1 + choose(6); times > 0; times -= 1) bytes[at()] = choose(256);
      return bytes;
  }
}

function report(
  tally: Tally,
  seed: number,
  elapsedMs: number,
  print: (line: string) => void,
): void {
  const kinds = [...tally.refused].map(([kind, count]) => `${kind} ${count}`).join(', ');
  print(
    `packets   ${tally.packets} (seed ${seed}), ${Math.round((tally.packets / elapsedMs) * 1000)} a second`,
  );
  print(`accepted  ${tally.accepted}`);
  print(`refused   ${kinds}`);
  print(`slowest   ${tally.slowestMs.toFixed(2)} ms`);
  print(`crashes   ${tally.crashes.length}`);
  print(`spoofs    ${tally.spoofs.length}`);
  for (const line of [...tally.crashes, ...tally.spoofs].slice(0, SHOWN)) print(line);
}
