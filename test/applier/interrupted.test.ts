/** What a kill or a full disk leaves of a restart, and what the next run makes of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply } from '../../src/applier/apply.ts';
import { restore, resume } from '../../src/applier/restore.ts';
import { HostError } from '../../src/errors.ts';
import { addressOf, configOf, HostInMemory, Killed, names, request } from './host-in-memory.ts';

const old = configOf('10.0.0.1');
const isOurs = (config: Buffer): boolean => config.toString() !== old;
const lives = (): false => false;

type Prepare = (host: HostInMemory) => void;

/** One host for each touch of a whole `apply`, killed there. */
async function* killedAtEachTouch(prepare: Prepare, config = old): AsyncGenerator<HostInMemory> {
  const whole = await HostInMemory.make({}, config);
  prepare(whole);
  await apply(whole.world(), request());
  for (let killAt = 1; killAt <= whole.touches; killAt += 1) {
    const host = await HostInMemory.make({}, config);
    prepare(host);
    host.killAt = killAt;
    await assert.rejects(apply(host.world(), request()), Killed);
    host.killAt = Number.POSITIVE_INFINITY;
    yield host;
  }
}

const exitsWithOurs: Prepare = (host) => {
  host.exitsWith = isOurs;
};

test('a file that the agent exits with is taken back also after a kill at any touch', async () => {
  for await (const host of killedAtEachTouch(exitsWithOurs)) {
    const killedAt = host.touches;
    await resume(host.world());
    for (const _ of names) await apply(host.world(), request());
    assert.equal(host.running, true, `killed at touch ${killedAt} it stays down`);
    assert.equal(host.config.toString(), old);
  }
});

test('`resume` itself goes back to the file that was replaced, and the choice counts as bad', async () => {
  for await (const host of killedAtEachTouch(exitsWithOurs)) {
    if (host.running || !isOurs(host.config)) continue;
    const result = await resume(host.world());
    assert.deepEqual([result.outcome, result.connected], ['restored', true]);
    assert.equal(host.config.toString(), old);
    assert.match((await apply(host.world(), request())).reason?.message ?? '', /tried and undone/);
    return;
  }
  assert.fail('no kill left the agent stopped in our file');
});

/** Where it is put back after our file was tried, killed at each touch of that. */
async function* killedWhilePuttingBack(prepare: Prepare): AsyncGenerator<HostInMemory> {
  let hasTried = false;
  for await (const host of killedAtEachTouch(prepare)) {
    hasTried ||= host.log !== '' || host.loaded.length > 1;
    if (hasTried) yield host;
  }
}

const cases: readonly (readonly [string, Prepare])[] = [
  ['a file that the agent exits with', exitsWithOurs],
  [
    'a file whose managers do not answer',
    (host) => {
      host.up = ['10.0.0.1'];
      host.settings = { ...host.settings, maxConfirmMs: 3_000 }; // fewer touches
    },
  ],
];
for (const [what, prepare] of cases) {
  test(`${what} is not tried again once a kill has cut off its putting back`, async () => {
    for await (const host of killedWhilePuttingBack(prepare)) {
      const isBack = !isOurs(host.config);
      await resume(host.world());
      const { pid } = host;
      const next = await apply(host.world(), request());
      assert.deepEqual([host.config.toString(), host.connectedTo], [old, '10.0.0.1']);
      if (!isBack) continue;
      assert.match(next.reason?.message ?? '', /tried and undone/, `killed at ${host.touches}`);
      assert.equal(host.pid, pid);
    }
  });
}

test('an unconnected agent goes back as well, where a kill came between write and verdict', async () => {
  for await (const host of killedAtEachTouch(() => undefined)) {
    if (!host.running || !isOurs(host.config) || host.connectedTo !== '10.0.0.1') continue;
    host.up = ['10.0.0.1'];
    const result = await apply(host.world(), request());
    assert.deepEqual([result.outcome, host.connectedTo], ['restored', '10.0.0.1']);
    return;
  }
  assert.fail('no kill came between write and restart');
});

test('a restore that a kill cut off is not undone by `resume`', async () => {
  const host = await HostInMemory.make();
  await apply(host.world(), request());
  const world = host.world();
  const perform: typeof world.control.perform = async (step, timeoutMs) => {
    await world.control.perform(step, timeoutMs);
    if (step.kind === 'stop') throw new Killed('behind the stop');
  };
  const target = { kind: 'generation', generation: 1 } as const;
  const dying = { ...world, control: { ...world.control, perform } };
  await assert.rejects(restore(dying, target, true), Killed);
  host.exitsWith = () => true;
  await resume(host.world());
  assert.equal(host.config.toString(), old);
  host.exitsWith = lives;
  await resume(host.world());
  assert.equal(host.connectedTo, '10.0.0.1');
});

test('modulesd that a kill left stopped is started again', async () => {
  const wodle = '<wodle name="aws-s3"><disabled>no</disabled></wodle>\n</ossec_config>';
  const config = old.replace('</ossec_config>', wodle);
  let left = 0;
  for await (const host of killedAtEachTouch(() => undefined, config)) {
    if (host.running && !host.modulesd) left += 1;
    await resume(host.world());
    await apply(host.world(), request());
    assert.deepEqual([host.running, host.modulesd], [true, true]);
  }
  assert.ok(left > 0, 'no kill left modulesd stopped');
});

