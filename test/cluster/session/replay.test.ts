/**
 * Recorded conversations against our sessions: the recorded worker talks to our master session,
 * the recorded master to our worker session. What the session serves by itself is answered as
 * the recorded peer answered; what the role serves is answered from the recording.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Asked, Reply } from '../../../src/cluster/session/output.ts';
import type { Session } from '../../../src/cluster/session/session.ts';
import { decodePayload, findCommand, isSessionCommand } from '../../../src/cluster/wire/command.ts';
import { encodeMessage } from '../../../src/cluster/wire/message.ts';
import { decodeFault } from '../../../src/cluster/wire/wazuh-json.ts';
import { newSession, ofKind } from '../pair.ts';
import { type RecordedFrame, recordedFrames, recordedSeal, recordingNames } from '../recording.ts';

/** 25: odd on purpose, its own test below. 11: another key. */
const names = recordingNames().filter(
  (name) => !name.includes('.local-') && !/^(?:25|11)-/.test(name),
);
const salt = { iv: new Uint8Array(16).fill(9), unixSeconds: 1_700_000_000 };

interface Sides {
  readonly own: 'master' | 'worker';
  readonly theirs: RecordedFrame['dir'];
}

class Replay {
  readonly #session: Session;
  readonly #sides: Sides;
  readonly #answers: ReadonlyMap<number, RecordedFrame>;
  /** Recorded counter or id → ours. */
  readonly #counters = new Map<number, number>();
  readonly #ids = new Map<string, string>();
  readonly served: string[] = [];
  asked = 0;

  constructor(sides: Sides, frames: readonly RecordedFrame[]) {
    this.#sides = sides;
    this.#session = newSession(sides.own, { seal: recordedSeal });
    const own = frames.filter(({ dir, isRequest }) => dir !== sides.theirs && !isRequest);
    this.#answers = new Map(own.map((frame) => [frame.counter, frame]));
  }

  play(frame: RecordedFrame): void {
    if (frame.payload === undefined || frame.doesNotOpen) return;
    if (frame.dir === this.#sides.theirs) this.#theirs(frame, frame.payload);
    else if (frame.isRequest) this.#ours(frame, frame.payload);
  }

  /** The session asks what the recorded node asked. */
  #ours(frame: RecordedFrame, payload: Buffer): void {
    const command = findCommand(this.#sides.own, frame.command);
    assert.ok(command, `${frame.command} is one of our commands`);
    // A stock test switch asks before hello is answered, and forwards what is not JSON: we do not.
    if (this.#session.phase === 'greeting' && command !== 'hello') return;
    if (payload.equals(Buffer.from('not json'))) return;
    const { counter } = this.#session.request(command, decodePayload(command, payload), 0);
    this.#counters.set(frame.counter, counter);
  }

  #theirs(frame: RecordedFrame, payload: Buffer): void {
    const counter = frame.isRequest ? frame.counter : this.#counters.get(frame.counter);
    if (counter === undefined) return;
    const body = recordedSeal.seal(this.#translate(payload), salt);
    const word = frame.command;
    const bytes = Buffer.concat(encodeMessage({ counter, word }, body, payload.length));
    const outputs = this.#session.receive(bytes, 0);
    assert.deepEqual(ofKind(outputs, 'close'), [], `${frame.command} is accepted`);
    if (!frame.isRequest) {
      assert.equal(ofKind(outputs, 'answered').length, 1, `${frame.command} is an answer`);
      return;
    }
    const [asked] = ofKind(outputs, 'asked');
    if (asked !== undefined) {
      this.asked += 1;
      this.#take(asked);
      this.#answerAsRecorded(frame.counter, asked.command === 'hello');
      return;
    }
    const [store] = ofKind(outputs, 'store').slice(-1);
    const later =
      store?.counter === undefined ? [] : this.#session.stored(store.counter, undefined, 0);
    this.#compare(
      frame,
      [...outputs, ...later].flatMap((output) => (output.kind === 'send' ? [output.bytes] : [])),
    );
  }

  /** What the request speaks of has arrived completely. */
  #take(asked: Asked): void {
    if (asked.command === 'integritySent' || asked.command === 'updateSent') {
      assert.ok(this.#session.takeFile(asked.value.path), asked.value.path);
    }
    if (asked.command === 'callResult' || asked.command === 'daemonAnswered') {
      const { stringId } = asked.value;
      assert.ok(this.#session.takeString(this.#ids.get(stringId) ?? ''), stringId);
    }
    if (asked.command === 'groupsReady' || asked.command === 'allGroupsReady') {
      assert.ok(this.#session.takeString(asked.value), asked.value);
    }
  }

  #answerAsRecorded(counter: number, isHello: boolean): void {
    const recorded = this.#answers.get(counter);
    const payload = recorded?.payload ?? Buffer.alloc(0);
    const reply: Reply =
      recorded?.command === 'err'
        ? { kind: 'fault', fault: decodeFault(payload) }
        : { kind: 'ok', payload };
    if (!isHello) this.#session.answer(counter, reply, 0);
    else if (reply.kind === 'ok') this.#session.admit(counter, { mustBeOurs: false }, 0);
    else this.#session.refuse(counter, reply, 0);
  }

  /** The answer of the session is the recorded one, but for the ids we draw ourselves. */
  #compare(frame: RecordedFrame, frames: readonly Buffer[]): void {
    const recorded = this.#answers.get(frame.counter);
    const last = frames.at(-1);
    if (recorded?.payload === undefined || last === undefined) return;
    assert.equal(last.toString('latin1', 8, 20), recorded.field.toString('latin1'), frame.command);
    const token = Buffer.concat(frames.map((bytes) => bytes.subarray(20)));
    const answer = recordedSeal.open(token);
    this.served.push(frame.command);
    if (frame.command === 'new_str') {
      this.#ids.set(recorded.payload.toString(), answer.toString());
      return;
    }
    assert.ok(
      answer.equals(recorded.payload),
      `${frame.command}: ${answer.toString('latin1', 0, 200)}`,
    );
  }

  /** The peer of the recording knew another id for its string. */
  #translate(payload: Buffer): Buffer {
    const end = payload.indexOf(32);
    const head = payload.toString('latin1', 0, end === -1 ? undefined : end);
    const own = this.#ids.get(head);
    if (own === undefined) return payload;
    return end === -1 ? Buffer.from(own) : Buffer.concat([Buffer.from(own), payload.subarray(end)]);
  }
}

