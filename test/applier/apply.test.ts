import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply } from '../../src/applier/apply.ts';
import { resume } from '../../src/applier/restore.ts';
import { aManager, keyNamed, signedList } from '../list/documents.ts';
import {
  addressOf,
  configOf,
  HostInMemory,
  Killed,
  list,
  names,
  request,
} from './host-in-memory.ts';

const wanted = names.map(addressOf);

test('a verified list is written in the asked order and the agent moved to its first manager', async () => {
  const host = await HostInMemory.make();
  const result = await apply(host.world(), request({ order: ['wm-02', 'wm-03', 'wm-01'] }));
  assert.equal(result.outcome, 'moved');
  assert.deepEqual(host.servers, ['wm-02', 'wm-03', 'wm-01'].map(addressOf));
  assert.equal(host.connectedTo, addressOf('wm-02'));
  assert.deepEqual([result.restarts, result.connected], [1, true]);
  assert.deepEqual(result.position, { epoch: 3, term: 12, version: 4211 });
  assert.deepEqual(
    result.servers.map(({ address }) => address),
    host.servers,
  );
  assert.notEqual(result.beforeHash, result.afterHash);
  assert.equal(JSON.stringify(JSON.parse(JSON.stringify(result))), JSON.stringify(result));
});

test('the same request again changes no byte and restarts nothing', async () => {
  const host = await HostInMemory.make();
  await apply(host.world(), request());
  const { config, pid } = host;
  const again = await apply(host.world(), request());
  assert.deepEqual([again.outcome, again.restarts], ['unchanged', 0]);
  assert.equal(host.config, config);
  assert.equal(host.pid, pid);
});

test('without `move` the file is written and the agent left running', async () => {
  const host = await HostInMemory.make();
  const result = await apply(host.world(), request({ move: false }));
  assert.deepEqual([result.outcome, result.restarts], ['written', 0]);
  assert.deepEqual(host.servers, wanted);
  assert.equal(host.connectedTo, '10.0.0.1');
});

const orders: readonly (readonly [string, readonly string[]])[] = [
  ['a manager outside the list', ['wm-01', 'wm-99']],
  ['a manager twice', ['wm-01', 'wm-01']],
  ['fewer managers than must stay', ['wm-01']],
  ['no manager', []],
];
for (const [what, order] of orders) {
  test(`an order with ${what} is refused and changes nothing`, async () => {
    const host = await HostInMemory.make();
    const { config } = host;
    const result = await apply(host.world(), request({ order }));
    assert.deepEqual([result.outcome, result.reason?.code], ['refused', 'E509']);
    assert.equal(host.config, config);
  });
}

const forged = signedList(list(), [keyNamed('stranger')]);
const offered: readonly (readonly [string, Uint8Array, string])[] = [
  ['signed by a stranger', forged, 'E205'],
  ['older than the known one', signedList(list({ version: 4210 })), 'E404'],
  ['with the same version and other content', signedList(list({ validFor: 3_600 })), 'E405'],
  ['cut in the middle', signedList(list()).subarray(0, 200), 'E201'],
];
for (const [what, listEnvelope, code] of offered) {
  test(`a list ${what} is refused (${code}); file, agent and trust stay`, async () => {
    const host = await HostInMemory.make();
    await apply(host.world(), request());
    const { config, memory, pid } = host;
    const result = await apply(host.world(), request({ listEnvelope }));
    assert.deepEqual([result.outcome, result.reason?.code], ['refused', code]);
    assert.deepEqual([host.config, host.memory, host.pid], [config, memory, pid]);
  });
}

test('a list that is already known stays usable long after it expired', async () => {
  const host = await HostInMemory.make();
  await apply(host.world(), request());
  host.now += 400 * 24 * 3_600_000;
  const result = await apply(host.world(), request({ order: [...names].reverse() }));
  assert.equal(result.outcome, 'moved');
  assert.equal(host.connectedTo, addressOf('wm-03'));
});

test('a new list that is expired by the clock and has no receipt is refused', async () => {
  const host = await HostInMemory.make();
  await apply(host.world(), request());
  host.now += 3 * 24 * 3_600_000;
  const next = signedList(list({ version: 4212 }));
  const result = await apply(host.world(), request({ listEnvelope: next }));
  assert.equal(result.reason?.code, 'E406');
});

