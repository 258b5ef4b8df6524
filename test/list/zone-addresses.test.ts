import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Manager, ZoneAddress } from '../../src/list/model.ts';
import { parseList, renderList } from '../../src/list/parse-list.ts';
import { verifyList, verifyStoredList } from '../../src/list/verify.ts';
import { managersSeenFrom, zonesWithAddresses } from '../../src/list/zone-addresses.ts';
import { anyList } from './arbitrary.ts';
import { aList, aManager, knownFrom, proofOf, refused, refusedAs } from './documents.ts';

const dmz: ZoneAddress = { zone: 'dmz', address: '10.20.7.1', port: 1517 };
const branch: ZoneAddress = { zone: 'branch', address: 'wm-01-nat.mgr.acme.example' };
const first = aManager('wm-01', { addresses: [dmz, branch] });
const others = ['wm-02', 'wm-03'].map((id) => aManager(id));
const zoned = aList({ managers: [first, ...others] });
const withAddresses = (...addresses: readonly ZoneAddress[]) =>
  aList({ managers: [aManager('wm-01', { addresses }), ...others] });
const endpoints = (managers: readonly Manager[]) =>
  managers.map(({ address, port }) => `${address}:${port}`);

test('a host of a zone gets the address for its zone, and every other host the general one', () => {
  const general = endpoints([aManager('wm-01'), ...others]);
  const seen = (zone: string | undefined) => endpoints(managersSeenFrom(zoned.managers, zone));
  assert.deepEqual(seen(undefined), general);
  assert.deepEqual(seen('eu-1a'), general);
  assert.deepEqual(seen('dmz'), ['10.20.7.1:1517', ...general.slice(1)]);
  assert.deepEqual(seen('branch'), ['wm-01-nat.mgr.acme.example:1514', ...general.slice(1)]);
  assert.deepEqual(zonesWithAddresses(zoned.managers), ['branch', 'dmz']);
});

test('seen from a zone, a list is that list but for where its managers are dialled', () => {
  fc.assert(
    fc.property(anyList, fc.string(), ({ managers }, zone) => {
      const seen = managersSeenFrom(managers, zone);
      const rest = (all: readonly Manager[]) =>
        all.map(({ address: _, port: __, addresses: ___, ...same }) => same);
      assert.deepEqual(rest(seen), rest(managers));
      assert.ok(seen.every((one) => !('addresses' in one)));
    }),
  );
});

test('a proven list comes as its own zone dials it, with the hash of the whole', async () => {
  const proof = await proofOf(zoned, { zone: { name: 'dmz' } });
  const accepted = await verifyList(proof);
  assert.equal(accepted.list.managers[0]?.address, '10.20.7.1');
  assert.equal(accepted.hash, knownFrom(zoned).hash);
  const stored = await verifyStoredList(proof);
  assert.deepEqual(stored.list, accepted.list);
  const { list } = await verifyList(await proofOf(zoned));
  assert.deepEqual(list.managers[0]?.addresses, [dmz, branch]); // publishers hand on the whole
});

test('an address for a zone must be allowed by the root, whoever reads the list', async () => {
  const outside: readonly ZoneAddress[] = [
    { zone: 'dmz', address: '10.21.0.1' },
    { zone: 'dmz', address: 'wm.evil.example' },
    { zone: 'dmz', address: '10.20.7.1', port: 22 },
  ];
  for (const one of outside) {
    for (const zone of [undefined, { name: undefined }, { name: 'dmz' }, { name: 'branch' }]) {
      await refused('constraint', await proofOf(withAddresses(one), zone && { zone }));
    }
  }
});

test('no two managers share an address in any zone, by whatever way', async () => {
  const taken = { zone: 'dmz', address: aManager('wm-02').address };
  await refused('constraint', await proofOf(withAddresses(taken), { zone: { name: 'x' } }));
  const same = { zone: 'dmz', address: '10.20.7.1' };
  const pair = aList({
    managers: ['wm-01', 'wm-02'].map((id) => aManager(id, { addresses: [same] })),
  });
  await refused('constraint', await proofOf(pair));
  // One address behind two ports, as port forwarding has it, is two endpoints.
  const forwarded = { zone: 'dmz', address: aManager('wm-02').address, port: 1517 };
  await verifyList(await proofOf(withAddresses(forwarded)));
});

test('two addresses for one zone, too many, none, and unknown members are refused', async () => {
  const nine = Array.from({ length: 9 }, (_, index) => ({ ...dmz, zone: `z${index}` }));
  const bad: readonly (readonly object[])[] = [
    ...[[dmz, { ...dmz, address: '10.20.7.2' }], nine, [], [{ ...dmz, via: 'lb' }]],
    ...[[{ ...dmz, address: '10.20.7.01' }], [{ ...dmz, zone: 'a b' }], [{ ...dmz, port: 0 }]],
    [{ ...dmz, address: 'x</address></server><localfile>' }],
  ];
  for (const addresses of bad) {
    const payload = renderList(withAddresses(...(addresses as ZoneAddress[])));
    assert.throws(() => parseList(payload), refusedAs('list_invalid'));
  }
});

test('what moves away at once is counted as this zone sees it', async () => {
  const before = await verifyList(await proofOf(zoned, { zone: { name: 'dmz' } }));
  const moved = aList({
    version: zoned.version + 1,
    managers: ['wm-01', 'wm-02', 'wm-03'].map((id, index) =>
      aManager(id, { addresses: [{ zone: 'dmz', address: `10.20.8.${index + 1}` }] }),
    ),
  });
  const known = { known: knownFrom(zoned), lastGood: before.list, zone: { name: 'dmz' } };
  await refused('too_many_removed', await proofOf(moved, known));
  const general = { known: knownFrom(zoned), zone: { name: undefined } };
  const lastGood = (await verifyList(await proofOf(zoned, { zone: general.zone }))).list;
  await verifyList(await proofOf(moved, { ...general, lastGood })); // nothing moved for others
});

test('to a sidecar from before this member the list reads as one without it', () => {
  const wire = JSON.parse(Buffer.from(renderList(zoned)).toString());
  const plain = JSON.parse(
    Buffer.from(
      renderList(aList({ ...zoned, managers: [aManager('wm-01'), ...others] })),
    ).toString(),
  );
  for (const manager of wire.managers) {
    // Its parser drops every member that begins with x-, and refuses any other that it does not know.
    for (const name of Object.keys(manager)) if (name.startsWith('x-')) delete manager[name];
  }
  assert.deepEqual(wire, plain);
});
