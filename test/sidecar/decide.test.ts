import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decide } from '../../src/sidecar/decide.ts';
import { type DecideCase, readDecideCases, renderDecision, situationOf } from './decide-cases.ts';

const cases = readDecideCases();

for (const { file, one } of cases) {
  test(`${file}: ${one.name}`, () => {
    const decision = decide(situationOf(one));
    const why = decision.trace.join('\n');
    assert.equal(renderDecision(decision, one.expect), one.expect, why);
  });
}

test('there are enough cases, and no two have one name', () => {
  assert.ok(cases.length >= 200, `${cases.length} cases`);
  assert.equal(new Set(cases.map(({ one }) => one.name)).size, cases.length);
});

test('every decision says why, rule by rule', () => {
  const dead = { name: '', health: { a: 'down 1' }, expect: '' };
  assert.deepEqual(decide(situationOf(dead)).trace, [
    'pause: none',
    'agent: runs',
    'dead behind the relay: not in the relay',
    'upgrade: none under way',
    'file: names 3 servers',
    'balancer: none in front',
    'size: 3 usable managers',
    'stopped agent: runs',
    'dead manager: a is down: no answer in time',
  ]);
});

const ids = ['a', 'b', 'c', 'd'];
const anyCase: fc.Arbitrary<DecideCase> = fc.record({
  name: fc.constant(''),
  expect: fc.constant(''),
  list: fc
    .shuffledSubarray(ids, { minLength: 1 })
    .chain((some) =>
      fc.tuple(...some.map((id) => fc.constantFrom(id, id, `${id} drain`, `${id} down`))),
    ),
  file: fc.shuffledSubarray([...ids, 'old']),
  agent: fc.constantFrom('on a', 'on b', 'on old', 'retrying a', 'lost 5', 'lost 100', 'stopped'),
  last: fc.constantFrom(...ids),
  health: fc.dictionary(
    fc.constantFrom(...ids),
    fc.constantFrom('up 5', 'down 5', 'down 500', 'unknown'),
  ),
  attempts: fc.array(fc.constantFrom('move a done 5', 'move b failed 10', 'write a done 3')),
});

test('whatever is seen: a move goes to a live manager, an order names listed managers once', () => {
  fc.assert(
    fc.property(anyCase, (one) => {
      const situation = situationOf(one);
      const { step } = decide(situation);
      if (step.kind !== 'move' && step.kind !== 'write') return;
      const usable = situation.list.ranking.map(({ id }) => id);
      assert.ok(step.order.length > 0);
      assert.equal(new Set(step.order).size, step.order.length);
      assert.ok(step.order.every((id) => usable.includes(id)));
      if (step.kind !== 'move') return;
      assert.equal(step.order[0], step.to);
      assert.equal(situation.seen.health.get(step.to)?.verdict, 'up');
    }),
    { seed: 2026, numRuns: 2000 },
  );
});

test('level-triggered: once the file says what was written, it is not written again', () => {
  fc.assert(
    fc.property(anyCase, (one) => {
      const { step } = decide(situationOf(one));
      if (step.kind !== 'write') return;
      const after = { ...one, file: step.order, attempts: [] };
      const next = decide(situationOf(after)).step;
      assert.notEqual(next.kind, 'write', JSON.stringify({ one, next }));
    }),
    { seed: 2026, numRuns: 2000 },
  );
});