test('case 92: while an upgrade is under way nothing is written and nothing restarted', async () => {
  const host = await HostInMemory.make();
  host.upgrade = '/var/ossec/packages_files';
  const { config, pid } = host;
  const result = await apply(host.world(), request());
  assert.deepEqual([result.outcome, result.reason?.code], ['held', 'E508']);
  assert.deepEqual([host.config, host.pid], [config, pid]);
});

test('case 94: a file that the agent rejects already is not edited', async () => {
  const host = await HostInMemory.make();
  host.preflight = () => ({ kind: 'rejected', why: '(1202): Configuration error' });
  const { config } = host;
  const result = await apply(host.world(), request());
  assert.deepEqual([result.outcome, result.reason?.code], ['refused', 'E504']);
  assert.match(result.reason?.message ?? '', /already rejects/);
  assert.equal(host.config, config);
});

test('a new file that the agent alone rejects is not installed', async () => {
  const host = await HostInMemory.make();
  host.preflight = (bytes) =>
    bytes.includes('10.20.0.1') ? { kind: 'rejected', why: 'no' } : { kind: 'accepted' };
  const result = await apply(host.world(), request());
  assert.deepEqual([result.outcome, result.reason?.code], ['refused', 'E507']);
  assert.deepEqual(host.servers, ['10.0.0.1']);
});

test('case 94: an agent is not restarted in an unchanged file with which it would not start', async () => {
  const host = await HostInMemory.make();
  await apply(host.world(), request({ move: false }));
  host.preflight = () => ({ kind: 'rejected', why: '(1202): Configuration error' });
  const { pid } = host;
  const result = await apply(host.world(), request());
  assert.deepEqual([result.reason?.code, host.pid, host.running], ['E504', pid, true]);
});

test('modulesd goes with agentd when a module would stay deaf, and stays stopped when it was', async () => {
  const wodle = '<wodle name="aws-s3"><disabled>no</disabled></wodle>\n</ossec_config>';
  const config = configOf('10.0.0.1').replace('</ossec_config>', wodle);
  for (const modulesd of [true, false]) {
    const host = await HostInMemory.make({}, config);
    host.modulesd = modulesd;
    assert.equal((await apply(host.world(), request())).outcome, 'moved');
    const stopped = host.steps.flatMap((step) => (step.kind === 'stop' ? [step.daemon] : []));
    assert.deepEqual(stopped, modulesd ? ['agentd', 'modulesd'] : ['agentd']);
  }
});

test('another apply under way is held, not refused', async () => {
  const host = await HostInMemory.make();
  host.locked = true;
  const result = await apply(host.world(), request());
  assert.deepEqual([result.outcome, result.reason?.code], ['held', 'E501']);
});

test('an agent that exits with the new file is back on the old one within 30 s', async () => {
  const host = await HostInMemory.make();
  host.exitsWith = (config) => config.includes('10.20.0.1');
  const before = host.config.toString();
  const startedAt = host.now;
  const result = await apply(host.world(), request());
  assert.deepEqual([result.outcome, result.reason?.code], ['restored', 'E610']);
  assert.match(result.reason?.message ?? '', /1230/);
  assert.equal(host.config.toString(), before);
  assert.equal(host.connectedTo, '10.0.0.1');
  assert.equal(result.connected, true);
  assert.ok(host.now - startedAt < 30_000, `${host.now - startedAt} ms`);
});

test('a choice that was undone is not tried again for a day; another order is', async () => {
  const host = await HostInMemory.make();
  host.exitsWith = (config) => config.includes('10.20.0.1');
  await apply(host.world(), request());
  const again = await apply(host.world(), request());
  assert.deepEqual([again.outcome, again.reason?.code], ['held', 'E610']);
  host.exitsWith = () => false;
  const other = await apply(host.world(), request({ order: ['wm-02', 'wm-03'] }));
  assert.equal(other.outcome, 'moved');
  host.now += 25 * 3_600_000;
  assert.equal((await apply(host.world(), request({ move: false }))).outcome, 'written');
});

test('an agent that does not connect goes back only if the old managers answer better', async () => {
  const host = await HostInMemory.make();
  host.up = ['10.0.0.1'];
  const startedAt = host.now;
  const result = await apply(host.world(), request());
  assert.deepEqual([result.outcome, result.reason?.code], ['restored', 'E610']);
  assert.equal(host.connectedTo, '10.0.0.1');
  assert.ok(host.now - startedAt >= 180_000);
});

