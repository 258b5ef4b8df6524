import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply } from '../../src/applier/apply.ts';
import { judgeForeign, nothingForeign, pauseMs } from '../../src/applier/foreign.ts';
import { addressOf, configOf, HostInMemory, names, request } from './host-in-memory.ts';

const ours = names.map(addressOf);
const puppet = configOf('10.0.0.1', '10.0.0.2');

async function reverted(policy: 'adopt' | 'respect' | 'reassert'): Promise<HostInMemory> {
  const host = await HostInMemory.make({
    foreign: policy,
    restartsPerHour: 100,
    restartsPerDay: 100,
  });
  await apply(host.world(), request());
  host.now += 120_000;
  host.config = Buffer.from(puppet);
  return host;
}

test('case 93: a file restored by Puppet is put back after a pause, not at once', async () => {
  const host = await reverted('reassert');
  const first = await apply(host.world(), request());
  assert.deepEqual([first.outcome, first.reason?.code], ['held', 'E505']);
  assert.equal(host.config.toString(), puppet);
  host.now += 61_000;
  const second = await apply(host.world(), request());
  assert.equal(second.outcome, 'moved');
  assert.deepEqual(host.servers, ours);
  assert.match(second.notes.join(), /changed by somebody else \(1 today\)/);
});

test('case 93: each further revert of the day doubles the pause, and raises the alarm at the third', async () => {
  const host = await reverted('reassert');
  const waits: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    const metAt = host.now;
    let result = await apply(host.world(), request());
    while (result.outcome === 'held') {
      host.now += 1_000;
      result = await apply(host.world(), request());
    }
    waits.push(Math.round((host.now - metAt) / 60_000));
    host.config = Buffer.from(puppet);
  }
  assert.deepEqual(waits, [1, 2, 4, 8]);
  const { revertsAtMs } = host.remembered.foreign;
  assert.equal(revertsAtMs.length, 4);
  const verdict = judgeForeign(host.remembered.foreign, {
    written: [[{ address: 'a', port: 1 }]],
    present: [{ address: 'b', port: 1 }],
    wanted: [{ address: 'a', port: 1 }],
    policy: 'reassert',
    alarmAfterReverts: 3,
    nowMs: host.now,
  });
  assert.equal(verdict.kind === 'hold' && verdict.alarm, true);
});

test('policy respect: their entries stay, whatever the list becomes', async () => {
  const host = await reverted('respect');
  host.now += 24 * 3_600_000;
  const result = await apply(host.world(), request({ order: [...names].reverse() }));
  assert.deepEqual([result.outcome, result.reason?.code], ['held', 'E505']);
  assert.equal(host.config.toString(), puppet);
});

test('policy adopt: their entries stay until another list or order is wanted', async () => {
  const host = await reverted('adopt');
  assert.equal((await apply(host.world(), request())).reason?.code, 'E505');
  const other = await apply(host.world(), request({ order: [...names].reverse() }));
  assert.equal(other.outcome, 'moved');
});

test('edits of other bytes are nobody fighting: they stay, and ours go on', async () => {
  const host = await HostInMemory.make();
  await apply(host.world(), request());
  host.config = Buffer.from(host.config.toString().replace('kept', 'edited by a person'));
  const result = await apply(host.world(), request({ order: [...names].reverse() }));
  assert.equal(result.outcome, 'moved');
  assert.match(host.config.toString(), /edited by a person/);
});

test('reverts are forgotten after a day, and a clock that went back blocks nothing for long', () => {
  const seen = {
    written: [[{ address: 'a', port: 1 }]],
    present: [{ address: 'b', port: 1 }],
    wanted: [{ address: 'a', port: 1 }],
    policy: 'reassert',
    alarmAfterReverts: 3,
  } as const;
  const future = { revertsAtMs: [10 ** 13], accepted: [{ address: 'b', port: 1 }] };
  const held = judgeForeign(future, { ...seen, nowMs: 10 ** 12 });
  assert.equal(held.kind === 'hold' && held.untilMs, 10 ** 12 + 60_000);
  const old = judgeForeign({ revertsAtMs: [0, 1, 2] }, { ...seen, nowMs: 10 ** 12 });
  assert.deepEqual(old.memory.revertsAtMs, [10 ** 12]);
  assert.equal(judgeForeign(nothingForeign, { ...seen, written: [], nowMs: 0 }).kind, 'ours');
  assert.deepEqual([pauseMs(1), pauseMs(2), pauseMs(99)], [60_000, 120_000, 3_600_000]);
});
