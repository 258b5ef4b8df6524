import assert from 'node:assert/strict';
import { test } from 'node:test';
import { campaign } from '../../../scripts/campaigns/rollout.ts';
import { rolloutRun } from '../../../scripts/rollout/runs.ts';
import { buildFreezeCalendar } from '../../../src/host/freeze-calendar.ts';
import { isInWave, shareOf, strataOf } from '../../../src/list/rollout.ts';
import { cohortStats } from '../../../src/publisher/rollout/cohort.ts';
import {
  type GateSettings,
  judgeWave,
  patientWith,
  wilsonBounds,
} from '../../../src/publisher/rollout/gate.ts';
import { laneOf, nextStage, planRollout } from '../../../src/publisher/rollout/plan.ts';
import type { RolloutRecord } from '../../../src/publisher/rollout/record.ts';
import { runRollout } from '../../../src/simulation/rollout-world.ts';
import { configuredOf, startMs } from '../fixture.ts';
import { aReport } from '../reports/report-fixture.ts';

const gates: GateSettings = { reportedPct: 95, silenceMs: 180_000, marginPct: 1, maxRestores: 3 };
const stages = [1, 5, 25, 100].map((percent) => ({ percent, bakeMs: 300_000 }));
const record: RolloutRecord = {
  ...{ id: 'r-2', salt: 's', lane: 'normal', stages, stage: 0, pct: 1, strata: [], expected: 100 },
  ...{ stageStartedAtMs: startMs, startedAtMs: startMs, sinceVersion: 2, stableVersion: 1 },
};
const calm = {
  ...{ known: 100, reported: 100, failed: 0, restored: 0, stillFailed: 0 },
  ...{ others: 9_900, othersFailed: 50 },
};

test('a valid list of dead managers reaches at most 1 % of 10 000 agents, halts and goes back by itself', async () => {
  const run = await rolloutRun({ isBad: true, agents: 10_000, hasFaults: false });
  const outcome = await runRollout(7, run);
  assert.deepEqual(outcome.violations, []);
  assert.equal(outcome.end, 'halted');
  assert.ok(
    outcome.reached <= 100 && outcome.reached > 0,
    `${outcome.reached} agents were reached`,
  );
});

test('a good list passes every wave and ends with everybody', async () => {
  const run = await rolloutRun({ isBad: false, agents: 300, hasFaults: false });
  const outcome = await runRollout(4, run);
  assert.deepEqual([outcome.end, outcome.reached, outcome.violations], ['done', 300, []]);
});

test('seeded rollouts with random faults keep every invariant (short form)', async () => {
  const lines: string[] = [];
  const exit = await campaign.run(['--short'], (line) => void lines.push(line));
  assert.equal(exit, 0, lines.join('\n'));
  assert.match(lines.join(), /good done/);
  assert.doesNotMatch(lines.join(), /bad done/);
});

test('good lists without faults pass, however the dice of small waves fall', async () => {
  for (const seed of [11, 21, 43, 197, 259]) {
    const run = await rolloutRun({ isBad: false, agents: 40 + (seed % 7) * 40, hasFaults: false });
    assert.equal((await runRollout(seed, run)).end, 'done', `${seed}`);
  }
});

test('gates: what waits, what goes on, what is taken back', () => {
  const later = startMs + 300_000;
  const cases = [
    [calm, startMs + 1_000, 'wait'],
    [calm, later, 'advance'],
    [{ ...calm, reported: 94 }, startMs + 1_000, 'wait'],
    [{ ...calm, reported: 94 }, startMs + 180_000, 'silence'],
    [{ ...calm, known: 0, reported: 0 }, startMs + 180_000, 'silence'], // the cohort vanished
    [{ ...calm, known: 5, reported: 4 }, later, 'advance'], // one of few was switched off
    [{ ...calm, known: 5, reported: 3 }, later, 'silence'],
    [{ ...calm, known: 1, reported: 0 }, later, 'silence'],
    [{ ...calm, restored: 3, failed: 3 }, startMs + 1, 'restores'],
    [{ ...calm, restored: 2, failed: 2 }, later, 'advance'],
    [{ ...calm, failed: 12 }, startMs + 1, 'failures'],
    [{ ...calm, failed: 12, othersFailed: 1_200 }, later, 'advance'], // bad weather for all
    [{ ...calm, known: 5, reported: 5, failed: 5, others: 200, othersFailed: 190 }, later, 'wait'],
    [{ ...calm, known: 8, reported: 8, failed: 1, others: 192, othersFailed: 0 }, later, 'advance'],
    [{ ...calm, reported: 1, failed: 1 }, startMs + 5_000, 'wait'], // the first to report is one
    // One agent is an accident, and so are two where nobody is left to compare with.
    [{ ...calm, known: 2, reported: 2, failed: 1, others: 198, othersFailed: 0 }, later, 'wait'],
    [
      { ...calm, known: 2, reported: 2, failed: 2, others: 198, othersFailed: 0 },
      later,
      'failures',
    ],
    [{ ...calm, known: 10, reported: 10, failed: 2, others: 0, othersFailed: 0 }, later, 'advance'],
    [
      { ...calm, known: 10, reported: 10, failed: 3, others: 0, othersFailed: 0 },
      later,
      'failures',
    ],
    [{ ...calm, known: 1, reported: 1, failed: 1, others: 0, othersFailed: 0 }, later, 'failures'],
  ] as const;
  for (const [stats, nowMs, expected] of cases) {
    const verdict = judgeWave(stats, record, gates, nowMs);
    assert.equal(
      verdict.kind === 'halt' ? verdict.gate : verdict.kind,
      expected,
      JSON.stringify(stats),
    );
  }
});

