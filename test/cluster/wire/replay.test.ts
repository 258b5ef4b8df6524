/** Every frame of every recording: what we decode is what was recorded, and the way back. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  decodePayload,
  encodePayload,
  findCommand,
  type Role,
} from '../../../src/cluster/wire/command.ts';
import { encodeFrame, FrameDecoder } from '../../../src/cluster/wire/frame.ts';
import { encodeMessage, MessageJoiner } from '../../../src/cluster/wire/message.ts';
import { PayloadError } from '../../../src/cluster/wire/payload.ts';
import { decodeFault, encodeFault } from '../../../src/cluster/wire/wazuh-json.ts';
import {
  type Direction,
  type RecordedFrame,
  rawBytes,
  recordedFrames,
  recordedSeal,
  recordingNames,
} from '../recording.ts';

const names = recordingNames();
const senders: Readonly<Record<Direction, Role>> = {
  'w>m': 'worker',
  'm>w': 'master',
  'c>s': 'localClient',
  's>c': 'localServer',
};
const salt = { iv: new Uint8Array(16).fill(7), unixSeconds: 1_700_000_000 };
const unlimited = { messageBytes: 268_435_456, dividedMessages: 10 };

function isSealed(frame: RecordedFrame): boolean {
  return frame.dir === 'w>m' || frame.dir === 'm>w';
}

/** Answers carry stock's own extra space: the word as it was before padding. */
function wordOf(frame: RecordedFrame): string {
  const hasSpace = ['ok', 'ok-m'].includes(frame.command);
  return hasSpace && frame.field.toString('latin1').startsWith(`${frame.command}  `)
    ? `${frame.command} `
    : frame.command;
}

test('the recordings are all here', () => {
  assert.equal(names.length, 32);
  const count = names.reduce((sum, name) => sum + recordedFrames(name).length, 0);
  assert.equal(count, 5802);
});

describe('a recorded message, encoded by us, has the recorded header and length', () => {
  for (const name of names) {
    test(name, () => {
      // 25 was driven by a client that pads 11-byte words with `-`; an empty word is never sent.
      const frames = recordedFrames(name).filter(
        ({ payload, doesNotOpen, command }) =>
          payload !== undefined && !doesNotOpen && command !== '',
      );
      assert.ok(frames.length > 0 || name.startsWith('11-'));
      for (const frame of frames) {
        const plain = frame.payload ?? Buffer.alloc(0);
        const body = isSealed(frame) ? recordedSeal.seal(plain, salt) : plain;
        const head = { counter: frame.counter, word: wordOf(frame) };
        // The client of 25 divides 15 bytes by hand; no node does that.
        if (frame.parts > 1 && plain.length < 1000) continue;
        const encoded = encodeMessage(head, body, plain.length);
        const last = encoded.at(-1) ?? Buffer.alloc(0);
        assert.equal(encoded.length, frame.parts, `${frame.command} frames`);
        assert.equal(last.readUInt32BE(0), frame.counter);
        assert.equal(last.readUInt32BE(4), frame.wireBytes, `${frame.command} length`);
        const field = frame.field.toString('latin1');
        const written = last.toString('latin1', 8, 20);
        const foreignPadding =
          name.startsWith('25-') && frame.dir === 'w>m' && frame.command.length === 11;
        assert.equal(foreignPadding ? `${written.slice(0, 11)}-` : written, field);
      }
    });
  }
});

describe('a recorded conversation, cut anywhere, decodes to the recorded messages', () => {
  for (const name of names) {
    test(name, () => {
      const frames = recordedFrames(name).filter(({ command }) => command !== '');
      const decoder = new FrameDecoder();
      const joiner = new MessageJoiner(unlimited);
      for (const frame of frames.filter(({ payload }) => payload !== undefined)) {
        const plain = frame.payload ?? Buffer.alloc(0);
        const body = isSealed(frame) && !frame.doesNotOpen ? recordedSeal.seal(plain, salt) : plain;
        const head = { counter: frame.counter, word: wordOf(frame) };
        const bytes = Buffer.concat(encodeMessage(head, body, plain.length));
        const cut = (frame.counter % (Math.min(bytes.length, 60) - 1)) + 1;
        decoder.push(bytes.subarray(0, cut));
        const early = decoder.next(unlimited.messageBytes);
        const first = early === undefined ? undefined : joiner.add(early, 0);
        decoder.push(bytes.subarray(cut));
        let message = first;
        for (
          let next = decoder.next(unlimited.messageBytes);
          next !== undefined;
          next = decoder.next(unlimited.messageBytes)
        ) {
          message = joiner.add(next, 0) ?? message;
        }
        assert.equal(message?.word, frame.command);
        assert.equal(message?.counter, frame.counter);
        if (frame.doesNotOpen) {
          assert.throws(() => recordedSeal.open(message?.body ?? Buffer.alloc(0)), /does not open/);
          continue;
        }
        const opened = isSealed(frame)
          ? recordedSeal.open(message?.body ?? Buffer.alloc(0))
          : message?.body;
        assert.ok(opened?.equals(plain), `${frame.command} ${frame.counter}`);
      }
    });
  }
});

