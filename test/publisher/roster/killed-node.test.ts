/** From the death of a node to the list without it, with the settings as shipped, in virtual time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { probePace } from '../../../src/cli/build-publisher-view.ts';
import { parsePublisherConfig } from '../../../src/cli/publisher-config.ts';
import { readinessSettingsOf } from '../../../src/cli/roster-config.ts';
import type { Health } from '../../../src/health/judge.ts';
import type { Prober } from '../../../src/health/probe.ts';
import { silentLog } from '../../../src/log.ts';
import { Complaints } from '../../../src/publisher/complaints.ts';
import { DissentBook } from '../../../src/publisher/roster/dissent.ts';
import { keepRoster, type RosterParts } from '../../../src/publisher/roster/keep-roster.ts';
import { PeerViewsBook, sayEveryMs } from '../../../src/publisher/roster/peer-views.ts';
import { knownReadiness } from '../../../src/publisher/roster/readiness.ts';
import { watchManagers } from '../../../src/publisher/watch-managers.ts';
import { PassingClock } from '../../promotion/world.ts';
import { managersOf } from '../fixture.ts';

const text = [
  'org: acme',
  'managers:',
  ...['wm1', 'wm2', 'wm3'].map((id, at) => `  - { id: ${id}, address: 10.0.0.${at + 1} }`),
  'roster: { enabled: true }',
].join('\n');
const config = parsePublisherConfig(text, 'publisher.yml');
const managers = managersOf('wm1', 'wm2', 'wm3');

type Death = 'refused' | 'silent';

/** The time from the death of wm2 to the list that does not offer it, milliseconds. */
async function leavesAfter(death: Death, killAtMs: number, standby: 'none' | 'sees' | 'dies') {
  const clock = new PassingClock();
  const stop = new AbortController();
  const isDead = () => clock.monotonicMs() >= killAtMs;
  const prober: Prober = {
    async probe({ address }, deadlineMs) {
      const ips = [address];
      const isGone = address === '10.0.0.2' && isDead();
      if (!isGone) return { kind: 'alive', tookMs: 0, ips };
      if (death === 'silent') await new Promise<void>((done) => clock.after(deadlineMs, done));
      return { kind: 'dead', failure: death, detail: '', tookMs: 0, ips };
    },
  };
  const watch = (onRound: (healths: ReadonlyMap<string, Health>) => void) => {
    const settings = () => probePace(config);
    const look = { prober, clock, log: silentLog, managers: () => managers, settings, onRound };
    return watchManagers(look, stop.signal);
  };
  let healths: ReadonlyMap<string, Health> = new Map();
  const note = (seen: ReadonlyMap<string, Health>): void => {
    healths = new Map(seen);
  };
  const running = [watch(note)];
  const book = new PeerViewsBook('p1');
  if (standby !== 'none') {
    running.push(watch((seen) => void (isGone() || say(seen))));
    const say = (seen: ReadonlyMap<string, Health>): void => {
      const words = [...seen].map(([id, { verdict }]) => [id, verdict]);
      const now = { nowMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
      book.take({ publisher: 'p2', atMs: now.nowMs, seen: Object.fromEntries(words) }, now);
    };
  }
  const isGone = () => standby === 'dies' && isDead();
  const { roster } = config;
  let leftAtMs: number | undefined;
  const parts: RosterParts = {
    ...{ clock, log: silentLog, complaints: new Complaints(silentLog, clock.nowMs) },
    managers: () => managers,
    nodeOf: () => undefined,
    healths: () => healths,
    rows: () => [],
    peers: {
      views: () => book.views(clock.monotonicMs()),
      faults: () => [],
      dissent: new DissentBook(),
      mayDecide: () => true,
      offered: () => new Set(),
    },
    settings: () => ({
      ...readinessSettingsOf(roster),
      ...{ everyMs: roster.interval, maxAgeMs: roster.maxAge },
    }),
    async publish(unready) {
      if (unready.includes('wm2')) leftAtMs ??= clock.monotonicMs();
    },
  };
  const known = knownReadiness(['wm1', 'wm2', 'wm3'], clock.nowMs());
  running.push(keepRoster(parts, known, stop.signal));
  await clock.pass(killAtMs + 30_000);
  stop.abort();
  await clock.pass(2_000);
  await Promise.all(running);
  return leftAtMs === undefined ? Number.POSITIVE_INFINITY : leftAtMs - killAtMs;
}

/** Whatever the instant, for every 100 ms of a second and a half. */
async function worst(death: Death, standby: 'none' | 'sees' | 'dies'): Promise<number> {
  const instants = Array.from({ length: 16 }, (_, at) => 5_000 + at * 100 + 1);
  return Math.max(...(await Promise.all(instants.map((at) => leavesAfter(death, at, standby)))));
}

test('a node that is killed, hangs or loses its power leaves within four seconds', async () => {
  assert.ok((await worst('refused', 'none')) <= 3_000);
  assert.ok((await worst('silent', 'none')) <= 4_000);
  assert.ok((await worst('refused', 'sees')) <= 4_000);
  assert.ok((await worst('silent', 'sees')) <= 4_000);
});

test('a standby that dies with it is waited for as long as it may be late, and no longer', async () => {
  const ms = await worst('refused', 'dies');
  assert.ok(ms > 15_000 - sayEveryMs && ms <= 16_000, `${ms} ms`);
});
