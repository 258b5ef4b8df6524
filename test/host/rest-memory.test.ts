import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../src/clock.ts';
import { restMemory } from '../../src/host/rest-memory.ts';

/** Holds what is to be done until it is told to. */
class HeldClock implements Clock {
  readonly waiting: (() => void)[] = [];
  nowMs = (): number => 0;
  monotonicMs = (): number => 0;
  after(_delayMs: number, task: () => void): () => void {
    this.waiting.push(task);
    return () => void this.waiting.splice(this.waiting.indexOf(task), 1);
  }
}

test('memory is given back again and again until the end, and never where nothing can collect', (t) => {
  const before = globalThis.gc;
  t.after(() => {
    globalThis.gc = before;
  });
  const clock = new HeldClock();
  globalThis.gc = undefined;
  restMemory(clock)();
  assert.equal(clock.waiting.length, 0);
  let collected = 0;
  globalThis.gc = (() => {
    collected += 1;
  }) as NonNullable<typeof before>;
  const end = restMemory(clock);
  clock.waiting.shift()?.();
  clock.waiting.shift()?.();
  assert.equal(collected, 2);
  end();
  assert.equal(clock.waiting.length, 0);
});
