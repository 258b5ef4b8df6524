import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeFrame, type Frame, FrameDecoder } from '../../../src/cluster/wire/frame.ts';
import { wireFormat } from '../../../src/cluster/wire/limits.ts';
import { encodeMessage, MessageJoiner } from '../../../src/cluster/wire/message.ts';

const noLimit = wireFormat.stockPayloadBytes;

function decodeAll(chunks: readonly Uint8Array[]): readonly Frame[] {
  const decoder = new FrameDecoder();
  return chunks.flatMap((chunk) => {
    decoder.push(chunk);
    const frames: Frame[] = [];
    for (let frame = decoder.next(noLimit); frame; frame = decoder.next(noLimit)) {
      frames.push({ ...frame, payload: Buffer.from(frame.payload) });
    }
    return frames;
  });
}

function cutAt(bytes: Buffer, points: readonly number[]): readonly Buffer[] {
  const cuts = [0, ...points.map((point) => point % (bytes.length + 1)), bytes.length];
  const sorted = cuts.sort((left, right) => left - right);
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
}

const anyFrame = fc.record({
  counter: fc.nat(2 ** 32 - 1),
  word: fc.stringMatching(/^[a-z_-]{1,11}$/),
  isPart: fc.boolean(),
  payload: fc.uint8Array({ maxLength: 300 }),
});

test('any chunking gives the same frames', () => {
  fc.assert(
    fc.property(fc.array(anyFrame, { maxLength: 8 }), fc.array(fc.nat()), (frames, points) => {
      const bytes = Buffer.concat(
        frames.map(({ isPart, payload, ...head }) =>
          encodeFrame({ ...head, role: isPart ? 'part' : 'whole' }, payload),
        ),
      );
      const expected = frames.map((frame) => ({ ...frame, payload: Buffer.from(frame.payload) }));
      assert.deepEqual(decodeAll(cutAt(bytes, points)), expected);
    }),
    { seed: 20, numRuns: 500 },
  );
});

test('byte by byte gives the same frames as one chunk', () => {
  const bytes = Buffer.concat([
    encodeFrame({ counter: 1, word: 'echo', role: 'whole' }, Buffer.from('abc')),
    encodeFrame({ counter: 2, word: 'syn_i_w_m_p', role: 'whole' }, Buffer.alloc(0)),
  ]);
  const single = decodeAll([...bytes].map((byte) => Uint8Array.of(byte)));
  assert.deepEqual(single, decodeAll([bytes]));
  assert.equal(single.length, 2);
});

test('a header that arrives alone is kept as a header', () => {
  const bytes = encodeFrame(
    { counter: 9, word: 'echo', role: 'whole' },
    Buffer.from('AAAA'.repeat(30)),
  );
  const frames = decodeAll([bytes.subarray(0, 20), bytes.subarray(20)]);
  assert.deepEqual(
    frames.map(({ counter, word, payload }) => [counter, word, payload.length]),
    [[9, 'echo', 120]],
  );
});

test('header and payload are one buffer', () => {
  const frames = encodeMessage({ counter: 1, word: 'echo' }, Buffer.from('token'), 5);
  assert.equal(frames.length, 1);
  assert.equal(frames[0]?.length, 25);
});

test('the command field is padded as stock pads it', () => {
  const field = (word: string, role: 'whole' | 'part' | 'last'): string =>
    encodeFrame({ counter: 0, word, role }, Buffer.alloc(0)).toString('latin1', 8);
  assert.equal(field('ok', 'whole'), 'ok ---------');
  assert.equal(field('ok ', 'whole'), 'ok  --------');
  assert.equal(field('ok-m ', 'whole'), 'ok-m  ------');
  assert.equal(field('syn_i_w_m_p', 'whole'), 'syn_i_w_m_p ');
  assert.equal(field('echo', 'part'), 'echo ------d');
  assert.equal(field('syn_i_w_m_p', 'last'), 'syn_i_w_m_p-');
});

test('a word that does not fit is refused before anything is sent', () => {
  assert.throws(
    () => encodeFrame({ counter: 0, word: 'sendsync_err', role: 'whole' }, Buffer.alloc(0)),
    RangeError,
  );
  assert.throws(
    () => encodeFrame({ counter: 0, word: '', role: 'whole' }, Buffer.alloc(0)),
    RangeError,
  );
});

test('an announced length above the limit is refused although no payload byte came', () => {
  const decoder = new FrameDecoder();
  const header = Buffer.alloc(20, ' ');
  header.writeUInt32BE(4_294_967_295, 4);
  decoder.push(header);
  assert.throws(() => decoder.next(65_536), { reason: 'wire_limit' });
});

test('memory follows the bytes that arrived, not the length that was announced', () => {
  const header = Buffer.alloc(20, ' ');
  header.writeUInt32BE(200_000_000, 4);
  const before = process.memoryUsage().arrayBuffers;
  const decoders = Array.from({ length: 50 }, () => {
    const decoder = new FrameDecoder();
    decoder.push(header);
    decoder.next(noLimit);
    decoder.push(Buffer.alloc(1));
    decoder.next(noLimit);
    return decoder;
  });
  assert.ok(process.memoryUsage().arrayBuffers - before < 8_000_000);
  assert.ok(decoders.every(({ heldBytes }) => heldBytes === 1));
});

test('a body above one chunk is divided as stock divides it', () => {
  const plain = 5_242_881;
  const frames = encodeMessage({ counter: 5, word: 'echo' }, Buffer.alloc(6_990_604), plain);
  assert.deepEqual(
    frames.map((frame) => [frame.readUInt32BE(4), frame.toString('latin1', 8, 20)]),
    [
      [5_242_860, 'echo ------d'],
      [1_747_744, 'echo -------'],
    ],
  );
  assert.equal(
    encodeMessage({ counter: 5, word: 'echo' }, Buffer.alloc(6_990_604), plain - 1).length,
    1,
  );
});

test('divide then join is identity, also when messages interleave', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 900 }),
      fc.integer({ min: 21, max: 90 }),
      (body, chunk) => {
        const joiner = new MessageJoiner({ messageBytes: 10_000, dividedMessages: 10 });
        const [left, right] = [1, 2].map((counter) =>
          decodeAll(encodeMessage({ counter, word: 'echo' }, body, body.length, chunk)),
        );
        const mixed = (left ?? []).flatMap((frame, index) =>
          [frame, right?.[index]].filter((one) => one !== undefined),
        );
        const joined = mixed.flatMap((frame) => joiner.add(frame, 0) ?? []);
        assert.deepEqual(
          joined.map((message) => [message.counter, message.body.compare(body)]),
          [
            [1, 0],
            [2, 0],
          ],
        );
        assert.equal(joiner.heldBytes, 0);
      },
    ),
    { seed: 21, numRuns: 200 },
  );
});

test('an eleventh divided message is refused, and so is more than the common budget', () => {
  const joiner = new MessageJoiner({ messageBytes: 1000, dividedMessages: 10 });
  const part = (counter: number, bytes: number): Frame => ({
    counter,
    word: 'echo',
    isPart: true,
    payload: Buffer.alloc(bytes),
  });
  for (let counter = 0; counter < 10; counter++) joiner.add(part(counter, 50), 0);
  assert.throws(() => joiner.add(part(10, 1), 0), { reason: 'wire_limit' });
  assert.throws(() => joiner.add(part(0, 600), 0), { reason: 'wire_limit' });
});
