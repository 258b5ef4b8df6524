/**
 * One connection of the cluster protocol without its socket: bytes and time in, outputs out.
 * Serves echoes, strings and files itself; hands every other request to the role, which answers
 * under its counter. Knows nothing of files on disk, of timers or of what a command is for.
 * Invariants: before a good hello nothing has an effect; an answer ends exactly one request of
 * ours; whatever the peer sends, memory stays within `SessionLimits`; after `close`, silence.
 */
import { PeerError, WireError } from '../../errors.ts';
import { type CommandName, commands, encodePayload, type Payload } from '../wire/command.ts';
import { countGreeting, drain } from './dispatch.ts';
import { admitPeer } from './greeting.ts';
import { storeFault } from './incoming.ts';
import type { KeptFile, TakenFile } from './incoming-files.ts';
import type { TakenString } from './incoming-strings.ts';
import type { Output, Reply } from './output.ts';
import type { Phase } from './phase.ts';
import type { SealedMessage } from './sealed-message.ts';
import {
  newState,
  reply,
  type SessionOptions,
  type State,
  scheduleSweep,
  send,
  store,
  strike,
} from './state.ts';

export type { SessionOptions } from './state.ts';

export interface Requested {
  readonly counter: number;
  readonly outputs: readonly Output[];
}

export class Session {
  readonly #state: State;

  constructor(options: SessionOptions) {
    this.#state = newState(options);
  }

  get phase(): Phase {
    return this.#state.phase;
  }

  /** A good hello was said (or needs not be): the budget for strangers no longer applies. */
  get isAuthenticated(): boolean {
    const { phase } = this.#state;
    return phase === 'ready' || phase === 'offering' || phase === 'proving';
  }

  /** Requests of ours that wait for their answer. */
  get pendingRequests(): number {
    return this.#state.pending.size;
  }

