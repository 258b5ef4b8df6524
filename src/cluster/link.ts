/**
 * Drives one session over one socket: reads, writes whole frames, keeps time, stores what is too
 * large for memory. Decides nothing about the protocol. Bounds: a peer that does not read is not
 * read from either, and is dropped when nothing moves for a minute; a close ends in time.
 */
import type { Socket } from 'node:net';
import type { Cancel, Clock, Random } from '../clock.ts';
import { PeerError } from '../errors.ts';
import { messageOf, never } from '../guards.ts';
import type { AddressBudget } from './address-budget.ts';
import { Answers } from './answers.ts';
import { FrameWriter, pauseAtBytes } from './frame-writer.ts';
import type { KeptFile, TakenFile } from './session/incoming-files.ts';
import type { TakenString } from './session/incoming-strings.ts';
import type { Answer, Asked, Output, PeerKind, Reply } from './session/output.ts';
import type { SealedMessage } from './session/sealed-message.ts';
import { type Requested, Session, type SessionOptions } from './session/session.ts';
import { StoreQueue, type TransferStore } from './store-queue.ts';
import type { CommandName, Payload } from './wire/command.ts';
import { type Fault, fault } from './wire/fault.ts';

/** What the role does with a link; called in the order in which things happened. */
export interface LinkHandler {
  /** Answer now or later with `link.answer`, or `admit` and `refuse` for hello. */
  asked(asked: Asked, link: Link): void;
  /** `asked` threw: the peer got error 1000; a bug to be logged. */
  failed?(error: unknown, asked: Asked, link: Link): void;
  ready?(link: Link): void;
  alive?(link: Link): void;
  leaving?(link: Link): void;
  said?(bytes: Uint8Array, link: Link): void;
  outranked?(token: number, link: Link): void;
  recognised?(peer: PeerKind, features: ReadonlySet<string>, link: Link): void;
  cancelled?(taskId: string | undefined, reason: Fault, link: Link): void;
}

export interface LinkPorts {
  readonly clock: Clock;
  readonly random: Random;
  /** One store per link: transfer numbers are the session's. */
  readonly store: TransferStore;
  readonly handler: LinkHandler;
  /** Listening side: what strangers of one address may make us hold, all links together. */
  readonly budget?: AddressBudget;
}

export type LinkSession = Pick<SessionOptions, 'role' | 'seal' | 'limits' | 'offer' | 'kept'>;

/** How a link ended; `error` is absent when either side closed in order. */
export interface LinkEnd {
  readonly by: 'us' | 'peer';
  readonly error?: Error;
}

export interface RequestOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Who asked for what is sent: our answers stop us from reading when they pile up. */
type Sent = 'request' | 'answer';

const closeMs = 2_000;

export class Link {
  /** Remote address; empty when the socket has none. */
  readonly peerAddress: string;
  /** Resolves, never rejects, when the link has ended and its store is quiet. */
  readonly ended: Promise<LinkEnd>;
  readonly #socket: Socket;
  readonly #ports: LinkPorts;
  readonly #session: Session;
  readonly #store: StoreQueue;
  readonly #writer: FrameWriter;
  readonly #answers = new Answers();
  readonly #resolveEnded: (end: LinkEnd) => void;
  #tick: { readonly atMs: number; readonly cancel: Cancel } | undefined;
  #killer: Cancel | undefined;
  #end: LinkEnd | undefined;
  #chargedBytes = 0;
  readonly #outputs: { readonly output: Output; readonly sent: Sent }[] = [];
  #isPerforming = false;

  /** Takes over a connected socket. */
  constructor(socket: Socket, session: LinkSession, ports: LinkPorts) {
    const { clock, random } = ports;
    const openedAtMs = clock.monotonicMs();
    const wallOffsetMs = clock.nowMs() - openedAtMs;
    this.#socket = socket;
    this.#ports = ports;
    this.#store = new StoreQueue(ports.store);
    this.#writer = new FrameWriter(socket, clock, () => this.#stalled());
    this.#session = new Session({ ...session, random, openedAtMs, wallOffsetMs });
    this.peerAddress = socket.remoteAddress ?? '';
    const { promise, resolve } = Promise.withResolvers<LinkEnd>();
    this.ended = promise;
    this.#resolveEnded = resolve;
    socket.setNoDelay(true);
    this.#listen();
    if (!this.#charge(ports.budget?.connectionBytes ?? 0)) return;
    this.#schedule();
  }

  get isOpen(): boolean {
    return this.#end === undefined && this.#killer === undefined;
  }

  /** Ask the peer. Rejects with `PeerError` (silent, closed) or with the signal's reason. */
  request<Name extends CommandName>(
    command: Name,
    value: Payload<Name>,
    options: RequestOptions = {},
  ): Promise<Answer> {
    const now = this.#ports.clock.monotonicMs();
    return this.#await(options.signal, () =>
      this.#session.request(command, value, now, options.timeoutMs),
    );
  }