const silences: readonly (readonly [string, readonly string[], boolean])[] = [
  ['nobody answers', [], true],
  ['nobody can be asked', ['10.0.0.1'], false],
];
for (const [what, up, countHealthy] of silences) {
  test(`an agent that does not connect keeps the new list when ${what}`, async () => {
    const host = await HostInMemory.make();
    host.up = [...up];
    host.countHealthy = countHealthy;
    const result = await apply(host.world(), request());
    assert.deepEqual([result.outcome, result.reason?.code], ['written', 'E610']);
    assert.deepEqual([host.servers, result.restarts], [wanted, 1]);
  });
}

test('a used-up restart budget holds the move; the list is written all the same', async () => {
  const host = await HostInMemory.make({ restartsPerHour: 1 });
  await apply(host.world(), request());
  const result = await apply(host.world(), request({ order: [...names].reverse() }));
  assert.deepEqual([result.outcome, result.reason?.code], ['held', 'E602']);
  assert.deepEqual(host.servers, [...wanted].reverse());
  assert.equal(host.connectedTo, addressOf('wm-01'));
  host.now += 3_600_001;
  const later = await apply(host.world(), request({ order: [...names].reverse() }));
  assert.equal(later.outcome, 'moved');
});

test('an agent that its operator stopped stays stopped; the list is written', async () => {
  const host = await HostInMemory.make();
  host.running = false;
  const result = await apply(host.world(), request());
  assert.deepEqual([result.outcome, host.running], ['written', false]);
});

test('an agent that never could start, with placeholders only, is started with the list', async () => {
  const host = await HostInMemory.make({}, configOf('MANAGER_IP'));
  host.running = false;
  const result = await apply(host.world(), request());
  assert.equal(result.outcome, 'moved');
  assert.equal(host.connectedTo, addressOf('wm-01'));
});

test('the relay comes first, tuned to fail fast, and only in relay mode', async () => {
  const relay = { address: '127.0.0.1', port: 1514 };
  const host = await HostInMemory.make({ mode: 'relay' });
  host.up.push('127.0.0.1');
  const result = await apply(host.world(), request({ relay }));
  assert.equal(result.outcome, 'moved');
  assert.deepEqual(host.servers, ['127.0.0.1', ...wanted]);
  assert.match(host.config.toString(), /127\.0\.0\.1[\s\S]*?<max_retries>1<[\s\S]*?10\.20\.0\.1/);
  const other = await HostInMemory.make({ mode: 'agentd' });
  const refused = await apply(other.world(), request({ relay }));
  assert.equal(refused.reason?.code, 'E509');
});

test('a 5.x agent gets exactly one manager, the first, and is restarted as a whole', async () => {
  const host = await HostInMemory.make(
    {},
    '<ossec_config><agent><server><address>10.0.0.1</address><port>1514</port></server></agent></ossec_config>',
  );
  host.version = '5.0.0';
  const result = await apply(host.world(), request());
  assert.equal(result.outcome, 'moved');
  assert.deepEqual(host.servers, [addressOf('wm-01')]);
  assert.deepEqual(host.steps, [
    { kind: 'run', argv: ['systemctl', 'restart', 'wazuh-agent.service'] },
  ]);
});

test('a list that removes too many managers at once is refused by the applier itself', async () => {
  const host = await HostInMemory.make();
  await apply(host.world(), request());
  const others = ['wm-07', 'wm-08'].map((id) => aManager(id, { address: addressOf(id) }));
  const next = signedList(list({ version: 4212, managers: others }));
  const swap = request({ listEnvelope: next, order: ['wm-07', 'wm-08'] });
  assert.equal((await apply(host.world(), swap)).reason?.code, 'E409');
});

test('killed at any touch of the world, the next run ends moved, with a whole file', async () => {
  const whole = await HostInMemory.make();
  await apply(whole.world(), request());
  const final = whole.config.toString();
  const start = configOf('10.0.0.1');
  for (let killAt = 1; killAt <= whole.touches; killAt += 1) {
    const host = await HostInMemory.make();
    host.killAt = killAt;
    await assert.rejects(apply(host.world(), request()), Killed);
    assert.ok([start, final].includes(host.config.toString()), `torn at ${killAt}`);
    host.killAt = Number.POSITIVE_INFINITY;
    await resume(host.world());
    assert.equal(host.running, true, `left stopped after touch ${killAt}`);
    const result = await apply(host.world(), request());
    assert.ok(['moved', 'unchanged'].includes(result.outcome), `${killAt}: ${result.outcome}`);
    assert.equal(host.config.toString(), final);
    assert.equal(host.connectedTo, addressOf('wm-01'), `killed at touch ${killAt}`);
    assert.equal(host.remembered.unfinishedSinceMs, undefined);
  }
});
