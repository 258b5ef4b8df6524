/** From what is advertised to what is published: a real history, real keys, real sockets. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { buildProber } from '../../../src/host/probe-socket.ts';
import { systemClock } from '../../../src/host/system-clock.ts';
import { allowExactly } from '../../../src/list/constraints.ts';
import { parseEnvelope } from '../../../src/list/envelope.ts';
import type { ZoneAddress } from '../../../src/list/model.ts';
import { parseList } from '../../../src/list/parse-list.ts';
import { silentLog } from '../../../src/log.ts';
import type { Advertised } from '../../../src/publisher/addresses/advertised.ts';
import {
  type AddressParts,
  addressRound,
} from '../../../src/publisher/addresses/keep-addresses.ts';
import { Complaints } from '../../../src/publisher/complaints.ts';
import type { ConfiguredContent } from '../../../src/publisher/content.ts';
import { drainOrder, publishConfigured, rollbackOrder } from '../../../src/publisher/orders.ts';
import { publish } from '../../../src/publisher/publish.ts';
import { ownAddress } from '../../fakes/processes.ts';
import { configuredOf, openDesk } from '../fixture.ts';
import { PongManager } from '../roster/pong.ts';

const dmz = ownAddress(151);
const dmz2 = ownAddress(152);
const never = new AbortController().signal;

const named = (address: string, more: Partial<Advertised> = {}): Advertised => ({
  ...{ id: 'wm1', zone: 'dmz', address, isTrusted: false, from: 'config' },
  ...more,
});

class Office {
  configured: ConfiguredContent;
  said = new Map<string, readonly ZoneAddress[]>();
  readonly complaints = new Complaints(silentLog, systemClock.nowMs);
  readonly desk: Awaited<ReturnType<typeof openDesk>>;

  private constructor(desk: Office['desk'], configured: ConfiguredContent) {
    this.desk = desk;
    this.configured = configured;
  }

  /** wm1 at 10.0.0.1 and wm2 at 10.0.0.2, published; the root allows those and `allowed`. */
  static async open(t: TestContext, advertised: readonly Advertised[], hearsNodes = false) {
    const allowed = ['10.0.0.1', '10.0.0.2', dmz, dmz2, '169.254.7.7', '100.64.3.2'];
    const desk = await openDesk(t, allowExactly(allowed));
    const office = new Office(desk, { ...configuredOf('wm1', 'wm2'), advertised, hearsNodes });
    await office.publish();
    return office;
  }

  publish() {
    return publish(this.desk, publishConfigured(this.configured));
  }

  async round(): Promise<void> {
    const parts: AddressParts = {
      ...{ clock: systemClock, log: silentLog, complaints: this.complaints },
      prober: buildProber(systemClock),
      history: this.desk.history,
      configured: () => this.configured,
      constraints: () => this.desk.root.constraints,
      said: () => this.said,
      leads: () => true,
      settings: () => ({ everyMs: 1_000, deadlineMs: 5_000 }),
      publish: async (order) => void (await publish(this.desk, order)),
    };
    await addressRound(parts, never);
  }

  /** As the newest signed bytes say. */
  addresses(id = 'wm1'): readonly ZoneAddress[] {
    const { envelope } = this.desk.history.newest() ?? assert.fail();
    const { managers } = parseList(parseEnvelope(envelope).payloadBytes);
    return managers.find((one) => one.id === id)?.addresses ?? [];
  }

  fault(): string {
    return this.complaints.list()[0]?.message ?? '';
  }
}

test('an address is published when it answers from here, and then stays when it dies', async (t) => {
  const manager = new PongManager(t, dmz);
  const office = await Office.open(t, [named(dmz)]);
  assert.deepEqual(office.addresses(), []);
  await office.round();
  assert.deepEqual(office.addresses(), []);
  assert.match(office.fault(), /wm1 in zone dmz at \S+ does not answer as a manager from here/);
  await manager.come();
  await office.round();
  assert.deepEqual([office.addresses(), office.fault()], [[{ zone: 'dmz', address: dmz }], '']);
  await manager.leave();
  await office.round();
  await publish(office.desk, drainOrder(office.configured, 'wm2'));
  await office.publish();
  assert.deepEqual(office.addresses(), [{ zone: 'dmz', address: dmz }]);
});

