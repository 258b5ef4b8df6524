import assert from 'node:assert/strict';
import { verify } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { renderFlat, signFlat } from '../../src/list/flat.ts';
import type { ManagerList } from '../../src/list/model.ts';
import { clientDefaults } from '../../src/list/parse-list.ts';
import { signingKeyFromSeed } from '../../src/list/sign.ts';
import { anyList } from './arbitrary.ts';

const hash = `sha256:${'0'.repeat(64)}`;
const list: ManagerList = {
  org: 'acme',
  rootVersion: 2,
  epoch: 3,
  term: 1,
  version: 42,
  aud: { group: '*', site: 'eu-1' },
  issuedAtMs: Date.UTC(2026, 10, 21) + 999,
  validFor: 86_400,
  managers: [
    {
      ...{ id: 'wm1', address: 'wm1.acme.example', port: 1514, protocol: 'tcp', zone: 'a' },
      ...{ prio: 0, weight: 100, state: 'up' },
    },
    {
      ...{ id: 'wm2', address: '2001:db8::2', port: 1515, protocol: 'udp', zone: 'b' },
      ...{ prio: 1, weight: 0, state: 'drain' },
      addresses: [
        { zone: 'a', address: '192.0.2.2' },
        { zone: 'dmz', address: 'wm2.dmz.example', port: 2514 },
      ],
    },
  ],
  client: clientDefaults,
  rollout: { id: 'r-7', salt: 'pepper', pct: 5 },
  balancers: [{ address: 'lb.acme.example', port: 1514 }],
};

test('the flat form of a list is these lines and no other', () => {
  assert.equal(
    Buffer.from(renderFlat(list, hash)).toString(),
    [
      ...['pilotfish-list 1', 'org acme', 'root 2', 'epoch 3', 'term 1', 'version 42'],
      ...['group *', 'site eu-1', 'issued 1795219200', 'valid 86400', `hash ${hash}`],
      ...['spread 120', 'rollout r-7 pepper 5', 'managers 2'],
      'manager wm1 wm1.acme.example 1514 tcp a 0 100 up',
      'manager wm2 2001:db8::2 1515 udp b 1 0 drain',
      'address wm2 a 192.0.2.2 1515',
      'address wm2 dmz wm2.dmz.example 2514',
      'balancer lb.acme.example 1514',
      ...['end', ''],
    ].join('\n'),
  );
});

test('whatever a list says, a line of its flat form has as many words as its kind', () => {
  const words: Readonly<Record<string, number>> = {
    manager: 9,
    address: 5,
    balancer: 3,
    rollout: 4,
    end: 1,
  };
  fc.assert(
    fc.property(anyList, (any) => {
      const lines = Buffer.from(renderFlat(any, hash)).toString().trimEnd().split('\n');
      for (const line of lines) {
        const [kind = '', ...rest] = line.split(' ');
        assert.equal(rest.length + 1, words[kind] ?? 2, line);
        assert.match(line, /^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/);
      }
    }),
  );
});

test('the signature is Ed25519 over exactly the text, and the same list has one signature', () => {
  const key = signingKeyFromSeed(Buffer.alloc(32, 9));
  const form = signFlat(list, hash, key);
  assert.deepEqual(form, signFlat(list, hash, key));
  const [head, line = ''] = Buffer.from(form.signature).toString().trimEnd().split('\n');
  const [kid, signature = ''] = line.split(' ');
  assert.deepEqual([head, kid], ['pilotfish-signature 1', key.kid]);
  const publicKey = { key: { ...key.publicKey }, format: 'jwk' } as const;
  assert.ok(verify(null, form.text, publicKey, Buffer.from(signature, 'base64url')));
});
