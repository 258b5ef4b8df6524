/** Going back: by an operator, for good until told otherwise; by the sidecar when the file is gone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply } from '../../src/applier/apply.ts';
import { parseMemory } from '../../src/applier/memory.ts';
import { endRestore, restore, restoreMissing, resume } from '../../src/applier/restore.ts';
import { HostError } from '../../src/errors.ts';
import { signedList } from '../list/documents.ts';
import {
  addressOf,
  agentOwner,
  configOf,
  HostInMemory,
  Killed,
  list,
  names,
  request,
} from './host-in-memory.ts';

const newest = { kind: 'generation', generation: 1 } as const;
const ours = names.map(addressOf);

async function applied(): Promise<HostInMemory> {
  const host = await HostInMemory.make({ restartsPerHour: 100, restartsPerDay: 100 });
  await apply(host.world(), request());
  return host;
}

test('what an operator restored stays: the known list is held, not written again', async () => {
  const host = await applied();
  const back = await restore(host.world(), newest, true);
  assert.deepEqual([back.outcome, back.connected], ['restored', true]);
  assert.equal(host.config.toString(), configOf('10.0.0.1'));
  for (const order of [[...names], [...names].reverse()]) {
    const held = await apply(host.world(), request({ order, urgent: true }));
    assert.deepEqual([held.outcome, held.reason?.code], ['held', 'E505']);
    assert.match(held.reason?.message ?? '', /restored by an operator.*pilotfish resume/);
  }
  assert.equal(host.config.toString(), configOf('10.0.0.1'));
});

test('`resume` ends what a restore began, and nobody calls the old entries foreign', async () => {
  const host = await applied();
  await restore(host.world(), newest, true);
  assert.equal((await endRestore(host.world())).outcome, 'unchanged');
  assert.equal((await apply(host.world(), request())).outcome, 'moved');
  assert.deepEqual(host.servers, ours);
});

test('a list that was unknown at the restore ends it too, an older one never', async () => {
  const host = await applied();
  const seen = { epoch: 3, term: 12, version: 4213 };
  await restore(host.world(), newest, true, { ...seen });
  assert.deepEqual(host.remembered.restoredAt, seen);
  const next = (version: number) => request({ listEnvelope: signedList(list({ version })) });
  assert.equal((await apply(host.world(), next(4213))).reason?.code, 'E505');
  assert.equal((await apply(host.world(), next(4214))).outcome, 'moved');
  assert.equal(host.remembered.restoredAt, undefined);
});

test('a restore that changed nothing, or failed, holds nothing', async () => {
  const host = await applied();
  host.backups = [host.config];
  assert.equal((await restore(host.world(), newest, true)).outcome, 'unchanged');
  const none = await restore(host.world(), { kind: 'generation', generation: 3 }, true);
  assert.equal(none.reason?.code, 'E802');
  assert.equal((await apply(host.world(), request())).outcome, 'unchanged');
});

test('restore --original puts back the client section and keeps everything else', async () => {
  const host = await applied();
  host.config = Buffer.from(host.config.toString().replace('kept', 'edited since'));
  const back = await restore(host.world(), { kind: 'original' }, true);
  assert.equal(back.outcome, 'restored');
  assert.equal(host.config.toString(), configOf('10.0.0.1').replace('kept', 'edited since'));
  assert.equal(host.connectedTo, '10.0.0.1');
});

test('entries that the operator changed after one removal are those that the next one puts back', async () => {
  const host = await applied();
  await restore(host.world(), { kind: 'original' }, true);
  host.config = Buffer.from(configOf('10.0.0.77')); // the manager of before is gone for good
  await endRestore(host.world());
  await apply(host.world(), request()); // held: the operator's own entries are left for a while
  host.now += 3_600_000;
  await apply(host.world(), request());
  assert.deepEqual(host.servers, ours);
  assert.equal((await restore(host.world(), { kind: 'original' }, true)).outcome, 'restored');
  assert.equal(host.config.toString(), configOf('10.0.0.77'));
});

test('restore --to N puts back that generation', async () => {
  const host = await applied();
  await apply(host.world(), request({ order: [...names].reverse() }));
  const to = (generation: number) =>
    restore(host.world(), { kind: 'generation', generation }, false);
  assert.equal((await to(2)).outcome, 'restored');
  assert.equal(host.config.toString(), configOf('10.0.0.1'));
  assert.equal(host.connectedTo, addressOf('wm-03'));
});

const labels = '<labels><label key="site">eu</label></labels>';
const fiveText =
  '<ossec_config><agent><manager><address>10.5.5.5</address></manager></agent></ossec_config>\n';

/** A 4.x host whose first file holds a section that 5.x does not know, upgraded since. */
async function upgraded(): Promise<HostInMemory> {
  const host = await HostInMemory.make({}, configOf('10.0.0.1').replace('<!-- kept -->', labels));
  await apply(host.world(), request({ move: false }));
  host.version = '5.0.0';
  host.config = Buffer.from(fiveText);
  return host;
}

