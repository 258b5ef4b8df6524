/** Hello, and the offer that may follow it: how a connection becomes ready. */
import { PeerError, WireError } from '../../errors.ts';
import { answerWords, commands } from '../wire/command.ts';
import type { Answer } from './output.ts';
import { reply, type State, send } from './state.ts';

/** The worker answers how much it holds of an upload that a broken link cut. */
export const resumeFeature = 'resume';

/** Master: welcome. A node that must be ours stays unserved until it has proved it. */
export function admitPeer(state: State, counter: number, mustBeOurs: boolean, nowMs: number): void {
  state.phase = mustBeOurs ? 'proving' : 'ready';
  state.phaseDeadlineMs = mustBeOurs
    ? nowMs + state.limits.requestTimeoutMs
    : Number.POSITIVE_INFINITY;
  reply(state, counter, { kind: 'ok', payload: `Client ${state.peerNode} added` }, nowMs);
  if (!mustBeOurs) state.out.push({ kind: 'ready' });
}

/** Worker: the master took our hello; make our offer, or be ready at once. */
export function helloAccepted(state: State, nowMs: number): void {
  const plaintext = state.negotiation.begin();
  if (plaintext === undefined) {
    becomeReady(state);
    return;
  }
  const counter = state.pending.add('echo', nowMs + state.limits.requestTimeoutMs);
  state.offerCounter = counter;
  state.phase = 'offering';
  send(state, { counter, word: commands.echo.wire, plaintext }, nowMs);
  state.outbox.hold();
}

/** Worker: what the master made of our offer. Throws when it is not what it must be. */
export function offerAnswered(state: State, answer: Answer, nowMs: number): void {
  const read =
    answer.kind === 'ok' ? state.negotiation.read(answer.payload) : ({ kind: 'stock' } as const);
  if (read.kind === 'invalid') {
    throw new WireError('wire_broken', `the answer to our offer: ${read.reason}`);
  }
  if (read.kind === 'stock') {
    if (state.negotiation.mustBeOurs) throw notOurs('it answers as a stock node does');
    state.out.push({ kind: 'recognised', peer: 'stock', features: new Set() });
  } else {
    const { workerToMaster, masterToWorker } = read.keys;
    state.channel.protect({ send: workerToMaster, receive: masterToWorker });
    if (read.features.has(resumeFeature)) state.incoming.allowResume();
    const outdated = state.negotiation.outdated(read.features);
    if (outdated !== undefined) throw new PeerError('master_outdated', outdated);
    state.out.push({ kind: 'recognised', peer: 'ours', features: read.features });
  }
  for (const output of state.outbox.release(nowMs)) state.out.push(output);
  becomeReady(state);
}

/** Master: true when this echo was an offer, now answered; both directions change over. */
export function answerOffer(
  state: State,
  counter: number,
  payload: Uint8Array,
  nowMs: number,
): boolean {
  const agreed = state.negotiation.answer(payload, state.peerNode);
  if (agreed === undefined) return false;
  const newer = state.negotiation.newerToken(agreed.features);
  if (newer !== undefined) {
    // Not proven yet, but who can seal it has the cluster key, and an old offer tells no newer token.
    state.out.push({ kind: 'outranked', token: newer });
    throw new PeerError('master_outdated', `the worker has seen a master with token ${newer}`);
  }
  send(state, { counter, word: answerWords.ok, plaintext: agreed.payload }, nowMs);
  const { workerToMaster, masterToWorker } = agreed.keys;
  state.channel.protect({ send: masterToWorker, receive: workerToMaster });
  state.unproven = agreed.features;
  return true;
}

/** Master: a protected message arrived, so the peer holds the cluster key and is one of ours. */
export function peerProven(state: State, features: ReadonlySet<string>): void {
  state.unproven = undefined;
  state.out.push({ kind: 'recognised', peer: 'ours', features });
  if (state.phase === 'proving') becomeReady(state);
}

function becomeReady(state: State): void {
  state.phase = 'ready';
  state.phaseDeadlineMs = Number.POSITIVE_INFINITY;
  state.out.push({ kind: 'ready' });
}

/** A node that was ours before never falls back silently. */
export function notOurs(what: string): PeerError {
  return new PeerError('peer_changed', `the peer must be one of ours, but ${what}`);
}
