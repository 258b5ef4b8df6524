/** The seat as values: counted from the sending of a renewal, given up before the store ends it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { buildFileEngine, type SeatBook } from '../../src/leader/file-engine.ts';
import {
  followOffice,
  isSeated,
  type Office,
  type OfficeEvent,
  outside,
  renewAtMs,
} from '../../src/leader/office.ts';

const timing = { ttlMs: 15_000 };
const start = outside('');
const other = { name: 'wm2', url: '', token: 9 };

function after(
  events: readonly (readonly [atMs: number, event: OfficeEvent])[],
  office: Office = start,
): Office {
  return events.reduce((now, [atMs, event]) => followOffice(now, event, atMs, timing), office);
}

const taken: OfficeEvent = { kind: 'taken', token: 7, sentAtMs: 1_000 };

test('a seat is held for two thirds of the lease from when it was asked for', () => {
  const seated = after([[1_500, taken]]);
  assert.equal(isSeated(seated, 10_999, timing), true);
  assert.equal(isSeated(seated, 11_000, timing), false);
  assert.equal(renewAtMs(seated, timing), 4_000);
});

test('a renewal counts from its sending, and only the newest one', () => {
  const later: OfficeEvent = { kind: 'renewed', token: 7, sentAtMs: 9_000 };
  const earlier: OfficeEvent = { kind: 'renewed', token: 7, sentAtMs: 4_000 };
  const seated = after([
    [1_500, taken],
    [9_100, later],
    [9_200, earlier],
  ]);
  assert.equal(isSeated(seated, 18_999, timing), true);
  assert.equal(isSeated(seated, 19_000, timing), false);
});

test('an answer that comes after the seat was given up does not bring it back', () => {
  const late: OfficeEvent = { kind: 'renewed', token: 7, sentAtMs: 10_900 };
  const office = after([
    [1_500, taken],
    [11_000, late],
  ]);
  assert.equal(office.kind, 'outside');
});

test('a seat that was asked for too long ago is not taken', () => {
  assert.equal(after([[11_000, taken]]).kind, 'outside');
});

test('whoever sees another holder, or none, stands up at once', () => {
  const seen = after([
    [1_500, taken],
    [1_600, { kind: 'looked', holder: other }],
  ]);
  assert.deepEqual(seen, { kind: 'outside', holder: other, why: 'wm2 has it' });
  const none = after([
    [1_500, taken],
    [1_600, { kind: 'looked', holder: undefined }],
  ]);
  assert.equal(none.kind, 'outside');
});

test('events about another token say nothing about this seat', () => {
  const seated = after([
    [1_500, taken],
    [1_600, { kind: 'lost', token: 6, why: '' }],
    [1_600, { kind: 'renewed', token: 6, sentAtMs: 1_600 }],
    [1_600, { kind: 'failed', why: 'slow' }],
  ]);
  assert.equal(isSeated(seated, 10_999, timing), true);
  assert.equal(isSeated(seated, 11_000, timing), false);
  assert.equal(after([[1_700, { kind: 'lost', token: 7, why: 'x' }]], seated).kind, 'outside');
});

test('nobody is seated longer than two thirds of a lease after the last sending, whatever happens', () => {
  const token = fc.integer({ min: 1, max: 3 });
  const event: fc.Arbitrary<OfficeEvent> = fc.oneof(
    fc.record({ kind: fc.constant('taken' as const), token, sentAtMs: fc.nat(60_000) }),
    fc.record({ kind: fc.constant('renewed' as const), token, sentAtMs: fc.nat(60_000) }),
    fc.record({ kind: fc.constant('lost' as const), token, why: fc.constant('') }),
    fc.record({ kind: fc.constant('failed' as const), why: fc.constant('') }),
    fc.record({
      kind: fc.constant('looked' as const),
      holder: fc.option(fc.constant(other), { nil: undefined }),
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(60_000), event), { maxLength: 40 }), (events) => {
      const inOrder = [...events].sort(([left], [right]) => left - right);
      const honest = inOrder.map(([atMs, one]): readonly [number, OfficeEvent] => [
        atMs,
        'sentAtMs' in one ? { ...one, sentAtMs: Math.min(one.sentAtMs, atMs) } : one,
      ]);
      const sent = honest.flatMap(([, one]) => ('sentAtMs' in one ? [one.sentAtMs] : []));
      const last = Math.max(0, ...sent);
      return !isSeated(after(honest), last + 10_000, timing);
    }),
  );
});

class Book implements SeatBook {
  row: { readonly token: number; readonly name: string } | undefined;
  takeSeat(name: string): number {
    this.row = { token: (this.row?.token ?? 0) + 1, name };
    return this.row.token;
  }
  seat = () => this.row;
}

test('the seat of a directory goes to whoever holds its lock, with a higher token each time', async () => {
  const book = new Book();
  const first = buildFileEngine(book, { name: 'a', url: 'https://a:1' });
  assert.equal((await first.look(0)).holder, undefined);
  assert.deepEqual(await first.take(), { kind: 'taken', token: 1 });
  assert.deepEqual((await first.look(0)).holder, { name: 'a', url: 'https://a:1', token: 1 });
  assert.equal(await first.renew(1), 'renewed');
  const second = buildFileEngine(book, { name: 'b', url: '' });
  assert.equal((await second.look(0)).holder, undefined); // the row of a process that is gone
  assert.deepEqual(await second.take(), { kind: 'taken', token: 2 });
  assert.equal(await first.renew(1), 'lost');
  assert.deepEqual((await first.look(0)).holder, { name: 'b', url: '', token: 2 });
});
