import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeDrift } from '../../src/applier/drift.ts';
import { sha256Tag } from '../../src/bytes.ts';
import { configOf } from './host-in-memory.ts';

const config = Buffer.from(configOf('10.0.0.1', '2001:db8::1'));
const servers = [
  { address: '10.0.0.1', port: 1514 },
  { address: '2001:db8::1', port: 1514 },
];
const written = { servers, hash: sha256Tag(config) };

test('drift is told apart: none, other bytes, servers, never written', () => {
  assert.equal(judgeDrift(written, config, '4.14.8').kind, 'none');
  assert.equal(judgeDrift(undefined, config, '4.14.8').kind, 'never_written');
  const commented = Buffer.from(config.toString().replace('kept', 'else'));
  assert.equal(judgeDrift(written, commented, '4.14.8').kind, 'other_bytes');
  const foreign = Buffer.from(configOf('10.9.9.9'));
  assert.deepEqual(judgeDrift(written, foreign, '4.14.8'), {
    kind: 'servers',
    written: servers,
    present: [{ address: '10.9.9.9', port: 1514 }],
  });
});

test('another spelling of an IPv6 address, or of a name, is no drift of servers', () => {
  const spelled = Buffer.from(configOf('10.0.0.1', '2001:0DB8:0:0:0:0:0:1'));
  assert.equal(judgeDrift(written, spelled, '4.14.8').kind, 'other_bytes');
});