  /** Ask with a body sealed before, maybe for many peers. */
  requestSealed(message: SealedMessage, options: RequestOptions = {}): Promise<Answer> {
    const now = this.#ports.clock.monotonicMs();
    return this.#await(options.signal, () =>
      this.#session.requestSealed(message, now, options.timeoutMs),
    );
  }

  answer(counter: number, reply: Reply): void {
    this.#handle(this.#session.answer(counter, reply, this.#ports.clock.monotonicMs()));
  }

  /** Never answer this request. */
  dismiss(counter: number): void {
    this.#session.dismiss(counter);
  }

  /** Master: the hello under this counter is good. */
  admit(counter: number, rule: { readonly mustBeOurs: boolean }): void {
    const now = this.#ports.clock.monotonicMs();
    this.#handle(this.#session.admit(counter, rule, now));
    if (this.#session.isAuthenticated) this.#release();
  }

  /** Master: the hello under this counter is refused. */
  refuse(counter: number, reason: Fault): void {
    const now = this.#ports.clock.monotonicMs();
    this.#handle(this.#session.refuse(counter, { kind: 'fault', fault: reason }, now));
  }

  takeString(id: string): TakenString | undefined {
    return this.#session.takeString(id);
  }

  takeFile(path: string): TakenFile | undefined {
    return this.#session.takeFile(path);
  }

  /** After the end: an upload that the next link to this peer can go on with. */
  get kept(): KeptFile | undefined {
    return this.#session.kept;
  }

  /** Resolves when little waits to be written, or the link has ended. Await it before bulk. */
  flushed(): Promise<void> {
    return this.isOpen ? this.#writer.flushed() : Promise.resolve();
  }

  /** Write what waits, then close; by force after two seconds. */
  close(error?: Error): Promise<LinkEnd> {
    this.#hangUp({ by: 'us', ...(error === undefined ? {} : { error }) });
    return this.ended;
  }

  #listen(): void {
    const socket = this.#socket;
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
    socket.on('drain', () => this.#drained());
    socket.on('error', (error) => this.#finish({ by: 'peer', error }));
    socket.on('close', () => this.#finish({ by: 'peer' }));
  }

  #received(chunk: Buffer): void {
    if (!this.isOpen) return;
    if (!this.#session.isAuthenticated && !this.#charge(chunk.length)) return;
    this.#handle(this.#session.receive(chunk, this.#ports.clock.monotonicMs()));
  }

  /**
   * Outputs leave in the order in which the session made them, also when performing one makes
   * more: between our own nodes every message carries its place in that order.
   */
  #handle(outputs: readonly Output[], sent: Sent = 'answer'): void {
    for (const output of outputs) this.#outputs.push({ output, sent });
    if (this.#isPerforming) return;
    this.#isPerforming = true;
    try {
      for (let next = this.#outputs.shift(); next !== undefined; next = this.#outputs.shift()) {
        this.#perform(next.output, next.sent);
      }
    } finally {
      this.#isPerforming = false;
    }
    this.#writer.flush();
    this.#balance();
    this.#schedule();
  }

  #perform(output: Output, sent: Sent): void {
    const { handler } = this.#ports;
    switch (output.kind) {
      case 'send':
        this.#writer.add(output.bytes, sent);
        return;
      case 'asked':
        this.#asked(output);
        return;
      case 'answered':
        this.#answers.settle(output.counter, output.answer);
        return;
      case 'expired':
        this.#answers.fail(
          output.counter,
          new PeerError('peer_silent', `no answer in time to ${output.command}`),
        );
        return;
      case 'store':
        this.#store.push(output.step, (failure) => this.#stored(output.counter, failure));
        return;
      case 'alive':
        handler.alive?.(this);
        return;
      case 'leaving':
        handler.alive?.(this);
        handler.leaving?.(this);
        return;
      case 'said':
        handler.alive?.(this);
        handler.said?.(output.bytes, this);
        return;
      case 'outranked':
        handler.outranked?.(output.token, this);
        return;
      case 'cancelled':
        handler.cancelled?.(output.taskId, output.fault, this);
        return;
      case 'recognised':
        handler.recognised?.(output.peer, output.features, this);
        return;
      case 'ready':
        handler.ready?.(this);
        return;
      case 'close':
        this.#writer.flush();
        this.#hangUp({ by: 'us', error: output.error });
        return;
      default:
        never(output);
    }
  }

  #asked(asked: Asked): void {
    const { handler } = this.#ports;
    try {
      handler.asked(asked, this);
    } catch (error) {
      handler.failed?.(error, asked, this);
      const reason = fault(1000, messageOf(error).slice(0, 256));
      if (asked.command === 'hello') this.refuse(asked.counter, reason);
      else this.#answerLate(asked.counter, { kind: 'fault', fault: reason });
    }
  }

  /** The handler may have answered before it threw. */
  #answerLate(counter: number, reply: Reply): void {
    if (this.#session.isAsked(counter)) this.answer(counter, reply);
  }

  #stored(counter: number | undefined, failure: string | undefined): void {
    this.#balance();
    if (counter === undefined || !this.isOpen) return;
    this.#handle(this.#session.stored(counter, failure, this.#ports.clock.monotonicMs()));
  }

  async #await(signal: AbortSignal | undefined, ask: () => Requested): Promise<Answer> {
    signal?.throwIfAborted();
    const { counter, outputs } = ask();
    const answer = this.#answers.wait(counter, signal, () => this.#session.abandon(counter));
    this.#handle(outputs, 'request');
    return answer;
  }

  /** Read only while what we owe the peer and the disk stays small. */
  #balance(): void {
    const isFull = this.#writer.areAnswersPiling || this.#store.waitingBytes > pauseAtBytes;
    if (!this.isOpen) return;
    if (isFull === this.#socket.isPaused()) return;
    if (isFull) this.#socket.pause();
    else this.#socket.resume();
  }

  #drained(): void {
    this.#writer.release();
    this.#balance();
  }

  #stalled(): void {
    this.#finish({ by: 'us', error: new PeerError('peer_silent', 'the peer reads nothing') });
  }

  #schedule(): void {
    const atMs = this.#session.nextTickAtMs;
    if (!this.isOpen || atMs === Number.POSITIVE_INFINITY) return;
    if (this.#tick !== undefined && this.#tick.atMs <= atMs) return;
    this.#tick?.cancel();
    const { clock } = this.#ports;
    const cancel = clock.after(Math.max(0, Math.ceil(atMs - clock.monotonicMs())), () => {
      this.#tick = undefined;
      this.#handle(this.#session.tick(clock.monotonicMs()));
    });
    this.#tick = { atMs, cancel };
  }

  /** False: the address has used its share, and the link is gone. */
  #charge(bytes: number): boolean {
    const { budget } = this.#ports;
    if (budget === undefined || bytes === 0) return true;
    if (budget.charge(this.peerAddress, bytes)) {
      this.#chargedBytes += bytes;
      return true;
    }
    this.#finish({ by: 'us', error: new PeerError('wire_limit', 'too much before hello') });
    return false;
  }

  #release(): void {
    this.#ports.budget?.release(this.peerAddress, this.#chargedBytes);
    this.#chargedBytes = 0;
  }

  #hangUp(end: LinkEnd): void {
    if (this.#end !== undefined || this.#killer !== undefined) return;
    this.#killer = this.#ports.clock.after(closeMs, () => this.#finish(end));
    this.#socket.removeAllListeners('data').resume();
    this.#socket.end(() => this.#finish(end));
  }

  /** The one way out; whatever comes later finds the link ended. */
  #finish(end: LinkEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#tick?.cancel();
    this.#killer?.();
    this.#socket.destroy();
    this.#outputs.length = 0; // whatever was to come has nobody to go to
    for (const output of this.#session.end()) this.#perform(output, 'answer');
    this.#release();
    this.#answers.failAll(end.error);
    this.#writer.release();
    void this.#store.settled().then(() => this.#resolveEnded(end));
  }
}