test('after a change of the publisher, the first agents of a wave do not speak for all of it', () => {
  const few = { ...calm, known: 3, reported: 3 };
  const ageMs = 900_000;
  const judge = (heardMs: number, stats: typeof few): string =>
    judgeWave(stats, record, patientWith(gates, { ageMs, heardMs }), startMs + ageMs).kind;
  assert.equal(judge(20_000, few), 'wait');
  assert.equal(judge(20_000, calm), 'advance');
  assert.equal(judge(620_000, few), 'advance', 'the others are gone');
  assert.equal(judge(ageMs, few), 'advance', 'it was there all the time');
});

test('the interval is that of the textbook', () => {
  const { lower, upper } = wilsonBounds(10, 100);
  assert.deepEqual([lower.toFixed(3), upper.toFixed(3)], ['0.046', '0.204']);
  assert.deepEqual(wilsonBounds(0, 0), { lower: 0, upper: 1 });
});

function fleet(agents: number, siteOf: (index: number) => string = () => 'eu-1') {
  return Array.from({ length: agents }, (_, index) => {
    const id = `${index + 1}`.padStart(3, '0');
    const report = aReport({ agent: id, place: id, site: siteOf(index) });
    return { report, receivedAtMs: startMs };
  });
}

function plan(rows: ReturnType<typeof fleet>, change: object = {}) {
  let salt = 0;
  const newSalt = (): string => {
    salt += 1;
    return `salt${salt}`;
  };
  return planRollout({
    version: 2,
    stableVersion: 1,
    stable: { ...configuredOf('wm1', 'wm2'), drained: [] },
    content: { ...configuredOf('wm1', 'wm2', 'wm3'), drained: [] },
    rows,
    settings: { isEnabled: true, minAgents: 20, stages, removalPercent: 25 },
    nowMs: startMs + 1_000,
    newSalt,
    ...change,
  });
}

test('the first wave is at most its share, and has agents of small sites in it', () => {
  const rows = fleet(5_000, (index) => (index < 60 ? 'tiny' : 'eu-1'));
  const planned = plan(rows);
  assert.ok(planned !== undefined);
  const members = rows.filter(({ report }) =>
    isInWave({ ...planned }, report.place, strataOf(report)),
  );
  assert.equal(members.length, planned.expected);
  assert.ok(members.length <= 50, `${members.length}`);
  const tiny = members.filter(({ report }) => report.site === 'tiny').length;
  assert.ok(tiny >= 5, `${tiny} of the tiny site`);
});

test('whoever is in a wave stays in every later one, and the last is everybody', () => {
  const rows = fleet(300);
  let now = plan(rows);
  let before = new Set<string>();
  for (; now !== undefined; now = nextStage(now, rows, startMs)) {
    const wave = now;
    const inside = rows.filter(({ report }) => isInWave(wave, report.place, strataOf(report)));
    const names = new Set(inside.map(({ report }) => report.agent));
    assert.ok([...before].every((agent) => names.has(agent)));
    before = names;
  }
  assert.equal(before.size, 300);
});

test('few agents, the old content, or rollouts switched off: to everybody at once', () => {
  const settings = { isEnabled: true, minAgents: 20, stages, removalPercent: 25 };
  assert.equal(plan(fleet(19)), undefined);
  const same = { content: { ...configuredOf('wm1', 'wm2'), drained: [] } };
  assert.equal(plan(fleet(50), same), undefined);
  assert.equal(plan(fleet(50), { settings: { ...settings, isEnabled: false } }), undefined);
  assert.ok((plan(fleet(50))?.expected ?? 0) >= 5);
});

test('a fleet that is silent just now is no small one: its change goes out in waves all the same', () => {
  const hours = (count: number) => ({ nowMs: startMs + count * 3_600_000 });
  const planned = plan(fleet(300), hours(1));
  assert.ok(planned !== undefined);
  assert.ok(planned.expected >= 3 && planned.expected <= 15, `${planned.expected}`);
  assert.equal(plan(fleet(300), hours(25)), undefined, 'nobody was heard of for a day');
});

test('a change that only takes managers away has a lane of its own', () => {
  const both = { ...configuredOf('wm1', 'wm2'), drained: [] };
  assert.equal(laneOf(both, { ...configuredOf('wm1'), drained: [] }), 'removal');
  assert.equal(laneOf(both, { ...both, drained: ['wm2'] }), 'removal');
  assert.equal(laneOf({ ...both, drained: ['wm2'] }, both), 'normal');
  assert.equal(laneOf(both, { ...both, validFor: 60 }), 'normal');
  const planned = plan(fleet(50), { content: { ...both, drained: ['wm2'] } });
  assert.deepEqual(
    [planned?.lane, planned?.stages.map(({ percent }) => percent)],
    ['removal', [25, 100]],
  );
});

