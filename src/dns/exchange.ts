/**
 * One question to one server: UDP with what forgery must guess (id, port, letter case), TCP when the
 * answer is too long or the server folds letters, once more without EDNS for a server that trips
 * over it. RFC 5452, RFC 6891 7, RFC 7766. Anything that is not the answer is counted and ignored.
 */
import type { Random } from '../clock.ts';
import { DnsFault, type DnsFaultKind, dnsFaults } from './fault.ts';
import { mixCase, mixCaseBytes } from './name.ts';
import { decodeReply, ednsUdpBytes, encodeQuery, type Question, type Reply } from './query.ts';
import type { NameServer, ServerBook, ServerTraits } from './servers.ts';

/** accept: this is it · ignore: go on waiting · stop: waiting is of no use. */
export type Judgement = 'accept' | 'ignore' | 'stop';

/** Port: datagrams and streams. Both reject with `signal`, and with the system's error. */
export interface DnsTransport {
  /** From a fresh random port, connected to the server; undefined when `judge` said stop. */
  datagram(
    server: NameServer,
    query: Uint8Array,
    judge: (bytes: Uint8Array) => Judgement,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined>;
  /** TCP, or TLS where the server is asked so; one question, one answer of at most 65535 bytes. */
  stream(server: NameServer, query: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
}

export type FaultCounts = Record<DnsFaultKind, number>;

export function noFaults(): FaultCounts {
  return Object.fromEntries(dnsFaults.map((kind) => [kind, 0])) as FaultCounts;
}

/** Only what happened; undefined when nothing did. */
export function refusedAnswers(faults: FaultCounts): Partial<FaultCounts> | undefined {
  const happened = Object.entries(faults).filter(([, count]) => count > 0);
  return happened.length === 0 ? undefined : (Object.fromEntries(happened) as Partial<FaultCounts>);
}

/** `wrong_id 3, malformed 1`, for people. */
export function refusedText(refused: Partial<FaultCounts>): string {
  return Object.entries(refused)
    .map(([kind, count]) => `${kind} ${count}`)
    .join(', ');
}

export interface ExchangeParts {
  readonly transport: DnsTransport;
  readonly random: Random;
  readonly book: ServerBook;
  readonly faults: FaultCounts;
}

/** Rejects with DnsFault, the system's error, or `signal.reason`. */
export async function askServer(
  parts: ExchangeParts,
  server: NameServer,
  question: Question,
  signal: AbortSignal,
): Promise<Reply> {
  const traits = parts.book.traits(server);
  const reply = await askOnce(parts, server, { question, traits }, signal);
  const isEdnsTrouble = reply.code === 'FORMERR' || reply.code === 'NOTIMP';
  if (!isEdnsTrouble || !traits.knowsEdns) return reply;
  const plain = await askOnce(
    parts,
    server,
    { question, traits: { ...traits, knowsEdns: false } },
    signal,
  );
  if (plain.code !== reply.code) parts.book.learn(server, { knowsEdns: false });
  return plain;
}

interface Asking {
  readonly question: Question;
  readonly traits: ServerTraits;
}

async function askOnce(
  parts: ExchangeParts,
  server: NameServer,
  { question, traits }: Asking,
  signal: AbortSignal,
): Promise<Reply> {
  if (server.transport === 'tls') return askStream(parts, server, { question, traits }, signal);
  const query = makeQuery(parts.random, question, traits);
  let reply: Reply | undefined;
  let isFolded = false;
  const judge = (bytes: Uint8Array): Judgement => {
    try {
      reply = decodeReply(bytes, query);
      return 'accept';
    } catch (thrown) {
      isFolded = countFault(parts.faults, thrown).kind === 'wrong_case';
      return isFolded ? 'stop' : 'ignore';
    }
  };
  await parts.transport.datagram(server, query, judge, signal);
  if (reply !== undefined && !reply.isTruncated) return reply;
  // A stream cannot be forged from outside the path, so letters need not be mixed on it.
  const sure = await askStream(parts, server, { question, traits }, signal);
  if (isFolded) parts.book.learn(server, { keepsCase: false });
  return sure;
}

async function askStream(
  { transport, random, faults }: ExchangeParts,
  server: NameServer,
  { question, traits }: Asking,
  signal: AbortSignal,
): Promise<Reply> {
  const query = makeQuery(random, question, { ...traits, keepsCase: false });
  const bytes = await transport.stream(server, query, signal);
  try {
    const reply = decodeReply(bytes, query);
    if (reply.isTruncated) throw new DnsFault('malformed', 'a truncated answer on a stream');
    return reply;
  } catch (thrown) {
    throw countFault(faults, thrown);
  }
}

function makeQuery(random: Random, question: Question, traits: ServerTraits): Buffer {
  const [high = 0, low = 0] = random.bytes(2);
  const spelling = traits.keepsCase
    ? mixCase(question.name, random.bytes(mixCaseBytes))
    : question.name;
  const udpBytes = traits.knowsEdns ? { udpBytes: ednsUdpBytes } : {};
  return encodeQuery(question, { id: high * 256 + low, spelling, ...udpBytes });
}

/** Only faults are expected here; anything else is a bug and goes on up. */
function countFault(faults: FaultCounts, thrown: unknown): DnsFault {
  if (!(thrown instanceof DnsFault)) throw thrown;
  faults[thrown.kind] += 1;
  return thrown;
}
