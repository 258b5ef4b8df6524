/** What one session knows, and the few moves that every part of it shares. */
import type { Random } from '../../clock.ts';
import { WireError } from '../../errors.ts';
import { answerWords, type Role } from '../wire/command.ts';
import { defaultLimits, type SessionLimits } from '../wire/limits.ts';
import type { Seal } from '../wire/seal.ts';
import { encodeFault } from '../wire/wazuh-json.ts';
import { Channel } from './channel.ts';
import { Incoming } from './incoming.ts';
import type { KeptFile } from './incoming-files.ts';
import { Negotiation, type OfferPolicy } from './negotiation.ts';
import { Outbox, type Outgoing } from './outbox.ts';
import type { Output, Reply, StoreStep } from './output.ts';
import { Pending } from './pending.ts';
import { firstPhase, type Phase } from './phase.ts';

export interface SessionOptions {
  readonly role: Role;
  /** Absent only on the local socket. */
  readonly seal?: Seal;
  readonly random: Random;
  readonly limits?: SessionLimits;
  /** Monotonic, as every `nowMs`. */
  readonly openedAtMs: number;
  /** Wall clock minus monotonic clock, for the dates inside tokens. */
  readonly wallOffsetMs: number;
  /** Absent: behave as a stock node in every respect. */
  readonly offer?: OfferPolicy;
  /** Of the session before this one; the driver has its bytes. */
  readonly kept?: KeptFile | undefined;
}

/** A served request whose answer waits until its bytes are stored. */
export interface Storing {
  readonly step: StoreStep;
  readonly word: string;
  readonly plaintext: Uint8Array;
}

/** Mutable, and private to the session that made it. */
export interface State {
  readonly role: Role;
  readonly limits: SessionLimits;
  readonly channel: Channel;
  readonly outbox: Outbox;
  readonly pending: Pending;
  readonly incoming: Incoming;
  readonly negotiation: Negotiation;
  /** Counters of the peer's requests that the role has not answered. */
  readonly openAsks: Set<number>;
  readonly storing: Map<number, Storing>;
  /** What the call under way has produced so far. */
  out: Output[];
  phase: Phase;
  phaseDeadlineMs: number;
  strikes: number;
  greetingBytes: number;
  /** Master: the name in the peer's last hello. */
  peerNode: string;
  /** Worker: the counter of our offer. */
  offerCounter: number | undefined;
  /** Master: the features to announce once a protected message proves the peer. */
  unproven: ReadonlySet<string> | undefined;
  /** When transfers are next looked at; infinite when there are none. */
  sweepAtMs: number;
}

export function newState(options: SessionOptions): State {
  const { role, random, seal, wallOffsetMs } = options;
  const limits = options.limits ?? defaultLimits;
  const draw = (): number => Buffer.from(random.bytes(4)).readUInt32BE(0);
  const channel = new Channel({ seal, limits, random, wallOffsetMs });
  return {
    role,
    limits,
    channel,
    outbox: new Outbox(channel, limits),
    pending: new Pending(limits, draw()),
    incoming: new Incoming(limits, draw, options.kept),
    negotiation: new Negotiation({ role, seal, random, policy: options.offer }),
    openAsks: new Set(),
    storing: new Map(),
    out: [],
    phase: firstPhase(role),
    phaseDeadlineMs:
      role === 'master' ? options.openedAtMs + limits.greetingMs : Number.POSITIVE_INFINITY,
    strikes: 0,
    greetingBytes: 0,
    peerNode: '',
    offerCounter: undefined,
    unproven: undefined,
    sweepAtMs: Number.POSITIVE_INFINITY,
  };
}

export function send(state: State, message: Outgoing, nowMs: number): void {
  for (const output of state.outbox.send(message, nowMs)) state.out.push(output);
}

export function reply(state: State, counter: number, value: Reply, nowMs: number): void {
  const word = value.kind === 'ok' ? answerWords.ok : answerWords.failed;
  send(state, { counter, word, plaintext: replyBody(value) }, nowMs);
}

function replyBody(value: Reply): Uint8Array {
  if (value.kind === 'fault') return encodeFault(value.fault);
  const body = value.kind === 'ok' ? value.payload : value.text;
  return typeof body === 'string' ? Buffer.from(body, 'utf8') : body;
}

/** Emit store steps; the last one carries `counter`. It is returned: its answer must wait. */
export function store(
  state: State,
  steps: readonly StoreStep[],
  counter?: number,
): StoreStep | undefined {
  const last = steps.at(-1);
  for (const step of steps) {
    const isLast = step === last && counter !== undefined;
    state.out.push(isLast ? { kind: 'store', step, counter } : { kind: 'store', step });
  }
  return last;
}

/** Before hello a peer has a few tries. Throws `WireError` after the last. */
export function strike(state: State): void {
  state.strikes += 1;
  if (state.strikes < state.limits.greetingStrikes) return;
  throw new WireError('wire_broken', `${state.strikes} requests without a good hello`);
}

/** Look at transfers again some time after now, if there are any. */
export function scheduleSweep(state: State, nowMs: number): void {
  const isIdle = state.incoming.isEmpty;
  state.sweepAtMs = isIdle
    ? Number.POSITIVE_INFINITY
    : Math.max(nowMs + 1, nowMs + state.limits.transferIdleMs / 10);
}