test('what an older list did to an agent is not held against this one', () => {
  const restored = (version: number) => ({
    report: aReport({
      list: { position: { epoch: 1, term: 1, version: 2 }, hash: aReport().list?.hash ?? '' },
      result: {
        outcome: 'restored',
        code: 'E610',
        position: { epoch: 1, term: 1, version },
        at: startMs,
      },
    }),
    receivedAtMs: startMs + 1,
  });
  const all = { ...record, pct: 100 };
  assert.equal(cohortStats([restored(1)], all).restored, 0);
  assert.equal(cohortStats([restored(2)], all).restored, 1);
});

function dayOf(agents: number, isOff: (index: number) => boolean, receivedAtMs: number) {
  return fleet(agents).map((row, index) => {
    const list = { position: { epoch: 1, term: 1, version: 2 }, hash: aReport().list?.hash ?? '' };
    const report = { ...row.report, list, connected: !isOff(index), everySec: 300 };
    return { report, receivedAtMs };
  });
}

test('agents that were off before the last wave are not its fault, those that it cuts off are', () => {
  const isOff = (index: number): boolean => index % 20 === 0;
  const [before, during] = [startMs + 1, startMs + 290_000];
  const first = { ...record, stages: stages.slice(-2), pct: 25 };
  const last = nextStage(first, dayOf(1_000, isOff, before), startMs + 2);
  assert.ok(last !== undefined);
  const judge = (rows: ReturnType<typeof dayOf>): string => {
    const verdict = judgeWave(cohortStats(rows, last), last, gates, startMs + 310_000);
    return verdict.kind === 'halt' ? verdict.gate : verdict.kind;
  };
  assert.equal(judge(dayOf(1_000, isOff, during)), 'advance');
  const isCut = (index: number): boolean => isOff(index) || index % 30 === 1;
  assert.equal(judge(dayOf(1_000, isCut, during)), 'failures');
  // Those that were off before tell nothing new: the others are seen at once.
  const early = dayOf(1_000, isCut, during).map((row, index) =>
    isOff(index) ? { ...row, receivedAtMs: before } : row,
  );
  assert.equal(judge(early), 'failures');
});

test('others that are off and have not reported again are off all the same', () => {
  const inWave = { ...record, pct: 1, salt: 's' };
  const rows = dayOf(1_000, (index) => index % 10 === 0, startMs - 1).map((row) =>
    isInWave(inWave, row.report.place) ? { ...row, receivedAtMs: startMs + 5_000 } : row,
  );
  const { others, othersFailed, reported } = cohortStats(rows, inWave);
  assert.deepEqual([others + reported, Math.round((othersFailed * 10) / others)], [1_000, 1]);
});

test('a freeze window holds from its line on for its time, whenever one looks', () => {
  const frozen = buildFreezeCalendar([{ from: '0 22 * * 5', forMs: 8 * 3_600_000 }]);
  const friday = Date.UTC(2026, 10, 27, 21, 59);
  const looks = [0, 60_000, 7 * 3_600_000, 8 * 3_600_000, 9 * 3_600_000];
  assert.deepEqual(
    looks.map((after) => frozen(friday + after) !== undefined),
    [false, true, true, true, false],
  );
});

test('a freeze window is the same whether time goes on, leaps or is set back', () => {
  const windows = [{ from: '*/50 22,23 * * *', forMs: 25 * 60_000 }];
  const frozen = buildFreezeCalendar(windows);
  const atMs = Date.UTC(2026, 10, 27, 21, 30);
  const steps = [...Array.from({ length: 200 }, (_, minute) => minute), 90, 91, 400, 1_500, 130];
  for (const minute of steps) {
    const nowMs = atMs + minute * 60_000;
    assert.equal(frozen(nowMs), buildFreezeCalendar(windows)(nowMs), `${minute}`);
  }
});

test('a freeze of a week holds nobody up every minute', () => {
  const frozen = buildFreezeCalendar([{ from: '0 22 24 12 *', forMs: 7 * 86_400_000 }]);
  const atMs = Date.UTC(2026, 5, 3);
  frozen(atMs);
  const { user: before } = process.cpuUsage();
  for (let minute = 1; minute <= 100; minute += 1) frozen(atMs + minute * 60_000);
  const tookMs = (process.cpuUsage().user - before) / 1_000;
  assert.ok(tookMs < 2_000, `${tookMs} ms for 100 looks`);
});

test('shares are spread evenly and differ from salt to salt', () => {
  const shares = Array.from({ length: 2_000 }, (_, index) => shareOf({ salt: 'a' }, `${index}`));
  const below = shares.filter((share) => share < 25).length;
  assert.ok(below > 400 && below < 600, `${below}`);
  assert.notEqual(shareOf({ salt: 'a' }, '001'), shareOf({ salt: 'b' }, '001'));
});
