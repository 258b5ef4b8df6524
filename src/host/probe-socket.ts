/**
 * Asks a manager over a real socket, within one deadline that covers name, connect and answer.
 * The resolver's own time-out cannot be shortened, so a late answer of it is simply not awaited.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type Clock, deadline, untilAborted } from '../clock.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import type { ProbeFailure, ProbeOutcome, Prober, ProbeTarget } from '../health/probe.ts';
import { keepPing } from './kept-ping.ts';
import { ask, ProbeProblem } from './probe-asks.ts';

/** A prober on this host's sockets; `resolve` gives every address of a name, best first. */
export function buildProber(clock: Clock, resolveBy: Resolve = resolveName): Prober {
  const suspects = new Suspects();
  const resolve = (name: string) => resolveBy(name, suspects.has(name));
  const noted = async (question: Question, askAt: AskAt): Promise<ProbeOutcome> => {
    const outcome = await outcomeOf(question, askAt);
    suspects.note(question.target.address, outcome.kind === 'dead');
    return outcome;
  };
  const probe: Prober['probe'] = (target, deadlineMs, signal) =>
    noted({ clock, resolve, target, deadlineMs, signal }, (ips, limit) =>
      askAny(ips, (ip) => ask({ ...target, address: ip, name: target.address }, limit)),
    );
  return {
    probe,
    keep(target, onClosed) {
      if (target.kind !== 'ping-tcp') {
        return { ask: (ms, signal) => probe(target, ms, signal), close: () => undefined };
      }
      const kept = keepPing(target.port, onClosed);
      let last: string | undefined;
      // The address that answered is kept while the name still has it; after a failure, another.
      const askKept = async (ips: readonly string[], limit: AbortSignal): Promise<string> => {
        const ip = ips.find((one) => one === last) ?? ips[0] ?? '';
        last = undefined;
        try {
          await kept.ask(ip, limit);
          last = ip;
          return ip;
        } catch (thrown) {
          last = ips[(ips.indexOf(ip) + 1) % ips.length];
          throw thrown;
        }
      };
      return {
        ask: (deadlineMs, signal) => noted({ clock, resolve, target, deadlineMs, signal }, askKept),
        close: () => kept.close(),
      };
    },
  };
}

/** `isSuspect`: nobody answered at what it gave last time. */
export type Resolve = (name: string, isSuspect: boolean) => Promise<readonly string[]>;

interface Question {
  readonly clock: Clock;
  readonly resolve: (name: string) => Promise<readonly string[]>;
  readonly target: ProbeTarget;
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
}

/** The address that answered. */
type AskAt = (ips: readonly string[], limit: AbortSignal) => Promise<string>;

const maxSuspects = 256;

/** Names at whose addresses nobody answered last. Bounded. */
class Suspects {
  readonly #names = new Set<string>();

  has(name: string): boolean {
    return this.#names.has(name);
  }

  note(name: string, isDead: boolean): void {
    if (!isDead || this.#names.size >= maxSuspects) this.#names.delete(name);
    else this.#names.add(name);
  }
}

/** name -> address -> answer, as a value; rejects only with the caller's own signal. */
async function outcomeOf(
  { clock, resolve, target, deadlineMs, signal }: Question,
  askAt: AskAt,
): Promise<ProbeOutcome> {
  const startMs = clock.monotonicMs();
  const limit = deadline(clock, deadlineMs, signal);
  let ips: readonly string[] = [];
  const tookMs = (): number => clock.monotonicMs() - startMs;
  try {
    ips =
      isIP(target.address) === 0
        ? await untilAborted(resolve(target.address), limit.signal)
        : [target.address];
    if (ips.length === 0) throw new ProbeProblem('unresolved', target.address);
    const first = await askAt(ips, limit.signal);
    return { kind: 'alive', tookMs: tookMs(), ips: [first, ...ips.filter((ip) => ip !== first)] };
  } catch (thrown) {
    if (signal?.aborted) throw signal.reason;
    return deadOutcome(thrown, limit.signal.aborted, { tookMs: tookMs(), ips });
  } finally {
    limit.cancel();
  }
}

/** More addresses of one name are not asked at once. */
const maxAddresses = 4;

/** The first address that answers; what the first one said counts when none does. */
async function askAny(
  ips: readonly string[],
  askAt: (ip: string) => Promise<void>,
): Promise<string> {
  const asked = ips.slice(0, maxAddresses).map((ip) => askAt(ip).then(() => ip));
  try {
    return await Promise.any(asked);
  } catch {
    return await (asked[0] ?? Promise.reject(new ProbeProblem('unresolved', 'no address')));
  }
}

/** The order of the system's resolver is kept: the agent too uses the first address. */
async function resolveName(name: string): Promise<readonly string[]> {
  const found = await lookup(name, { all: true, order: 'verbatim' });
  return found.map(({ address }) => address);
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