  /** Any chunk of the byte stream. Outputs may share memory with it. */
  receive(bytes: Uint8Array, nowMs: number): readonly Output[] {
    return this.#run((state) => {
      countGreeting(state, bytes.length);
      state.channel.push(bytes, nowMs);
      drain(state, nowMs);
    });
  }

  /**
   * Ask the peer; the answer comes as `answered` or `expired` under the counter. Throws
   * `PeerError` when closed, too early or with too many requests open.
   */
  request<Name extends CommandName>(
    command: Name,
    value: Payload<Name>,
    nowMs: number,
    timeoutMs?: number,
  ): Requested {
    const plaintext = encodePayload(command, value);
    return this.#ask(command, { plaintext }, nowMs, timeoutMs);
  }

  /** Ask with a body that was sealed before, maybe for many peers. Throws as `request`. */
  requestSealed(message: SealedMessage, nowMs: number, timeoutMs?: number): Requested {
    const { command, token, plainBytes } = message;
    return this.#ask(command, { token, plainBytes }, nowMs, timeoutMs);
  }

  /** Wait no more for this answer; a late one is swallowed. */
  abandon(counter: number): void {
    this.#state.pending.abandon(counter);
  }

  /** Answer a request that came as `asked`, except hello. A wrong counter is the caller's bug. */
  answer(counter: number, value: Reply, nowMs: number): readonly Output[] {
    if (this.#state.phase === 'closed') return [];
    if (!this.#state.openAsks.delete(counter)) throw new RangeError(`no open request ${counter}`);
    return this.#run((state) => reply(state, counter, value, nowMs));
  }

  /** Whether the peer's request under this counter still waits for its answer. */
  isAsked(counter: number): boolean {
    return this.#state.openAsks.has(counter);
  }

  /** Never answer this request (some local programs expect that). */
  dismiss(counter: number): void {
    this.#state.openAsks.delete(counter);
  }

  /** Master: the hello under this counter is good. What the peer sent after it is read now. */
  admit(counter: number, rule: { readonly mustBeOurs: boolean }, nowMs: number): readonly Output[] {
    if (!this.#judged(counter)) return [];
    return this.#run((state) => {
      admitPeer(state, counter, rule.mustBeOurs, nowMs);
      drain(state, nowMs);
    });
  }

  /** Master: the hello under this counter is refused; it may be tried again, a few times. */
  refuse(counter: number, value: Reply, nowMs: number): readonly Output[] {
    if (!this.#judged(counter)) return [];
    return this.#run((state) => {
      state.phase = 'greeting';
      reply(state, counter, value, nowMs);
      strike(state);
      drain(state, nowMs);
    });
  }

  /** A `store` output with this counter is done, or failed for `failure`. */
  stored(counter: number, failure: string | undefined, nowMs: number): readonly Output[] {
    const storing = this.#state.storing.get(counter);
    if (storing === undefined) return [];
    this.#state.storing.delete(counter);
    return this.#run((state) => {
      if (failure === undefined) {
        state.incoming.stored(storing.step);
        send(state, { counter, word: storing.word, plaintext: storing.plaintext }, nowMs);
        return;
      }
      store(state, state.incoming.failed(storing.step));
      reply(state, counter, { kind: 'fault', fault: storeFault(failure) }, nowMs);
    });
  }

  /** A complete string the peer uploaded; undefined when unknown or incomplete. Taken once. */
  takeString(id: string): TakenString | undefined {
    return this.#state.incoming.takeString(id);
  }

  /** A complete file the peer uploaded under this path; undefined when unknown or incomplete. */
  takeFile(path: string): TakenFile | undefined {
    return this.#state.incoming.takeFile(path);
  }

  /** After the end: of an upload that the next session with this peer can go on with. */
  get kept(): KeptFile | undefined {
    return this.#state.incoming.kept;
  }

  /** When `tick` has something to do at the latest; infinite when nothing waits for time. */
  get nextTickAtMs(): number {
    const { phase, phaseDeadlineMs, channel, pending, sweepAtMs } = this.#state;
    if (phase === 'closed') return Number.POSITIVE_INFINITY;
    return Math.min(phaseDeadlineMs, channel.deadlineMs, pending.soonestMs, sweepAtMs);
  }

  /** Time passed. Early calls are harmless. */
  tick(nowMs: number): readonly Output[] {
    return this.#run((state) => {
      if (nowMs >= state.phaseDeadlineMs) throw tooSlow(state);
      if (nowMs >= state.channel.deadlineMs) {
        throw new WireError('wire_broken', 'a message did not arrive completely in time');
      }
      for (const { counter, command } of state.pending.expire(nowMs)) {
        if (counter === state.offerCounter) throw silent('our offer was never answered');
        state.out.push({ kind: 'expired', counter, command });
      }
      if (nowMs < state.sweepAtMs) return;
      store(state, state.incoming.expire(nowMs));
      scheduleSweep(state, nowMs);
    });
  }

  /** The connection ended: what was never taken is dropped, but for `kept`. A second call does nothing. */
  end(): readonly Output[] {
    return this.#run((state) => end(state));
  }

  #ask(
    command: CommandName,
    body: { readonly plaintext: Uint8Array } | { readonly token: Buffer; plainBytes: number },
    nowMs: number,
    timeoutMs: number = this.#state.limits.requestTimeoutMs,
  ): Requested {
    const { phase, pending } = this.#state;
    if (phase === 'closed') throw new PeerError('link_closed', 'the link is closed');
    if (phase === 'greeting' && command !== 'hello') {
      throw new PeerError('link_closed', 'the link has not said hello yet');
    }
    if (pending.isFull) throw silent(`${pending.size} requests wait for an answer`);
    const counter = pending.add(command, nowMs + timeoutMs);
    const message = { counter, word: commands[command].wire, ...body };
    return { counter, outputs: this.#run((state) => send(state, message, nowMs)) };
  }

  /** Whether this counter is the hello that waits for a verdict. */
  #judged(counter: number): boolean {
    return this.#state.phase === 'judging' && this.#state.openAsks.delete(counter);
  }

  /** Collect the outputs of `work`; what breaks the protocol ends the session. */
  #run(work: (state: State) => void): readonly Output[] {
    const state = this.#state;
    if (state.phase === 'closed') return [];
    try {
      work(state);
    } catch (error) {
      if (!(error instanceof WireError || error instanceof PeerError)) throw error;
      end(state);
      state.out.push({ kind: 'close', error });
    }
    const outputs = state.out;
    state.out = [];
    return outputs;
  }
}

function end(state: State): void {
  state.phase = 'closed';
  store(state, state.incoming.finish());
  state.openAsks.clear();
  state.storing.clear();
}

function tooSlow(state: State): WireError | PeerError {
  if (state.phase === 'proving') return silent('the peer must be one of ours and made no offer');
  return new WireError('wire_limit', `no good hello within ${state.limits.greetingMs} ms`);
}

function silent(what: string): PeerError {
  return new PeerError('peer_silent', what);
}
