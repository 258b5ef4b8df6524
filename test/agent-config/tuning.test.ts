/** Tuning values, enrollment and the bounds of a wish. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EditWish, planEdit, type WantedServer } from '../../src/agent-config/edit.ts';
import { readConfig } from '../../src/agent-config/servers.ts';
import { tuningBounds } from '../../src/agent-config/wish.ts';
import { ConfigError } from '../../src/errors.ts';

const first: WantedServer = { address: '10.0.0.1', port: 1514, protocol: 'tcp' };

function config(inner = ''): Buffer {
  const server = '    <server>\n      <address>10.0.0.1</address>\n    </server>\n';
  return Buffer.from(`<ossec_config>\n  <client>\n${server}${inner}  </client>\n</ossec_config>\n`);
}

function edited(bytes: Buffer, wish: EditWish): string {
  const plan = planEdit(bytes, '4', wish);
  assert.ok(plan.kind === 'changed');
  assert.equal(planEdit(plan.bytes, '4', wish).kind, 'unchanged');
  return plan.bytes.toString();
}

test('nothing of the tuning is written unless it is configured', () => {
  assert.equal(planEdit(config(), '4', { servers: [first] }).kind, 'unchanged');
});

test('keepalive tuning changes the last value there is, or is added behind the servers', () => {
  const wish = { servers: [first], tuning: { notifyTime: 5, timeReconnect: 15 } };
  const present = config('    <notify_time>20</notify_time>\n    <notify_time>30</notify_time>\n');
  assert.equal(
    edited(present, wish),
    config(
      '    <time-reconnect>15</time-reconnect>\n    <notify_time>20</notify_time>\n    <notify_time>5</notify_time>\n',
    ).toString(),
  );
  assert.equal(
    edited(config(), wish),
    config(
      '    <notify_time>5</notify_time>\n    <time-reconnect>15</time-reconnect>\n',
    ).toString(),
  );
});

test('a self-closed setting gets its value in place', () => {
  const wish = { servers: [first], tuning: { notifyTime: 10 } };
  assert.equal(
    edited(config('    <notify_time />\n'), wish),
    config('    <notify_time>10</notify_time>\n').toString(),
  );
});

test('retry tuning of a kept server is added or changed, per server before the common one', () => {
  const wish = {
    servers: [
      { ...first, maxRetries: 1 },
      { ...first, address: '10.0.0.2' },
    ],
    tuning: { maxRetries: 3, retryInterval: 2 },
  };
  const reading = readConfig(Buffer.from(edited(config(), wish)), '4');
  assert.ok(reading.kind === 'starts');
  assert.deepEqual(
    reading.servers.map(({ maxRetries, retryInterval }) => [maxRetries, retryInterval]),
    [
      [1, 2],
      [3, 2],
    ],
  );
});

test('an agent before 3.13.1 gets no retry settings', () => {
  const wish = {
    servers: [{ ...first, address: '10.0.0.2' }],
    tuning: { maxRetries: 3 },
    agentVersion: 'v3.13.0',
  };
  assert.doesNotMatch(edited(config(), wish), /max_retries/);
  assert.match(edited(config(), { ...wish, agentVersion: 'v4.0.0' }), /<max_retries>3</);
});

test('tuning and wishes out of bounds are refused by name', () => {
  const wrong: readonly (readonly [EditWish, RegExp])[] = [
    [{ servers: [first], tuning: { maxRetries: 0 } }, /tuning\.maxRetries: 0/],
    [{ servers: [first], tuning: { notifyTime: 4 } }, /tuning\.notifyTime: 4/],
    [{ servers: [first], tuning: { timeReconnect: 3601 } }, /tuning\.timeReconnect: 3601/],
    [{ servers: [first], tuning: { retryInterval: 1.5 } }, /tuning\.retryInterval: 1\.5/],
    [{ servers: [first], tuning: { notifyTime: 60, timeReconnect: 60 } }, /time-reconnect/],
    [{ servers: [first], tuning: { notifyTime: 60 } }, /time-reconnect would be 60 s/],
    [{ servers: [] }, /servers: 0 given/],
    [{ servers: [{ ...first, port: 0 }] }, /servers\[0\]\.port: 0/],
    [{ servers: [first], retargetEnrollment: { gone: ['A'], to: 'a' } }, /both gone/],
  ];
  for (const [wish, message] of wrong) {
    assert.throws(
      () => planEdit(config(), '4', wish),
      (thrown) => thrown instanceof ConfigError && message.test(thrown.message),
      String(message),
    );
  }
  assert.deepEqual(tuningBounds.maxRetries, [1, 100]);
});

test('5.x takes no retry or reconnect tuning, and keepalive tuning only into <agent>', () => {
  const agent = Buffer.from(
    '<ossec_config>\n  <agent>\n    <server>\n      <address>a</address>\n    </server>\n  </agent>\n</ossec_config>\n',
  );
  const wish = {
    servers: [{ address: 'b', port: 1517, protocol: 'udp' as const, maxRetries: 1 }],
    tuning: { notifyTime: 10, timeReconnect: 60 },
  };
  const plan = planEdit(agent, '5', wish);
  assert.ok(plan.kind === 'changed');
  assert.equal(
    plan.bytes.toString(),
    '<ossec_config>\n  <agent>\n    <server>\n      <address>b</address>\n      <port>1517</port>\n    </server>\n    <notify_time>10</notify_time>\n  </agent>\n</ossec_config>\n',
  );
});

test('enrollment is retargeted in every block that names the gone manager, whatever its spelling', () => {
  const inner = (a: string, b: string): string =>
    `    <enrollment>\n      <manager_address>${a}</manager_address>\n    </enrollment>\n    <enrollment>\n      <manager_address>${b}</manager_address>\n    </enrollment>\n`;
  const wish = {
    servers: [first],
    retargetEnrollment: { gone: ['2001:db8:0::1'], to: '10.0.0.1' },
  };
  assert.equal(
    edited(config(inner('2001:DB8::1', '10.0.0.7')), wish),
    config(inner('10.0.0.1', '10.0.0.7')).toString(),
  );
});
