import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeAlias, judgeTlsRelay, ledByRestart, type TlsFacts } from '../../src/relay/tls.ts';

const good: TlsFacts = {
  verification: 'full',
  dialled: 'wazuh.example.org',
  addresses: ['127.0.0.1', '192.0.2.1', '192.0.2.2'],
  managers: [
    { id: 'a', certificateNames: ['a.example.org', 'wazuh.example.org'] },
    { id: 'b', certificateNames: ['*.example.org'] },
    { id: 'c', certificateNames: ['c.example.org', '192.0.2.3'] },
  ],
};

function why(facts: Partial<TlsFacts>): string {
  const permission = judgeTlsRelay({ ...good, ...facts });
  return permission.kind === 'refused' ? permission.why : permission.usable.join(' ');
}

test('with full verification only managers that can prove the dialled name are used', () => {
  assert.equal(why({}), 'a b');
});

test('with authority verification every manager is used', () => {
  assert.equal(why({ verification: 'certificate' }), 'a b c');
});

test('an agent that verifies nothing gets no relay: anybody could answer while we are dead', () => {
  assert.equal(why({ verification: 'none' }), 'unverified_tls');
});

test('a bare address instead of a name is refused', () => {
  assert.equal(why({ dialled: '127.0.0.1', addresses: ['127.0.0.1'] }), 'name_not_verifiable');
  assert.equal(why({ dialled: '::1', addresses: ['::1'] }), 'name_not_verifiable');
});

test('a name that does not lead to this host first is refused', () => {
  assert.equal(why({ addresses: ['192.0.2.1', '127.0.0.1'] }), 'name_not_verifiable');
  assert.equal(why({ addresses: [] }), 'name_not_verifiable');
});

test('an alias without real managers behind us is refused: a dead sidecar would strand the agent', () => {
  assert.equal(why({ addresses: ['127.0.0.1'] }), 'no_native_fallback');
  assert.equal(why({ addresses: ['127.0.0.1', '127.0.0.2'] }), 'no_native_fallback');
});

test('a name that no certificate is good for is refused', () => {
  assert.equal(why({ dialled: 'other.example.net' }), 'name_not_verifiable');
});

test('a wildcard stands for one whole label and never for a top level', () => {
  const managers = (pattern: string) => [{ id: 'w', certificateNames: [pattern] }];
  assert.equal(why({ managers: managers('*.example.org') }), 'w');
  assert.equal(why({ managers: managers('*.EXAMPLE.org'), dialled: 'Wazuh.example.ORG.' }), 'w');
  for (const pattern of ['*.org', '*', 'w*.example.org', '*azuh.example.org', '*.*.org']) {
    assert.equal(why({ managers: managers(pattern) }), 'name_not_verifiable', pattern);
  }
  assert.equal(
    why({ managers: managers('*.example.org'), dialled: 'a.b.example.org' }),
    'name_not_verifiable',
  );
});

test('what speaks against an alias is told exactly, and a good one is not led either', () => {
  const alias = (facts: Partial<Omit<TlsFacts, 'managers'>>) =>
    judgeAlias({ verification: 'full', dialled: 'w.example.org', addresses: [], ...facts });
  assert.equal(alias({ verification: 'none' })?.why, 'unverified_tls');
  assert.match(alias({ dialled: '192.0.2.1' })?.text ?? '', /it dials 192\.0\.2\.1/);
  assert.equal(alias({ addresses: ['192.0.2.1'] })?.why, 'name_not_verifiable');
  assert.equal(alias({ addresses: ['127.0.0.1'] })?.why, 'no_native_fallback');
  assert.equal(alias({ addresses: ['127.0.0.1', '192.0.2.1'] }), undefined);
  assert.equal(ledByRestart('w.example.org').why, 'alias_not_kept');
  assert.match(ledByRestart('w.example.org').text, /apply\.mode: service/);
});
