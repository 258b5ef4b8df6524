import assert from 'node:assert/strict';
import { test } from 'node:test';
import { framedPing, isBarePong, isFramedPongs, readFramedPong } from '../../src/health/ping.ts';

const pong = Buffer.from('0500000023706f6e67', 'hex');

test('the framed ping is the nine bytes that remoted expects', () => {
  assert.equal(Buffer.from(framedPing).toString('hex'), '050000002370696e67');
});

test('a pong is recognised however it is cut, and only when it is whole', () => {
  for (let length = 0; length < pong.length; length += 1) {
    assert.equal(readFramedPong(pong.subarray(0, length)), 'more');
  }
  assert.equal(readFramedPong(pong), 'pong');
  assert.equal(readFramedPong(Buffer.concat([pong, pong])), 'pong');
});

test('any other byte is wrong at once, whatever length it announces', () => {
  for (let index = 0; index < pong.length; index += 1) {
    const other = Buffer.from(pong);
    other[index] = (other[index] ?? 0) ^ 1;
    assert.equal(readFramedPong(other), 'wrong', `byte ${index}`);
    assert.equal(readFramedPong(other.subarray(0, index + 1)), 'wrong', `first ${index + 1} bytes`);
  }
  assert.equal(readFramedPong(Buffer.from('HTTP/1.1 400')), 'wrong');
});

test('a stream of pongs is told from an answer, however it is cut', () => {
  const stream = Buffer.concat([pong, pong, pong]);
  for (let cut = 0; cut <= stream.length; cut += 1) {
    assert.ok(isFramedPongs(stream.subarray(0, cut), 0));
    assert.ok(isFramedPongs(stream.subarray(cut), cut));
  }
  assert.equal(isFramedPongs(Buffer.concat([pong, Buffer.of(6)]), 0), false);
  assert.equal(isFramedPongs(pong, 1), false);
});

test('over UDP a pong is five characters and nothing else', () => {
  assert.equal(isBarePong(Buffer.from('#pong')), true);
  assert.equal(isBarePong(Buffer.from('#pong ')), false);
  assert.equal(isBarePong(Buffer.from('#ping')), false);
});
