import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inheritedSocket } from '../../src/host/inherited-socket.ts';

const of = (environment: Record<string, string>): number | undefined =>
  inheritedSocket('relay', environment, 42);

test('sockets of the service manager are found by name, a single one without', () => {
  assert.equal(of({ LISTEN_PID: '42', LISTEN_FDS: '1' }), 3);
  assert.equal(
    of({ LISTEN_PID: '42', LISTEN_FDS: '1', LISTEN_FDNAMES: 'pilotfish-relay.socket' }),
    3,
  );
  const two = { LISTEN_PID: '42', LISTEN_FDS: '2' };
  assert.equal(of({ ...two, LISTEN_FDNAMES: 'other.socket:pilotfish-relay.socket' }), 4);
});

test('what is meant for another process, or is nobody knows which, is left alone', () => {
  assert.equal(of({}), undefined);
  assert.equal(of({ LISTEN_PID: '41', LISTEN_FDS: '1' }), undefined);
  assert.equal(of({ LISTEN_PID: '42', LISTEN_FDS: '2', LISTEN_FDNAMES: 'a:b' }), undefined);
  assert.equal(of({ LISTEN_PID: '42', LISTEN_FDS: 'many' }), undefined);
  assert.equal(of({ LISTEN_PID: '42', LISTEN_FDS: '0' }), undefined);
});
