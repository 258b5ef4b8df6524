/** What members of etcd say of themselves, and what `doctor` makes of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeMembers, type MemberSeen } from '../../src/cli/judge-etcd.ts';
import { parseMemberStatus } from '../../src/leader/etcd/member-status.ts';

const header = { cluster_id: '42', member_id: '7', revision: '9', raft_term: '2' };
const sound = { header, version: '3.4.23', leader: '7', dbSize: '20480', raftIndex: '12' };

function member(change: object = {}, more: { tookMs?: number; skewMs?: number } = {}): MemberSeen {
  const status = parseMemberStatus({ ...sound, ...change });
  assert.ok(status);
  return { endpoint: 'https://e:1', answer: { kind: 'status', status, tookMs: 2, ...more } };
}

const linesOf = (...seen: readonly MemberSeen[]) =>
  judgeMembers(seen, 15_000).map(({ level, text }) => `${level}: ${text}`);

test('members of one cluster that are well are told by one line each', () => {
  assert.deepEqual(linesOf(member({}, { skewMs: 400 }), member({}, { skewMs: -700 })), [
    'ok: etcd 3.4.23 answers in 2.0 ms',
    'ok: etcd 3.4.23 answers in 2.0 ms',
    'ok: within 1 s of the members of etcd',
  ]);
});

test('each thing that is amiss has a line of its own, with what to do', () => {
  const cases: readonly (readonly [readonly MemberSeen[], RegExp, RegExp])[] = [
    [[member({ errors: ['memberID:7 alarm:NOSPACE '] })], /fail: .*NOSPACE/, /alarm disarm/],
    [[member({ errors: ['etcdserver: no leader'] })], /fail: .*no leader/, /log of that member/],
    [[member({ version: '3.3.27' })], /fail: is version 3\.3\.27/, /3\.4\.0/],
    [[member({ leader: '0' })], /fail: sees no leader/, /more than half/],
    [[member({}, { tookMs: 900 })], /warn: answers in 900 ms/, /ttl/],
    [[member({ dbSize: '1900000000' })], /warn: keeps 1900000000 bytes/, /defrag/],
    [[member({}, { skewMs: 7_000 })], /warn: 7 s ahead of/, /NTP/],
    [[member({}, { skewMs: -400_000 })], /fail: 400 s behind/, /NTP/],
    [[member()], /warn: one endpoint/, /three members/],
    [
      [member(), member({ header: { ...header, cluster_id: '43' } })],
      /fail: .*of 2 clusters: 42, 43/,
      /one cluster/,
    ],
    [
      [{ endpoint: 'https://e:1', answer: { kind: 'away', why: 'connect ECONNREFUSED' } }],
      /fail: connect ECONNREFUSED/,
      /endpoint health/,
    ],
    [
      [{ endpoint: 'https://e:1', answer: { kind: 'away', why: 'self-signed certificate' } }],
      /fail: self-signed/,
      /leader\.etcd\.ca/,
    ],
  ];
  for (const [seen, line, fix] of cases) {
    const findings = judgeMembers(seen, 15_000);
    const found = findings.find(({ level, text }) => line.test(`${level}: ${text}`));
    assert.match(found?.fix ?? '', fix, JSON.stringify(findings));
  }
});

test('whatever answers there instead of etcd is no status', () => {
  const strange = [
    undefined,
    null,
    'x',
    [],
    {},
    { ...sound, header: {} },
    { ...sound, version: 3 },
  ];
  for (const value of strange) assert.equal(parseMemberStatus(value as never), undefined);
  const hostile = parseMemberStatus({ ...sound, errors: ['a\u0007\nb'.repeat(99), 1, 2, 3, 4, 5] });
  assert.equal(hostile?.troubles.length, 4);
  assert.ok(hostile?.troubles.every((text) => text.length <= 120 && !/\p{Cc}/u.test(text)));
});
