import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeWdbAnswer,
  encodeWdbAnswer,
  encodeWdbText,
  WdbFrames,
} from '../../../src/cluster/store/text-codec.ts';

test('any chunking of the stream gives the same texts', () => {
  const texts = ['', 'global sql select 1', 'é'.repeat(1000), 'x'.repeat(65_536)];
  const stream = Buffer.concat(texts.map(encodeWdbText));
  for (const size of [1, 3, 4, 5, 1000, 65_536, stream.length]) {
    const frames = new WdbFrames();
    const seen: string[] = [];
    for (let at = 0; at < stream.length; at += size) {
      seen.push(...frames.push(stream.subarray(at, at + size)));
    }
    assert.deepEqual(seen, texts, `chunks of ${size}`);
  }
});

test('a length above 64 KiB is refused before its bytes come; none is sent', () => {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(65_537);
  assert.throws(() => new WdbFrames().push(head), { code: 'E821' });
  assert.throws(() => encodeWdbText('x'.repeat(65_537)), { code: 'E821' });
});

test('answers are a status and a payload; anything else is an error of the database', () => {
  assert.deepEqual(decodeWdbAnswer('ok'), { status: 'ok', payload: '' });
  assert.deepEqual(decodeWdbAnswer('due [1]\n2'), { status: 'due', payload: '[1]\n2' });
  assert.deepEqual(decodeWdbAnswer('err no such table'), {
    status: 'err',
    payload: 'no such table',
  });
  for (const text of ['', 'okay', 'OK 1', 'nope', '{"a":1}']) {
    assert.throws(() => decodeWdbAnswer(text), /Error 2007/);
  }
});

test('a longer answer is cut at 64 KiB, by which clients see that it was', () => {
  const frame = encodeWdbAnswer({ status: 'ok', payload: 'y'.repeat(100_000) });
  assert.equal(frame.readUInt32LE(0), 65_536);
  assert.equal(frame.length, 65_540);
});
