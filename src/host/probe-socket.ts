/**
 * Asks a manager over a real socket, within one deadline that covers name, connect and answer.
 * The resolver's own time-out cannot be shortened, so a late answer of it is simply not awaited.
 */
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { connect, isIP } from 'node:net';
import { type Clock, deadline } from '../clock.ts';
import { messageOf, never, systemCodeOf } from '../guards.ts';
import { barePing, framedPing, isBarePong, readFramedPong } from '../health/ping.ts';
import type { ProbeFailure, ProbeOutcome, Prober, ProbeTarget } from '../health/probe.ts';

/** A prober on this host's sockets; `resolve` gives every address of a name, best first. */
export function buildProber(clock: Clock, resolve: Resolve = resolveName): Prober {
  return {
    async probe(target, deadlineMs, signal) {
      const startMs = clock.monotonicMs();
      const limit = deadline(clock, deadlineMs, signal);
      let ips: readonly string[] = [];
      const tookMs = (): number => clock.monotonicMs() - startMs;
      try {
        ips = await untilAborted(resolve(target.address), limit.signal);
        const ip = ips[0];
        if (ip === undefined) throw new ProbeProblem('unresolved', target.address);
        await ask({ ...target, address: ip }, limit.signal);
        return { kind: 'alive', tookMs: tookMs(), ips };
      } catch (thrown) {
        if (signal?.aborted) throw signal.reason;
        return deadOutcome(thrown, limit.signal.aborted, { tookMs: tookMs(), ips });
      } finally {
        limit.cancel();
      }
    },
  };
}

type Resolve = (name: string) => Promise<readonly string[]>;

class ProbeProblem extends Error {
  readonly failure: ProbeFailure;
  constructor(failure: ProbeFailure, message: string) {
    super(message);
    this.failure = failure;
  }
}

/** The order of the system's resolver is kept: the agent too uses the first address. */
async function resolveName(name: string): Promise<readonly string[]> {
  if (isIP(name) !== 0) return [name];
  const found = await lookup(name, { all: true, order: 'verbatim' });
  return found.map(({ address }) => address);
}

function ask(target: ProbeTarget, signal: AbortSignal): Promise<void> {
  switch (target.kind) {
    case 'ping-tcp':
      return askOverTcp(target, true, signal);
    case 'connect':
      return askOverTcp(target, false, signal);
    case 'ping-udp':
      return askOverUdp(target, signal);
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

/** At most 16 hostile bytes reach a message, in hex (trust-and-safety 2.2). */
function wrongAnswer(bytes: Uint8Array): ProbeProblem {
  const shown = Buffer.from(bytes.subarray(0, 16)).toString('hex');
  return new ProbeProblem('wrong_answer', `answered with bytes ${shown}`);
}

const failureOfCode: Readonly<Record<string, ProbeFailure>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'closed',
  EPIPE: 'closed',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EADDRNOTAVAIL: 'unreachable',
  ETIMEDOUT: 'silent',
  ENOTFOUND: 'unresolved',
  EAI_AGAIN: 'unresolved',
};

function deadOutcome(
  thrown: unknown,
  timedOut: boolean,
  common: { readonly tookMs: number; readonly ips: readonly string[] },
): ProbeOutcome {
  if (timedOut) {
    const failure = common.ips.length === 0 ? 'unresolved' : 'silent';
    return { kind: 'dead', failure, detail: `after ${Math.round(common.tookMs)} ms`, ...common };
  }
  const known = thrown instanceof ProbeProblem ? thrown.failure : undefined;
  const failure = known ?? failureOfCode[systemCodeOf(thrown) ?? ''] ?? 'failed';
  return { kind: 'dead', failure, detail: messageOf(thrown), ...common };
}

/** Settle as `work` does, or reject as soon as `signal` aborts; a later rejection of `work` is mute. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
