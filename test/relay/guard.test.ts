import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type EnrollmentFacts,
  judgeRelay,
  type PortFacts,
  type RelayPermission,
} from '../../src/relay/guard.ts';

const linux: PortFacts = { unprivilegedFrom: 1024, mayBindPrivileged: true };
const unprivileged: PortFacts = { unprivilegedFrom: 1024, mayBindPrivileged: false };
const windows: PortFacts = { unprivilegedFrom: 0, mayBindPrivileged: false };

const guarded: EnrollmentFacts = {
  enabled: true,
  port: 1515,
  serverCaVerified: false,
  holder: 'root',
  closesAtOnce: true,
};

function answer(permission: RelayPermission): string {
  return permission.kind === 'refused' ? permission.why : permission.kind;
}

const cases: readonly [
  rule: string,
  port: number,
  enrollment: Partial<EnrollmentFacts>,
  ports: PortFacts,
  expected: string,
][] = [
  ['a guard of root that closes at once is enough', 914, {}, linux, 'allowed'],
  ['enrollment off needs no guard', 914, { enabled: false, holder: 'nobody' }, linux, 'allowed'],
  [
    'verified enrollment needs no guard',
    914,
    { serverCaVerified: true, holder: 'nobody' },
    linux,
    'allowed',
  ],
  ['a free enrollment port is a door', 914, { holder: 'nobody' }, linux, 'enrollment_open'],
  [
    'an unknown holder is taken for nobody',
    914,
    { holder: 'unknown' },
    unprivileged,
    'enrollment_open',
  ],
  [
    'somebody else on the enrollment port is an alarm',
    914,
    { holder: 'another_user' },
    linux,
    'enrollment_taken',
  ],
  ['our own hold ends with us', 914, { holder: 'this_sidecar' }, linux, 'guard_dies_with_us'],
  ['a guard that stays silent is none', 914, { closesAtOnce: false }, linux, 'guard_silent'],
  ['a high port where we could have a low one is refused', 1514, {}, linux, 'port_open_to_all'],
  [
    'also when enrollment is off: the agent would wait for an impostor',
    1514,
    { enabled: false },
    linux,
    'port_open_to_all',
  ],
  ['a high port where the platform lets us have no other', 1514, {}, unprivileged, 'allowed'],
  [
    'an enrollment port that only root may bind needs no guard',
    914,
    { port: 615, holder: 'nobody' },
    linux,
    'allowed',
  ],
  [
    'where every user may bind every port a low number protects nothing',
    914,
    { port: 615, holder: 'nobody' },
    windows,
    'enrollment_open',
  ],
  ['Windows with enrollment off', 1514, { enabled: false, holder: 'unknown' }, windows, 'allowed'],
];

for (const [rule, port, enrollment, ports, expected] of cases) {
  test(`${rule}: ${expected}`, () => {
    assert.equal(answer(judgeRelay(port, { ...guarded, ...enrollment }, ports)), expected);
  });
}

test('over every combination, nothing is allowed with unverified enrollment at an open port', () => {
  const holders = ['root', 'this_sidecar', 'another_user', 'nobody', 'unknown'] as const;
  for (const holder of holders) {
    for (const bits of Array.from({ length: 16 }, (_, index) => index)) {
      const enrollment: EnrollmentFacts = {
        enabled: (bits & 1) > 0,
        serverCaVerified: (bits & 2) > 0,
        closesAtOnce: (bits & 4) > 0,
        port: (bits & 8) > 0 ? 1515 : 515,
        holder,
      };
      const isOpen =
        enrollment.enabled &&
        !enrollment.serverCaVerified &&
        enrollment.port >= 1024 &&
        !(holder === 'root' && enrollment.closesAtOnce);
      assert.equal(answer(judgeRelay(914, enrollment, linux)) !== 'allowed', isOpen, holder);
    }
  }
});

test('a refusal says what to do about it', () => {
  const permission = judgeRelay(914, { ...guarded, holder: 'nobody' }, linux);
  assert.ok(permission.kind === 'refused');
  assert.match(permission.text, /port 1515.*server_ca_path/);
});