test('one that is to change stays as it was until its successor answers', async (t) => {
  const [first, second] = [new PongManager(t, dmz), new PongManager(t, dmz2)];
  await first.come();
  const office = await Office.open(t, [named(dmz)]);
  await office.round();
  office.configured = { ...office.configured, advertised: [named(dmz2)] };
  await office.round(); // the operator did not publish yet
  await office.publish();
  await office.round();
  assert.deepEqual(office.addresses(), [{ zone: 'dmz', address: dmz }]);
  await second.come();
  await office.round();
  assert.deepEqual(office.addresses(), [{ zone: 'dmz', address: dmz2 }]);
  office.configured = configuredOf('wm1', 'wm2');
  await office.publish();
  assert.deepEqual(office.addresses(), []); // advertised no more
});

test('one that only its zone reaches is published by the word of the operator', async (t) => {
  const office = await Office.open(t, [named(dmz, { isTrusted: true, port: 1514 })]);
  assert.deepEqual(office.addresses(), [{ zone: 'dmz', address: dmz, port: 1514 }]);
  await office.round();
  assert.equal(office.fault(), '');
});

test('what a rollback took away is not put back behind the operator', async (t) => {
  await new PongManager(t, dmz).come();
  const office = await Office.open(t, [named(dmz)]);
  const before = office.desk.history.newest()?.version ?? 0;
  await office.round();
  assert.equal(office.addresses().length, 1);
  await publish(office.desk, rollbackOrder(office.desk.history, office.configured, before));
  await office.round();
  assert.deepEqual(office.addresses(), []);
  await office.publish(); // the operator's word again
  await office.round();
  assert.equal(office.addresses().length, 1);
});

test('what a node says is taken only when the root allows it, nothing is odd about it and it answers', async (t) => {
  await new PongManager(t, dmz).come();
  const office = await Office.open(t, [], true);
  const bad: readonly (readonly [ZoneAddress, RegExp])[] = [
    [{ zone: 'dmz', address: '203.0.113.9' }, /is not allowed by the root/],
    [{ zone: 'dmz', address: 'wm.evil.example' }, /is not allowed by the root/],
    [{ zone: 'dmz', address: dmz, port: 22 }, /a loopback address/],
    [{ zone: 'dmz', address: '169.254.7.7' }, /a link-local address/],
    [{ zone: 'dmz', address: '100.64.3.2' }, /carrier NAT or of an overlay network/],
    [{ zone: 'dmz', address: '172.17.0.2' }, /default container bridge/],
    [{ zone: 'dmz', address: '10.244.1.9' }, /overlay network of pods/],
  ];
  for (const [address, reason] of bad) {
    office.said.set('wm1', [address]);
    await office.round();
    assert.match(office.fault(), reason);
    assert.deepEqual(office.addresses(), []);
  }
});

test('a node that falls silent takes nothing back; one that says otherwise does', async (t) => {
  const office = await Office.open(t, [named(dmz, { isTrusted: true, from: 'config' })], true);
  office.configured = { ...office.configured, advertised: [] };
  await office.publish(); // from now on it is the node's to say
  await office.round();
  assert.equal(office.addresses().length, 1);
  office.said.set('wm2', []);
  await office.round();
  assert.equal(office.addresses().length, 1);
  office.said.set('wm1', []);
  await office.round();
  assert.deepEqual(office.addresses(), []);
});

test('two managers at one address in one zone are refused, and the list stays', async (t) => {
  await new PongManager(t, dmz).come();
  const office = await Office.open(t, [named(dmz), named(dmz, { id: 'wm2' })]);
  await office.round();
  assert.match(office.fault(), /address and port in zone dmz/);
  assert.deepEqual([...office.addresses('wm1'), ...office.addresses('wm2')], []);
  assert.equal(office.desk.history.newest()?.version, 1);
});
