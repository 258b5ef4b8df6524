/** The simulated world is deterministic, keeps its invariants, and would notice if it did not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { campaign } from '../../scripts/campaigns/simulate.ts';
import { decide } from '../../src/sidecar/decide.ts';
import type { Situation } from '../../src/sidecar/decide-view.ts';
import type { Decision } from '../../src/sidecar/step.ts';
import { runSeed, type SeedParts, shrinkFailure } from '../../src/simulation/campaign.ts';
import type { Fault } from '../../src/simulation/fault.ts';
import { type DiskOp, type Logic, productLogic } from '../../src/simulation/logic.ts';
import { renderPlot } from '../../src/simulation/plot.ts';
import { runWorld } from '../../src/simulation/run.ts';
import { defaultWorld, type WorldSettings } from '../../src/simulation/settings.ts';
import type { Bug } from './bugs.ts';
import { partsOf, replaceOps, worlds } from './find.ts';

test('the recorded steps of a replacement are those of the real protocol', () => {
  const expected: readonly DiskOp[] = [
    'create',
    'write_synced',
    'read_back',
    'backup',
    'rename',
    'sync_folder',
    'discard',
  ];
  assert.deepEqual(replaceOps, expected);
});

test('one seed is one history', () => {
  const parts: SeedParts = { logic: productLogic, replaceOps };
  const [first, again, other] = [runSeed(11, parts), runSeed(11, parts), runSeed(12, parts)];
  assert.equal(first.traceHash, again.traceHash);
  assert.deepEqual(first.stats, again.stats);
  assert.notEqual(first.traceHash, other.traceHash);
});

test('the short campaign ends without a violation', async () => {
  const lines: string[] = [];
  const exit = await campaign.run(['--short', '--seed', '1'], (line) => void lines.push(line));
  assert.equal(exit, 0, lines.join('\n'));
});

test('agents decided by their class make the very history of agents decided one by one', () => {
  const fixed = { ...worlds.small, agents: 400, managers: 5, durationMs: 7_200_000 };
  for (const seed of [1, 2, 3]) {
    const run = (isExact: boolean) =>
      runSeed(seed, { logic: productLogic, replaceOps, fixed: { ...fixed, isExact } });
    const [one, shared] = [run(true), run(false)];
    assert.equal(shared.traceHash, one.traceHash, `seed ${seed}`);
    assert.equal(shared.stats.writes, one.stats.writes);
    assert.equal(shared.stats.decisions, one.stats.decisions);
    assert.ok(shared.stats.asked < one.stats.asked);
  }
});

test('a failure comes with the few faults it needs', () => {
  const bug: Bug = { name: '', world: 'small', logic: { acceptOps: ['persist', 'check'] } };
  const parts = partsOf(bug);
  const failed = [1, 2, 3, 4, 5, 6]
    .map((seed) => runSeed(seed, parts))
    .find(({ violations }) => violations.length > 0);
  assert.ok(failed !== undefined);
  const shrunk = shrinkFailure(failed, parts);
  assert.ok(shrunk !== undefined);
  assert.ok(shrunk.faults.length <= 3 && shrunk.faults.length < failed.faults.length);
});

test('without the sidecar agents stay stranded: the world is not too kind', () => {
  const fixed = { ...worlds.small, hasSidecar: false };
  const parts: SeedParts = { logic: productLogic, replaceOps, fixed, meanGapMs: 60_000 };
  const broken = [1, 2, 3].flatMap((seed) => runSeed(seed, parts).violations);
  assert.ok(broken.some(({ invariant }) => invariant === 'I6'));
});

test('relays of big fleets crowd nobody when their hosts wake together, or a manager comes back', () => {
  const parts: SeedParts = {
    logic: productLogic,
    replaceOps,
    fixed: { hasRelay: true, isStrict: true },
  };
  for (const seed of [29, 67])
    assert.deepEqual(runSeed(seed, parts).violations, [], `seed ${seed}`);
  const { choose } = productLogic.relay;
  const knowsNoReturn: Logic = {
    ...productLogic,
    relay: {
      ...productLogic.relay,
      choose: (id, ranking, health, nowMs) => choose(id, ranking, withoutReturns(health), nowMs),
    },
  };
  const [broken] = runSeed(67, { ...parts, logic: knowsNoReturn }).violations;
  assert.equal(broken?.invariant, 'I9');
});

type Known = Parameters<Logic['relay']['choose']>[2];

function withoutReturns(health: Known): Known {
  return new Map([...health].map(([id, { returnedAtMs: _, ...one }]) => [id, one] as const));
}

test('slots of relays are dealt anew when a second manager falls while they run', () => {
  const world = { managers: 3, hasRelay: true, isStrict: true, durationMs: 150_000 };
  const { admissionWaitMs } = productLogic.relay;
  const brokenWith = (agents: number, afterMs: number, waitMs = admissionWaitMs) => {
    const settings: WorldSettings = { ...defaultWorld, ...world, agents };
    const faults: readonly Fault[] = [
      { kind: 'crash', atMs: 60_000, durationMs: 80_000, ...anybody },
      { kind: 'hang', atMs: 60_000 + afterMs, durationMs: 80_000, ...anybody, manager: 1 },
    ];
    const logic = { ...productLogic, relay: { ...productLogic.relay, admissionWaitMs: waitMs } };
    return runWorld({ settings, faults, logic, replaceOps }).violations[0]?.invariant;
  };
  assert.equal(brokenWith(1_800, 1_500), undefined);
  assert.equal(brokenWith(2_500, 12_000), undefined, 'slots that come too late for the relay');
  const askedOnce: typeof admissionWaitMs = (ground, id, lostForMs, leftMs) =>
    leftMs === undefined ? admissionWaitMs(ground, id, lostForMs) : 0;
  assert.equal(brokenWith(1_800, 1_500, askedOnce), 'I9');
  assert.equal(brokenWith(2_500, 12_000, askedOnce), 'I9');
});

test('a fleet does not leave a manager that only hung for a moment, when its slots come', () => {
  const world = { agents: 2_900, hasPublisher: false, durationMs: 240_000 };
  const settings: WorldSettings = { ...defaultWorld, ...world };
  const fault: Fault = { kind: 'hang', atMs: 60_000, durationMs: 4_200, ...anybody };
  const movesWith = (logic: Logic): number =>
    runWorld({ settings, faults: [fault], logic, replaceOps }).stats.wrongMoves;
  const onOldNews: Logic = { ...productLogic, decide: (s) => unasked(decide(justAsked(s))) };
  assert.equal(movesWith(productLogic), 0);
  const wrong = movesWith(onOldNews);
  assert.ok(wrong > 20, `${wrong}`);
});

test('a big fleet that wakes at one instant is in before two minutes are over', () => {
  const world = { agents: 2_700, managers: 3, isStrict: true, durationMs: 300_000 };
  const settings: WorldSettings = { ...defaultWorld, ...world };
  const fault: Fault = { kind: 'pause', atMs: 60_000, durationMs: 60_000, ...anybody };
  const strandedWith = (hasSidecar: boolean) => {
    const parts = { settings: { ...settings, hasSidecar }, faults: [fault], replaceOps };
    return runWorld({ ...parts, logic: productLogic }).violations[0]?.invariant;
  };
  assert.equal(strandedWith(true), undefined);
  assert.equal(strandedWith(false), 'I6');
});

const anybody = { manager: 0, site: 0, share: 1, amount: 0 };

/** As if every verdict had been proven this very moment. */
function justAsked(situation: Situation): Situation {
  const { seen, nowMs } = situation;
  const health = new Map(
    [...seen.health].map(([id, one]) => [id, { ...one, probedAtMs: nowMs }] as const),
  );
  return { ...situation, seen: { ...seen, health } };
}

/** A wait for a slot as any other: nobody asks before it. */
function unasked(decision: Decision): Decision {
  const { step } = decision;
  if (step.kind !== 'hold' || step.reason !== 'slot') return decision;
  return { ...decision, step: { ...step, reason: 'cooldown' } };
}

test('the plot shows every series as one line', () => {
  const fixed = { ...worlds.small, sampleMs: 60_000 };
  const outcome = runSeed(1, { logic: productLogic, replaceOps, fixed });
  const svg = renderPlot(outcome, 60_000);
  assert.equal(svg.match(/<polyline /g)?.length, 1 + 2 * outcome.doors.length);
  assert.ok(!svg.includes('NaN'));
});