test('a replace that was refused makes nobody start an agent that its operator stopped', async () => {
  const host = await HostInMemory.make({ foreign: 'respect' });
  const edited = configOf('10.9.9.9');
  host.beforeReplace = () => {
    host.config = Buffer.from(edited);
  };
  assert.equal((await apply(host.world(), request())).reason?.name, 'changed_meanwhile');
  assert.equal(host.config.toString(), edited);
  host.running = false;
  assert.equal((await resume(host.world())).outcome, 'unchanged');
  assert.equal(host.running, false);
});

test('an agent that did not come up, with no file to go back to, is started by the next run', async () => {
  const host = await HostInMemory.make();
  await apply(host.world(), request({ move: false }));
  host.exitsWith = () => true;
  assert.equal((await apply(host.world(), request())).outcome, 'held');
  assert.equal(host.running, false);
  host.exitsWith = lives;
  assert.equal((await resume(host.world())).outcome, 'moved');
});

test('a disk that fills while the agent is restarted does not keep the old file out', async () => {
  for (let good = 0; good < 6; good += 1) {
    const host = await HostInMemory.make();
    host.exitsWith = isOurs;
    await apply(host.worldOnFullDisk(good), request());
    assert.equal(host.running, true, `full after ${good} writes it stays down`);
  }
});

test('an agent that a kill left stopped is started also while the disk is full', async () => {
  for await (const host of killedAtEachTouch(() => undefined)) {
    const isLeft = !host.running;
    await resume(host.worldOnFullDisk());
    assert.equal(host.running, true);
    if (isLeft) assert.equal(host.connectedTo, addressOf('wm-01'));
  }
});

test('a file that the agent exits with is taken back by `resume` also while the disk is full', async () => {
  for await (const host of killedAtEachTouch(exitsWithOurs)) {
    await resume(host.worldOnFullDisk());
    assert.equal(host.running, true);
  }
});

test('a file that could not be put back is put back by the next run, whatever that is', async () => {
  for (const next of [apply, resume] as const) {
    const host = await HostInMemory.make();
    host.exitsWith = isOurs;
    const world = host.world();
    const replace: typeof world.file.replace = async (before, bytes) => {
      if (Buffer.from(bytes).toString() === old)
        throw new HostError('write_failed', 'no space left');
      return world.file.replace(before, bytes);
    };
    const full = { ...world, file: { ...world.file, replace } };
    assert.match((await apply(full, request())).notes.join(), /not restored: no space left/);
    assert.equal(host.running, false);
    assert.equal((await next(host.world(), request())).outcome, 'restored');
    assert.deepEqual([host.config.toString(), host.connectedTo], [old, '10.0.0.1']);
    assert.match((await apply(host.world(), request())).reason?.message ?? '', /tried and undone/);
  }
});

test('an agent that is down in a file with no way back is started after a kill at any touch too', async () => {
  const make = async () => {
    const host = await HostInMemory.make();
    await apply(host.world(), request({ move: false }));
    host.exitsWith = () => true;
    return host;
  };
  const whole = await make();
  const before = whole.touches;
  await apply(whole.world(), request());
  for (let killAt = before + 1; killAt <= whole.touches; killAt += 1) {
    const host = await make();
    host.killAt = killAt;
    await assert.rejects(apply(host.world(), request()), Killed);
    host.killAt = Number.POSITIVE_INFINITY;
    host.exitsWith = lives;
    await resume(host.world());
    assert.equal(host.running, true, `killed at touch ${killAt} it stays down`);
  }
});

test('what somebody else put into the file meanwhile is not put back, and its agent is started', async () => {
  const host = await HostInMemory.make();
  host.exitsWith = isOurs;
  const edited = configOf('10.9.9.9');
  let writes = 0;
  host.beforeReplace = () => {
    writes += 1;
    if (writes === 2) host.config = Buffer.from(edited);
  };
  assert.equal((await apply(host.world(), request())).outcome, 'written');
  host.exitsWith = lives;
  host.up.push('10.9.9.9');
  assert.equal((await resume(host.world())).outcome, 'moved');
  assert.deepEqual([host.config.toString(), host.connectedTo], [edited, '10.9.9.9']);
});

test('an agent that came up in neither file is started by the order for it, though that is known as bad', async () => {
  const host = await HostInMemory.make();
  host.exitsWith = () => true;
  assert.equal((await apply(host.world(), request())).outcome, 'restored');
  assert.equal(host.running, false);
  host.exitsWith = isOurs;
  assert.equal((await apply(host.world(), request({ urgent: true }))).outcome, 'moved');
  assert.deepEqual([host.config.toString(), host.connectedTo], [old, '10.0.0.1']);
});

test('an agent that did not come up after an operator restored its file is ours to start, too', async () => {
  const host = await HostInMemory.make();
  await apply(host.world(), request());
  host.exitsWith = () => true;
  await restore(host.world(), { kind: 'generation', generation: 1 }, true);
  assert.equal(host.running, false);
  host.exitsWith = lives;
  assert.equal((await resume(host.world())).outcome, 'moved');
  assert.deepEqual([host.config.toString(), host.connectedTo], [old, '10.0.0.1']);
});
