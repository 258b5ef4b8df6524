/** Reports handed on: the newest of each agent, until somebody who leads has it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PeerError } from '../../../src/errors.ts';
import { systemClock } from '../../../src/host/system-clock.ts';
import { silentLog } from '../../../src/log.ts';
import { Complaints } from '../../../src/publisher/complaints.ts';
import {
  maxHops,
  type RawReport,
  ReportForwarder,
  type TellAnswer,
  type TellPort,
} from '../../../src/publisher/reports/forward.ts';
import { eventually } from '../../fakes/processes.ts';

/** A publisher that leads, and keeps what it was told. */
class Leader implements TellPort {
  readonly told: RawReport[] = [];
  readonly answers: (TellAnswer | Error)[] = [];

  async tell(report: RawReport): Promise<TellAnswer> {
    this.told.push(report);
    const answer = this.answers.shift() ?? { status: 200 };
    if (answer instanceof Error) throw answer;
    return answer;
  }
}

const report = (agent: string, text = 'x', hops?: number): RawReport => ({
  ...{ agent, mac: 'm', body: Buffer.from(text) },
  ...(hops === undefined ? {} : { hops }),
});

function open(writer: () => TellPort | 'here' | string) {
  const complaints = new Complaints(silentLog, systemClock.nowMs);
  const forward = new ReportForwarder({ clock: systemClock, complaints, writer });
  const stop = new AbortController();
  const run = async (until: () => boolean): Promise<void> => {
    const running = forward.run(stop.signal);
    await eventually('it is told', until);
    stop.abort();
    await running;
  };
  return { forward, complaints, run };
}

test('the newest report of each agent goes on, once, with one more hop', async () => {
  const leader = new Leader();
  const { forward, run } = open(() => leader);
  for (const text of ['old', 'new']) forward.offer(report('001', text));
  forward.offer(report('002', 'only', 1));
  await run(() => leader.told.length === 2);
  assert.deepEqual(leader.told.map(({ agent, body, hops }) => [agent, `${body}`, hops]).sort(), [
    ['001', 'new', 1],
    ['002', 'only', 2],
  ]);
  assert.deepEqual(forward.counts(), { passed: 2, refused: 0, dropped: 0, waiting: 0 });
});

test('who leads hands nothing on, and nobody sends in circles', async () => {
  let writer: TellPort | 'here' = 'here';
  const leader = new Leader();
  const { forward, run } = open(() => writer);
  forward.offer(report('001'));
  writer = leader;
  forward.offer(report('002', 'x', maxHops));
  forward.offer(report('003'));
  await run(() => leader.told.length > 0);
  assert.deepEqual(
    leader.told.map(({ agent }) => agent),
    ['003'],
  );
});

test('what could not be told is told later; what is known there already is done with', async () => {
  const leader = new Leader();
  leader.answers.push(new PeerError('connect_failed', 'away'), { status: 503 }, { status: 409 });
  const { forward, complaints, run } = open(() => leader);
  forward.offer(report('001'));
  await run(() => forward.counts().refused === 1);
  assert.equal(leader.told.length, 3);
  assert.deepEqual(complaints.list(), []);
});

test('while nobody leads, so many wait and no more, and it is told', async () => {
  const leader = new Leader();
  let writer: TellPort | string = 'no publisher leads now';
  const { forward, complaints, run } = open(() => writer);
  for (let agent = 1; agent <= 20_010; agent += 1) forward.offer(report(`${agent}`));
  assert.deepEqual(forward.counts(), { passed: 0, refused: 0, dropped: 10, waiting: 20_000 });
  let wasTold = false;
  await run(() => {
    wasTold ||= complaints.list().some(({ message }) => /no publisher leads/.test(message));
    if (wasTold) writer = leader;
    return leader.told.length >= 100;
  });
  assert.ok(wasTold);
  assert.deepEqual(complaints.list(), []);
});
