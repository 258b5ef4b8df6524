/** One question of every kind over a real socket: resolves when the answer proves what it should. */
import { createSocket } from 'node:dgram';
import { connect, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { untilAborted } from '../clock.ts';
import { never } from '../guards.ts';
import { barePing, framedPing, isBarePong, readFramedPong } from '../health/ping.ts';
import type { ProbeFailure, ProbeTarget } from '../health/probe.ts';

export class ProbeProblem extends Error {
  readonly failure: ProbeFailure;
  constructor(failure: ProbeFailure, message: string) {
    super(message);
    this.failure = failure;
  }
}

/** An address of the target, and the name it was found under. */
export interface AskedTarget extends ProbeTarget {
  readonly name: string;
}

export function ask(target: AskedTarget, signal: AbortSignal): Promise<void> {
  switch (target.kind) {
    case 'ping-tcp':
      return askOverTcp(target, true, signal);
    case 'connect':
      return askOverTcp(target, false, signal);
    case 'ping-udp':
      return askOverUdp(target, signal);
    case 'https':
      return askOverTls(target, readHttpAnswer, signal);
    case 'enrollment':
      return askOverTls(target, undefined, signal);
    default:
      return never(target.kind);
  }
}

function askOverTcp(target: ProbeTarget, ping: boolean, signal: AbortSignal): Promise<void> {
  const socket = connect({ host: target.address, port: target.port, noDelay: true });
  return untilAborted(
    new Promise<void>((resolve, reject) => {
      let received = Buffer.alloc(0);
      socket.on('error', reject);
      socket.on('close', () => reject(new ProbeProblem('closed', 'closed before the answer')));
      socket.on('connect', () => (ping ? socket.write(framedPing) : resolve()));
      socket.on('data', (bytes: Buffer) => {
        received = Buffer.concat([received, bytes.subarray(0, 16)]);
        const reading = readFramedPong(received);
        if (reading === 'pong') resolve();
        if (reading === 'wrong') reject(wrongAnswer(received));
      });
    }),
    signal,
  ).finally(() => socket.destroy());
}

function askOverUdp(target: ProbeTarget, signal: AbortSignal): Promise<void> {
  const socket = createSocket(isIP(target.address) === 6 ? 'udp6' : 'udp4');
  return untilAborted(
    new Promise<void>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('message', (bytes) => (isBarePong(bytes) ? resolve() : reject(wrongAnswer(bytes))));
      // A connected socket hears of a closed port and only of datagrams from this manager.
      socket.connect(target.port, target.address, () => socket.send(barePing));
    }),
    signal,
  ).finally(() => socket.close());
}

type ReadAnswer = (received: Buffer) => 'more' | 'good' | ProbeProblem;

/**
 * Who it is does not matter here, only that it works: a probe sends no secret and trusts no word,
 * and managers' certificates are their own by default (agent-side.md 5.2). Without `read` the
 * handshake is the answer; enrollment would register whoever says more.
 */
function askOverTls(
  { address, name, port, kind }: AskedTarget,
  read: ReadAnswer | undefined,
  signal: AbortSignal,
): Promise<void> {
  const socket = connectTls({
    host: address,
    port,
    ...(isIP(name) === 0 ? { servername: name } : {}),
    minVersion: kind === 'https' ? 'TLSv1.3' : 'TLSv1.2',
    rejectUnauthorized: false,
  });
  return untilAborted(
    new Promise<void>((resolve, reject) => {
      let received: Buffer = Buffer.alloc(0);
      socket.on('error', (error) => reject(tlsProblem(error)));
      socket.on('close', () => reject(new ProbeProblem('closed', 'closed before the answer')));
      socket.on('secureConnect', () => (read === undefined ? resolve() : socket.write(get(name))));
      socket.on('data', (bytes: Buffer) => {
        received = Buffer.concat([received, bytes]).subarray(0, maxAnswerBytes);
        const reading = read?.(received) ?? 'more';
        if (reading === 'good') resolve();
        if (reading instanceof ProbeProblem) reject(reading);
      });
    }),
    signal,
  ).finally(() => socket.destroy());
}

const maxAnswerBytes = 4 * 1024;

function get(name: string): string {
  const host = name.includes(':') ? `[${name}]` : name;
  return `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
}

/** `200` and the words of remoted: `{"status":"ok","module":"remoted"}` (agent-side.md 5.3). */
function readHttpAnswer(received: Buffer): ReturnType<ReadAnswer> {
  const text = received.toString('latin1');
  const status = /^HTTP\/1\.[01] (\d{3}) /.exec(text)?.[1];
  if (status !== undefined && status !== '200') {
    return new ProbeProblem('wrong_answer', `answered HTTP ${status}`);
  }
  if (/"status"\s*:\s*"ok"/.test(text) && /"module"\s*:\s*"remoted"/.test(text)) return 'good';
  const isWrong = !'HTTP/1.'.startsWith(text.slice(0, 7)) || received.length >= maxAnswerBytes;
  return isWrong ? wrongAnswer(received) : 'more';
}

function tlsProblem(error: Error): Error {
  const code = 'code' in error ? String(error.code) : '';
  const isTls = code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS');
  return isTls ? new ProbeProblem('wrong_answer', `no TLS handshake: ${code}`) : error;
}

/** At most 16 hostile bytes reach a message, in hex (trust-and-safety 2.2). */
export function wrongAnswer(bytes: Uint8Array): ProbeProblem {
  const shown = Buffer.from(bytes.subarray(0, 16)).toString('hex');
  return new ProbeProblem('wrong_answer', `answered with bytes ${shown}`);
}
