import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply } from '../../src/applier/apply.ts';
import { applierAlarms, readApplierReport } from '../../src/applier/report.ts';
import { restore } from '../../src/applier/restore.ts';
import { configOf, HostInMemory, names, request } from './host-in-memory.ts';

const read = async (host: HostInMemory) => {
  const report = await readApplierReport(host.world());
  assert.ok(report);
  return { report, alarms: applierAlarms(report, host.settings) };
};

test('an undisturbed host has no drift and no alarm; what was spent is told apart', async () => {
  const host = await HostInMemory.make({ mode: 'service' });
  await apply(host.world(), request());
  await apply(host.world(), request({ order: [...names].reverse(), urgent: true }));
  const { report, alarms } = await read(host);
  assert.deepEqual([report.drift, alarms], [{ kind: 'none' }, []]);
  assert.deepEqual(
    [report.restarts.lastHour, report.restarts.lastDay, report.restarts.urgentLastHour],
    [1, 1, 1],
  );
  host.now += 2 * 3_600_000;
  const later = (await read(host)).report.restarts;
  assert.deepEqual([later.lastHour, later.lastDay, later.urgentLastHour], [0, 1, 0]);
});

test('other servers in the file are a warning, other bytes are none', async () => {
  const host = await HostInMemory.make();
  await apply(host.world(), request());
  host.config = Buffer.from(host.config.toString().replace('kept', 'edited'));
  assert.deepEqual((await read(host)).alarms, []);
  host.config = Buffer.from(configOf('10.9.9.9'));
  const { report, alarms } = await read(host);
  assert.equal(report.drift?.kind, 'servers');
  assert.deepEqual(
    alarms.map(({ level }) => level),
    ['warning'],
  );
  assert.match(alarms[0]?.text ?? '', /E505 drift: ossec\.conf names 10\.9\.9\.9/);
});

test('a fight over the entries is critical from the third revert of the day on', async () => {
  const host = await HostInMemory.make({ restartsPerHour: 100, restartsPerDay: 100 });
  for (let round = 0; round < 3; round += 1) {
    await apply(host.world(), request());
    host.now += 3_600_000;
    host.config = Buffer.from(configOf(`10.9.9.${round}`));
    await apply(host.world(), request());
    host.now += 3_600_000;
  }
  const { report, alarms } = await read(host);
  assert.equal(report.foreignEdits, 3);
  assert.ok(alarms.some(({ level, text }) => level === 'critical' && /3 times/.test(text)));
});

test('after a restore the operator is reminded, and his entries are no drift', async () => {
  const host = await HostInMemory.make();
  await apply(host.world(), request());
  await restore(host.world(), { kind: 'generation', generation: 1 }, true);
  const { report, alarms } = await read(host);
  assert.deepEqual([report.isRestored, report.drift?.kind], [true, 'none']);
  assert.match(alarms.map(({ text }) => text).join(), /restored by an operator/);
});

test('a missing file leaves drift open, a host that never joined has no report', async () => {
  const host = await HostInMemory.make();
  host.missing = true;
  assert.equal((await read(host)).report.drift, undefined);
  host.memory = undefined;
  assert.equal(await readApplierReport(host.world()), undefined);
});
