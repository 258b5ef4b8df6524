import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  defaultJudgeSettings,
  type Health,
  judgeOutcome,
  judgeSign,
  mayVote,
  suspectsHere,
  verdictOf,
} from '../../src/health/judge.ts';
import type { ProbeOutcome } from '../../src/health/probe.ts';

const alive: ProbeOutcome = { kind: 'alive', tookMs: 1, ips: ['127.0.0.1'] };
const dead: ProbeOutcome = {
  kind: 'dead',
  failure: 'silent',
  detail: 'after 800 ms',
  tookMs: 800,
  ips: [],
};

/** `+` is a good answer, `-` a bad one, one second apart. */
function judge(outcomes: string): Health | undefined {
  return [...outcomes].reduce<Health | undefined>(
    (health, sign, index) =>
      judgeOutcome(health, sign === '+' ? alive : dead, defaultJudgeSettings, index * 1000),
    undefined,
  );
}

const table: readonly (readonly [string, Health['verdict']])[] = [
  ['+', 'up'],
  ['-', 'unknown'],
  ['--', 'down'],
  ['-+', 'up'],
  ['+-', 'up'],
  ['+--', 'down'],
  ['+-+-+-', 'up'],
  ['+--+', 'down'],
  ['+--++', 'down'],
  ['+--+++', 'up'],
  ['+--++-+', 'down'],
  ['+--++-+++', 'up'],
];

for (const [outcomes, verdict] of table) {
  test(`outcomes ${outcomes} add up to ${verdict}`, () => {
    assert.equal(judge(outcomes)?.verdict, verdict);
  });
}

test('the verdict remembers since when it holds', () => {
  assert.equal(judge('+++++')?.sinceAtMs, 0);
  assert.equal(judge('++--')?.sinceAtMs, 3000);
  assert.equal(judge('++----')?.sinceAtMs, 3000);
});

test('addresses of a name are kept while it does not resolve', () => {
  assert.deepEqual(judge('+-')?.ips, ['127.0.0.1']);
});

test('a verdict changes only after as many equal outcomes as rise or fall ask for', () => {
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { maxLength: 60 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 5 }),
      (answers, rise, fall) => {
        let health: Health | undefined;
        answers.forEach((isGood, index) => {
          const before = health?.verdict ?? 'unknown';
          health = judgeOutcome(health, isGood ? alive : dead, { rise, fall }, index);
          if (before === 'down' && health.verdict === 'up') {
            assert.ok(answers.slice(index + 1 - rise, index + 1).every(Boolean));
          }
          if (health.verdict === 'down' && before !== 'down') {
            assert.ok(!answers.slice(index + 1 - fall, index + 1).some(Boolean));
          }
        });
      },
    ),
    { seed: 4, numRuns: 300 },
  );
});

test('a draining manager that works is draining, a dead one is dead', () => {
  assert.equal(verdictOf('drain', judge('+')), 'draining');
  assert.equal(verdictOf('drain', judge('--')), 'down');
  assert.equal(verdictOf('drain', undefined), 'unknown');
  assert.equal(verdictOf('down', judge('+')), 'down');
  assert.equal(verdictOf('up', judge('+')), 'up');
});

const panic = { panicPct: 50, doubtMs: 30_000 };
const up = judge('+');
const fresh = judge('+--');

test('panic: one dead manager of two, or one of one, is no reason to doubt this host', () => {
  assert.equal(suspectsHere([up, fresh], panic, 3000), false);
  assert.equal(suspectsHere([fresh], panic, 3000), false);
});

test('panic: exactly half is not more than half', () => {
  assert.equal(suspectsHere([up, up, fresh, fresh], panic, 3000), false);
});

test('panic: most managers dead at once and nobody heard since: this host is the suspect, for a while', () => {
  assert.equal(suspectsHere([up, fresh, fresh], panic, 3000), true);
  assert.equal(suspectsHere([up, fresh, fresh], panic, 31_999), true);
  assert.equal(suspectsHere([up, fresh, fresh], panic, 32_000), false);
});

test('panic: an answer after the youngest death proves link and machine: no doubt', () => {
  assert.ok(up !== undefined && fresh !== undefined);
  const witness = { ...up, probedAtMs: fresh.sinceAtMs + 1 };
  assert.equal(suspectsHere([witness, fresh, fresh], panic, 3000), false);
  const silent = { ...witness, lastKind: 'dead' } as const;
  assert.equal(suspectsHere([silent, fresh, fresh], panic, 3000), true, 'it did not answer');
});

test('panic: names that resolve no more speak against this host, whoever answers', () => {
  assert.ok(up !== undefined && fresh !== undefined);
  const witness = { ...up, probedAtMs: fresh.sinceAtMs + 1 };
  const nameless = { ...fresh, failure: 'unresolved' } as const;
  assert.equal(suspectsHere([witness, nameless, nameless], panic, 3000), true);
  assert.equal(suspectsHere([witness, nameless, nameless], panic, 32_000), false);
  assert.equal(suspectsHere([witness, nameless, fresh], panic, 3000), false, 'only one of them');
});

test('panic: deaths far ahead are from before the clock was set back, and hide no witness', () => {
  assert.ok(up !== undefined && fresh !== undefined);
  const ahead = (byMs: number) => ({ ...fresh, sinceAtMs: 3000 + byMs });
  const witness = { ...up, probedAtMs: 2_999 };
  assert.equal(suspectsHere([witness, ahead(600_000), ahead(600_000)], panic, 3000), false);
  assert.equal(suspectsHere([witness, ahead(20_000), ahead(20_000)], panic, 3000), true);
  assert.equal(suspectsHere([ahead(600_000), ahead(600_000)], panic, 3000), true, 'none is up');
});

test('panic: while nobody at all answers, the doubt has no end', () => {
  assert.equal(suspectsHere([fresh, fresh, fresh], panic, 10 ** 9), true);
});

test('a fall is punished, a return is remembered', () => {
  assert.equal(judge('+++')?.damping, undefined);
  assert.equal(judge('+--')?.damping?.penalty, 1_000);
  assert.equal(judge('--')?.damping, undefined, 'it was never up here');
  assert.equal(judge('+--+++')?.returnedAtMs, 5_000);
});

test('a sign counts as one bad answer, and alone makes nobody dead', () => {
  const up = judge('+++');
  assert.ok(up);
  const signed = judgeSign(up, 'a sign', defaultJudgeSettings, 9_000);
  assert.equal(signed.verdict, 'up');
  const again = judgeSign(signed, 'another', defaultJudgeSettings, 9_000);
  assert.equal(again.verdict, 'up');
  assert.equal(judgeOutcome(again, dead, defaultJudgeSettings, 9_100).verdict, 'down');
  assert.equal(judgeOutcome(again, alive, defaultJudgeSettings, 9_100).streak, 1);
});

test('silence heard by a process that was late itself does not count; a refusal does', () => {
  assert.equal(mayVote(dead, 200), true);
  assert.equal(mayVote(dead, 201), false);
  assert.equal(mayVote({ ...dead, failure: 'refused' }, 5_000), true);
  assert.equal(mayVote(alive, 5_000), true);
});
