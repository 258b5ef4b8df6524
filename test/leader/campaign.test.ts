/** The short form of the leader campaign; the long one runs by `npm run campaign -- leader`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { campaign } from '../../scripts/campaigns/leader.ts';
import { judgeHistory, type StoreEvent } from '../../scripts/leader/judge.ts';
import { missingEtcd } from './etcd-fixture.ts';

test('twenty histories on a real etcd: never two that write', {
  skip: missingEtcd() ?? false,
}, async (context) => {
  const lines: string[] = [];
  const exit = await campaign.run(['--short', '--seed', '7'], (line) => void lines.push(line));
  for (const line of lines) context.diagnostic(line);
  assert.equal(exit, 0, lines.join('\n'));
});

const seat = (revision: number): StoreEvent => ({ revision, kind: 'seat_taken' });
const written = (revision: number, op: string, token: number, after: string): StoreEvent => ({
  ...{ revision, kind: 'written' },
  value: { op, token, after },
});

test('the judge sees a write without the seat, an older token, a lost update and a lie', () => {
  const good = [seat(2), written(3, 'a', 2, ''), seat(4), written(5, 'b', 4, 'a')];
  const told = { op: 'a', outcome: 'written', revision: 3 } as const;
  assert.deepEqual(judgeHistory(good, [told]), []);
  const empty: StoreEvent = { revision: 3, kind: 'seat_empty' };
  assert.equal(judgeHistory([seat(2), empty, written(4, 'a', 2, '')], []).length, 1);
  assert.equal(judgeHistory([...good, written(6, 'c', 2, 'b')], []).length, 2);
  assert.equal(judgeHistory([...good, written(6, 'c', 4, 'a')], []).length, 1);
  assert.equal(judgeHistory(good, [{ op: 'x', outcome: 'written', revision: 9 }]).length, 1);
  assert.equal(judgeHistory(good, [{ op: 'b', outcome: 'fenced' }]).length, 1);
});
