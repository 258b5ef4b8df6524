/** The load over time keeps a day, whatever managers come and go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoadHistory, sampleEveryMs } from '../../../src/publisher/board/load-history.ts';

test('a manager that came later or left has gaps, not zeros', () => {
  const history = new LoadHistory();
  history.note(1, new Map([['wm1', 5]]));
  history.note(2, new Map(Object.entries({ wm1: 0, wm2: 7 })));
  history.note(3, new Map([['wm2', 9]]));
  assert.deepEqual(history.series(0, 10), {
    times: [1, 2, 3],
    managers: [
      { id: 'wm1', agents: [5, 0, null] },
      { id: 'wm2', agents: [null, 7, 9] },
    ],
  });
});

test('it keeps a day and sends so many points, the newest among them', () => {
  const history = new LoadHistory();
  const samples = (2 * 86_400_000) / sampleEveryMs;
  for (let at = 1; at <= samples; at += 1) {
    history.note(at * sampleEveryMs, new Map([[`wm${Math.floor(at / 1_000)}`, at]]));
  }
  const { times, managers } = history.series(0, 240);
  assert.ok(times.length <= 240);
  assert.equal(times.at(-1), samples * sampleEveryMs);
  assert.ok((times[0] ?? 0) >= 86_400_000, 'what is older than a day is gone');
  assert.ok(managers.length <= 4, 'names of a day ago are gone too');
});