describe('a recorded body decodes to a typed value that encodes to the recorded bytes', () => {
  for (const name of names) {
    test(name, () => {
      const requests = recordedFrames(name).filter(
        ({ isRequest, payload, doesNotOpen }) => isRequest && payload !== undefined && !doesNotOpen,
      );
      for (const frame of requests) {
        const command = findCommand(senders[frame.dir], frame.command);
        const plain = frame.payload ?? Buffer.alloc(0);
        if (command === undefined) {
          assert.ok(name.startsWith('25-') || frame.command === 'nonsense', frame.command);
          continue;
        }
        try {
          const again = encodePayload(command, decodePayload(command, plain));
          if (isReformatted(name, frame, plain)) continue;
          assert.equal(again.toString('latin1'), plain.toString('latin1'), frame.command);
        } catch (error) {
          // Only clients that send nonsense on purpose send bodies without the right form.
          assert.ok(
            error instanceof PayloadError && isNonsense(name, plain),
            `${frame.command}: ${error}`,
          );
        }
      }
    });
  }
});

/** Bodies whose meaning we keep but whose spelling we do not. */
function isReformatted(name: string, frame: RecordedFrame, plain: Buffer): boolean {
  if (!name.startsWith('25-')) return false;
  const isReport = ['cancel_task', 'syn_i_w_m_r'].includes(frame.command);
  const isOddJson = ['get_nodes', 'get_health', 'syn_w_g_e'].includes(frame.command);
  return isReport || isOddJson || (frame.command === 'syn_a_w_m_p' && plain.length > 0);
}

test('every recorded error answer decodes to a fault that encodes to the recorded bytes', () => {
  let seen = 0;
  for (const name of names) {
    for (const { isRequest, command, payload } of recordedFrames(name)) {
      if (isRequest || command !== 'err' || payload === undefined) continue;
      const fault = decodeFault(payload);
      if (!payload.toString().startsWith('{"__wazuh_exception__"')) {
        assert.equal(fault.code, 3000);
        assert.equal(fault.extra, payload.toString());
        continue;
      }
      assert.equal(encodeFault(fault).toString(), payload.toString());
      seen += 1;
    }
  }
  assert.equal(seen, 61);
});

describe('recorded raw bytes open with the recorded key and re-seal to the same bytes', () => {
  const raws: readonly (readonly [string, string, Direction])[] = [
    ['01-connect-keepalive-firstsync', 'w2m', 'w>m'],
    ['01-connect-keepalive-firstsync', 'm2w', 'm>w'],
    ['03-integrity-missing-shared-extra', 'w2m', 'w>m'],
    ['03-integrity-missing-shared-extra', 'm2w', 'm>w'],
  ];
  for (const [name, file, dir] of raws) {
    test(`${name} ${dir}`, () => {
      const raw = rawBytes(`${name}.conn1.${file}`);
      const recorded = recordedFrames(name).filter(
        (frame) => frame.dir === dir && frame.conn === 1,
      );
      const decoder = new FrameDecoder();
      decoder.push(raw);
      const written: Buffer[] = [];
      for (const expected of recorded) {
        const frame = decoder.next(unlimited.messageBytes);
        assert.equal(frame?.word, expected.command);
        assert.equal(frame?.counter, expected.counter);
        const token = frame?.payload ?? Buffer.alloc(0);
        const plain = recordedSeal.open(token);
        assert.ok(plain.equals(expected.payload ?? Buffer.alloc(0)));
        const bytes = Buffer.from(token.toString('latin1'), 'base64url');
        const tokenSalt = {
          unixSeconds: Number(bytes.readBigUInt64BE(1)),
          iv: bytes.subarray(9, 25),
        };
        const again = recordedSeal.seal(plain, tokenSalt);
        const head = { counter: expected.counter, word: wordOf(expected), role: 'whole' } as const;
        written.push(encodeFrame(head, again));
      }
      assert.equal(decoder.next(unlimited.messageBytes), undefined);
      assert.equal(Buffer.concat(written).compare(raw), 0);
    });
  }
});

function isNonsense(name: string, plain: Buffer): boolean {
  return name.startsWith('25-') || plain.equals(Buffer.from('not json'));
}