test('a generation of before an upgrade, with which the agent would not start, is refused', async () => {
  const host = await upgraded();
  const back = await restore(host.world(), newest, true);
  assert.deepEqual([back.outcome, back.reason?.name], ['refused', 'agent_refuses']);
  assert.match(back.reason?.message ?? '', /5\.0\.0.*line 7.*labels/);
  assert.deepEqual([host.config.toString(), host.pid], [fiveText, 100]);
  assert.equal(host.remembered.restoredAt, undefined);
});

test('restore --original after an upgrade puts back the section, whatever else stood in that file', async () => {
  const host = await upgraded();
  const back = await restore(host.world(), { kind: 'original' }, false);
  assert.deepEqual([back.outcome, back.reason?.message], ['restored', undefined]);
  assert.deepEqual(host.servers, ['10.0.0.1']);
  assert.doesNotMatch(host.config.toString(), /labels/);
});

test('restore without anything to go back to says so', async () => {
  const host = await HostInMemory.make();
  const none = await restore(host.world(), { kind: 'original' }, true);
  assert.deepEqual([none.outcome, none.reason?.code], ['refused', 'E802']);
});

const targets = [newest, { kind: 'original' }] as const;
for (const target of targets) {
  test(`a missing ossec.conf is made anew with its recorded owner (${target.kind})`, async () => {
    const host = await applied();
    host.missing = true;
    const back = await restore(host.world(), target, false);
    assert.equal(back.outcome, 'restored', JSON.stringify(back));
    assert.equal(host.config.toString(), configOf('10.0.0.1'));
    assert.deepEqual([host.createdFor, back.beforeHash], [agentOwner, undefined]);
    assert.match(back.notes.join(), /was missing/);
  });
}

test('the sidecar puts back what is missing, holds nothing by it, and never goes back otherwise', async () => {
  const host = await applied();
  const { config } = host;
  assert.equal((await restoreMissing(host.world())).outcome, 'unchanged');
  assert.equal(host.config, config);
  host.missing = true;
  assert.equal((await restoreMissing(host.world())).outcome, 'restored');
  assert.equal((await apply(host.world(), request())).outcome, 'moved');
  assert.deepEqual(host.servers, ours);
});

test('a missing file and no backup is an error that says so', async () => {
  const host = await HostInMemory.make();
  host.missing = true;
  const none = await restoreMissing(host.world());
  assert.deepEqual([none.outcome, none.reason?.name], ['refused', 'not_found']);
});

test('a restore that failed holds nothing before the write, and the list after it', async () => {
  for (const isReplaced of [false, true]) {
    const host = await applied();
    const world = host.world();
    const replace = async (...job: Parameters<typeof world.file.replace>) => {
      if (isReplaced) await world.file.replace(...job);
      throw new HostError('write_failed', 'the disk is gone');
    };
    const failing = { ...world, file: { ...world.file, replace } };
    assert.equal((await restore(failing, newest, true)).reason?.code, 'E506');
    assert.equal(host.remembered.restoredAt !== undefined, isReplaced);
  }
});

test('killed at any touch of a restore: the file is whole, the agent comes back, the list stays out', async () => {
  const whole = await applied();
  const before = whole.touches;
  await restore(whole.world(), newest, true);
  for (let killAt = before + 1; killAt <= whole.touches; killAt += 1) {
    const host = await applied();
    const ourText = host.config.toString();
    host.killAt = killAt;
    await assert.rejects(restore(host.world(), newest, true), Killed);
    const texts = [configOf('10.0.0.1'), ourText];
    assert.ok(texts.includes(host.config.toString()), `torn at ${killAt}`);
    host.killAt = Number.POSITIVE_INFINITY;
    await resume(host.world());
    assert.equal(host.running, true, `left stopped after touch ${killAt}`);
    const isBack = host.config.toString() === configOf('10.0.0.1');
    const next = await apply(host.world(), request());
    if (isBack) assert.equal(next.reason?.code, 'E505', `overwritten after touch ${killAt}`);
  }
});

test('killed at any touch of a restore, the choice of a newer list that fails goes back to what the operator put there', async () => {
  const whole = await applied();
  const before = whole.touches;
  await restore(whole.world(), newest, true);
  for (let killAt = before + 1; killAt <= whole.touches; killAt += 1) {
    const host = await applied();
    host.killAt = killAt;
    await assert.rejects(restore(host.world(), newest, true), Killed);
    host.killAt = Number.POSITIVE_INFINITY;
    await resume(host.world());
    const left = host.config.toString();
    host.exitsWith = (config) => config.toString() !== left;
    const listEnvelope = signedList(list({ version: 4212 }));
    const order = [...names].reverse();
    const failed = await apply(host.world(), request({ listEnvelope, order }));
    assert.equal(failed.outcome, 'restored', JSON.stringify(failed));
    assert.equal(host.config.toString(), left, `killed at touch ${killAt}`);
  }
});

test('a memory written before owners and restores were remembered is read as ever', async () => {
  const host = await applied();
  const document = JSON.parse(Buffer.from(host.memory ?? '').toString());
  assert.deepEqual(document.owner, agentOwner);
  delete document.owner;
  const { owner, restoredAt, written } = parseMemory(Buffer.from(JSON.stringify(document)));
  assert.deepEqual([owner, restoredAt, written?.servers.length], [undefined, undefined, 3]);
});