function replay(name: string, sides: Sides): { readonly served: number; readonly asked: number } {
  const byConnection = Map.groupBy(recordedFrames(name), ({ conn }) => conn);
  let served = 0;
  let asked = 0;
  for (const frames of byConnection.values()) {
    const player = new Replay(sides, frames);
    for (const frame of frames) player.play(frame);
    served += player.served.length;
    asked += player.asked;
  }
  return { served, asked };
}

describe('the recorded worker is served by our master session', () => {
  for (const name of names) {
    test(name, () => {
      const { asked } = replay(name, { own: 'master', theirs: 'w>m' });
      assert.ok(asked > 0);
    });
  }
});

describe('the recorded master is served by our worker session', () => {
  for (const name of names.filter((one) => !/^1[2-6]-/.test(one))) {
    test(name, () => {
      const { served, asked } = replay(name, { own: 'worker', theirs: 'm>w' });
      assert.ok(served + asked > 0);
    });
  }
});

test('with the wrong key our master hangs up without a word, as stock does (11)', () => {
  const hellos = recordedFrames('11-wrong-key');
  assert.equal(hellos.length, 4);
  for (const frame of hellos) {
    const session = newSession('master', { seal: recordedSeal });
    const token = frame.payload ?? Buffer.alloc(0);
    const bytes = Buffer.concat(encodeMessage({ counter: frame.counter, word: 'hello' }, token, 1));
    const outputs = session.receive(bytes, 0);
    assert.deepEqual(
      outputs.map((output) => output.kind === 'close' && output.error.reason),
      ['wire_unsealed'],
    );
  }
});

test('every command of every recording is known to the table', () => {
  const unknown = names.flatMap((name) =>
    recordedFrames(name)
      .filter(({ isRequest, payload }) => isRequest && payload !== undefined)
      .filter(
        ({ dir, command }) =>
          findCommand(dir === 'w>m' ? 'worker' : 'master', command) === undefined,
      )
      .map(({ command }) => command),
  );
  assert.deepEqual([...new Set(unknown)], []);
  assert.ok(isSessionCommand('echo'));
});
