/** Who gets a handshake while more come than may, by injected time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildHandshakeGate } from '../../src/publisher/handshake-gate.ts';

const perSecond = 200;
const host = (at: number) => ({ host: `10.0.${at >> 3}.${at}`, network: `10.0.${at >> 3}` });
const good = { host: '192.0.2.1', network: '192.0.2' };

interface Flood {
  /** Addresses, each of which comes `perHost` times a second. */
  readonly hosts: number;
  readonly perHost: number;
  readonly forMs: number;
  /** Do the hostile ones get good answers? */
  readonly areServed: boolean;
}

/** What became of a good client that comes once a second, and how many of the others got in. */
function play(flood: Flood, isGoodKnown: boolean) {
  const gate = buildHandshakeGate(perSecond);
  if (isGoodKnown) gate.noteServed(good.host, 0);
  const tries = (flood.hosts * flood.perHost * flood.forMs) / 1_000;
  let taken = 0;
  let goodTries = 0;
  let goodTaken = 0;
  for (let at = 0; at < tries; at += 1) {
    const nowMs = (at * flood.forMs) / tries;
    const one = host(at % flood.hosts);
    if (gate.admit(one, nowMs)) {
      taken += 1;
      if (flood.areServed) gate.noteServed(one.host, nowMs);
    }
    if (Math.floor(nowMs / 1_000) < goodTries) continue;
    goodTries += 1;
    if (gate.admit(good, nowMs)) goodTaken += 1;
  }
  return { refused: goodTries - goodTaken, taken, goodTries };
}

test('a client that was served comes in at every try, whatever flood there is beside it', () => {
  for (const areServed of [false, true]) {
    for (const hosts of [1, 8, 96]) {
      const flood = { hosts, perHost: 1_600 / hosts, forMs: 30_000, areServed };
      const { refused, goodTries } = play(flood, true);
      assert.deepEqual({ refused, goodTries }, { refused: 0, goodTries: 30 }, `${hosts} hosts`);
    }
  }
});

test('so does one that nobody knows yet, beside addresses that come all the time', () => {
  const flood = { hosts: 96, perHost: 10, forMs: 30_000, areServed: false };
  assert.equal(play(flood, false).refused, 0);
});

test('the rate holds for all together, and alone everybody has the whole of it', () => {
  const { taken } = play({ hosts: 96, perHost: 20, forMs: 30_000, areServed: true }, true);
  assert.ok(taken <= perSecond * 31, `${taken} in 30 s`);
  assert.ok(taken >= perSecond * 28, `${taken} in 30 s`);
  const alone = play({ hosts: 1, perHost: 400, forMs: 30_000, areServed: false }, false);
  assert.ok(alone.taken >= perSecond * 28, `${alone.taken} in 30 s`);
});

test('who was served is forgotten after ten minutes', () => {
  const gate = buildHandshakeGate(perSecond);
  gate.noteServed(good.host, 0);
  assert.equal(gate.isKnown(good.host, 599_999), true);
  assert.equal(gate.isKnown(good.host, 600_000), false);
});

test('memory is bounded: of those that were served the oldest go first', () => {
  const gate = buildHandshakeGate(perSecond);
  for (let at = 0; at < 140_000; at += 1) gate.noteServed(`h${at}`, at / 1_000);
  const known = Array.from({ length: 140_000 }, (_, at) => gate.isKnown(`h${at}`, 140));
  assert.ok(known.filter(Boolean).length <= 131_072);
  assert.equal(known.lastIndexOf(false) + 1, known.indexOf(true), 'the oldest went');
  assert.ok(known.slice(-65_000).every(Boolean));
});
