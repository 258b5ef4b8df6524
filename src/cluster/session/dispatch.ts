/** What an opened message is, and who serves it: an answer to us, the session, or the role. */
import { WireError } from '../../errors.ts';
import {
  answerWords,
  type CommandName,
  decodePayload,
  findCommand,
  isAnswerWord,
  isSessionCommand,
  type Payload,
  type RoleCommand,
  type SessionCommand,
} from '../wire/command.ts';
import { fault } from '../wire/fault.ts';
import { PayloadError } from '../wire/payload.ts';
import { pythonBytes } from '../wire/payload-text.ts';
import { decodeFault } from '../wire/wazuh-json.ts';
import type { OpenMessage } from './channel.ts';
import { answerOffer, helloAccepted, notOurs, offerAnswered, peerProven } from './greeting.ts';
import type { Answer, Asked, Reply } from './output.ts';
import { mayServe, peerOf } from './phase.ts';
import { reply, type State, scheduleSweep, send, store, strike } from './state.ts';

/** Serve every whole message that has arrived; a hello under judgement holds the rest back. */
export function drain(state: State, nowMs: number): void {
  while (state.phase !== 'judging' && state.phase !== 'closed') {
    const soloBytes = isStranger(state) ? state.limits.greetingBytes : undefined;
    const message = state.channel.next(nowMs, soloBytes);
    if (message === undefined) return;
    receiveMessage(state, message, nowMs);
  }
}

/** A hello can be a replay: where proof is due, nobody is trusted before an offer came. */
function isStranger({ phase, unproven }: State): boolean {
  return phase === 'greeting' || (phase === 'proving' && unproven === undefined);
}

/** Throws `WireError` when the connection has sent too much before a good hello. */
export function countGreeting(state: State, bytes: number): void {
  if (state.phase !== 'greeting' && state.phase !== 'judging') return;
  state.greetingBytes += bytes;
  if (state.greetingBytes <= state.limits.greetingBytes) return;
  throw new WireError('wire_limit', `${state.greetingBytes} bytes before a good hello`);
}

function receiveMessage(state: State, message: OpenMessage, nowMs: number): void {
  if (state.unproven !== undefined) peerProven(state, state.unproven);
  const { counter, word, payload } = message;
  const command = isAnswerWord(word) ? state.pending.settle(counter) : undefined;
  if (command === 'late') return;
  if (command === undefined) {
    receiveRequest(state, message, nowMs);
    return;
  }
  const isOk = word !== answerWords.failed && word !== answerWords.slip;
  const answer: Answer = isOk
    ? { kind: 'ok', payload }
    : { kind: 'fault', fault: decodeFault(payload) };
  if (counter === state.offerCounter) {
    offerAnswered(state, answer, nowMs);
    return;
  }
  state.out.push({ kind: 'answered', counter, command, answer });
  if (command === 'hello' && answer.kind === 'ok') helloAccepted(state, nowMs);
}

function receiveRequest(state: State, message: OpenMessage, nowMs: number): void {
  const { counter, word, payload } = message;
  const command = findCommand(peerOf[state.role], word);
  const { mustBeOurs } = state.negotiation;
  if (command === undefined || !mayServe(state.phase, state.role, command, mustBeOurs)) {
    refuseRequest(state, message, command, nowMs);
    return;
  }
  try {
    checkRoom(state, counter);
    if (isSessionCommand(command)) {
      serve(state, counter, command, decodePayload(command, payload), nowMs);
    } else {
      ask(state, counter, command, decodePayload(command, payload));
    }
  } catch (error) {
    if (!(error instanceof PayloadError)) throw error;
    reply(state, counter, { kind: 'fault', fault: fault(1000, error.message) }, nowMs);
    if (state.phase === 'greeting') strike(state);
  }
}

function checkRoom(state: State, counter: number): void {
  if (state.openAsks.size + state.storing.size >= state.limits.openAsks) {
    throw new PayloadError('too many unanswered requests');
  }
  if (state.openAsks.has(counter) || state.storing.has(counter)) {
    throw new PayloadError('a request with this counter is open');
  }
}

function ask(state: State, counter: number, command: RoleCommand, value: unknown): void {
  // The codec of `command` made `value`; the compiler cannot follow the pair through a union.
  const asked = { kind: 'asked', counter, command, value } as Asked;
  if (asked.command === 'hello') {
    state.phase = 'judging';
    state.peerNode = asked.value.node;
  }
  state.openAsks.add(counter);
  state.out.push(asked);
}

function serve<Name extends SessionCommand>(
  state: State,
  counter: number,
  command: Name,
  value: Payload<Name>,
  nowMs: number,
): void {
  if (value instanceof Uint8Array && command === 'echo') {
    if (answerOffer(state, counter, value, nowMs)) return;
    if (state.phase === 'proving') throw notOurs('it made no offer');
  }
  const served = state.incoming.serve(command, value, nowMs);
  if (served.also !== undefined) state.out.push(served.also);
  const plaintext = Buffer.from(served.payload);
  const step = store(state, served.steps ?? [], counter);
  if (step === undefined) send(state, { counter, word: served.word, plaintext }, nowMs);
  else state.storing.set(counter, { step, word: served.word, plaintext });
  if (state.sweepAtMs === Number.POSITIVE_INFINITY) scheduleSweep(state, nowMs);
}

/** A word that does not exist here and now: stock's text, no effect. */
function refuseRequest(
  state: State,
  message: OpenMessage,
  command: CommandName | undefined,
  nowMs: number,
): void {
  if (state.phase === 'proving') throw notOurs('it asks before it made an offer');
  const { counter, word } = message;
  const isGreeting = state.phase === 'greeting';
  // Two nodes that answer each other's errors with errors would never stop.
  if (word === answerWords.failed && !isGreeting) return;
  reply(state, counter, command === 'hello' ? secondHello(state) : unknownCommand(word), nowMs);
  if (isGreeting) strike(state);
}

function unknownCommand(word: string): Reply {
  return {
    kind: 'refusal',
    text: `unknown command '${pythonBytes(Buffer.from(word, 'latin1'))}'`,
  };
}

/** A connection has one name for its whole life. */
function secondHello(state: State): Reply {
  return { kind: 'fault', fault: fault(3028, state.peerNode) };
}
