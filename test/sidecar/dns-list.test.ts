/** A list from DNS passes, or is stopped by, the very gate of a published one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256Tag } from '../../src/bytes.ts';
import { PeerError } from '../../src/errors.ts';
import { parseEnvelope } from '../../src/list/envelope.ts';
import type { Manager, ManagerList } from '../../src/list/model.ts';
import { parseList } from '../../src/list/parse-list.ts';
import { renderRoot } from '../../src/list/parse-root.ts';
import { verifyNextRoot, verifyPinnedRoot } from '../../src/list/root.ts';
import { signDocument, signingKeyFromSeed } from '../../src/list/sign.ts';
import { verifyList } from '../../src/list/verify.ts';
import { DnsFiles } from '../../src/sidecar/dns-files.ts';
import {
  type DnsSource,
  isLocalOrg,
  localOrg,
  localRoot,
  managersOfAddresses,
  managersOfServices,
  nextLocalList,
  resignAgeMs,
  signLocalList,
} from '../../src/sidecar/dns-list.ts';
import { HandClock } from '../publisher/fixture.ts';

const source: DnsSource = { name: 'wm.example.test', port: 1_514 };
const fence = {
  hosts: ['*.example.test'],
  cidrs: ['192.0.2.0/24', '2001:db8::/32'],
  ports: [1_514],
};
const seeded = (byte: number) => signingKeyFromSeed(new Uint8Array(32).fill(byte));
const keys = { root: seeded(1), list: seeded(2) };
const nowMs = Date.parse('2026-11-28T12:00:00Z');
const root = localRoot(source, fence, keys, nowMs);
const payload = renderRoot(root);

async function judge(managers: readonly Manager[]) {
  const list = nextLocalList(root, managers, undefined, nowMs);
  assert.ok(list);
  const pinned = await verifyPinnedRoot(signDocument('root', payload, [keys.root]), {
    ...{ org: root.org, rootHash: sha256Tag(payload) },
  });
  return verifyList({
    envelope: signLocalList(list, keys.list),
    root: pinned.root,
    audience: { group: 'default', site: 'default' },
    nowMs,
  });
}

test('addresses within the constraints make a list that proves itself, without alarm', async () => {
  const accepted = await judge(managersOfAddresses(['192.0.2.2', '192.0.2.1'], 1_514));
  assert.deepEqual(
    accepted.list.managers.map(({ id }) => id),
    ['192-0-2-1-1514', '192-0-2-2-1514'],
  );
  assert.equal(accepted.freshness.kind, 'clock-only');
});

test('an IPv6 address is listed in its one spelling, however the answer spelled it', async () => {
  // 2001:db8:0:0:1:0:0:5 as the codec gives it, and as somebody wrote it into a hosts file.
  const managers = managersOfAddresses(
    ['2001:db8::1:0:0:5', '2001:DB8::1:0:0:5', '2001:db8::7:0:0:0:5', '192.0.2.1'],
    1_514,
  );
  const { list } = await judge(managers);
  assert.deepEqual(
    list.managers.map(({ address }) => address),
    ['192.0.2.1', '2001:db8:0:7::5', '2001:db8::1:0:0:5'],
  );
});

test('an answer outside the constraints is refused as a whole', async () => {
  for (const bad of [
    managersOfAddresses(['192.0.2.1', '203.0.113.1'], 1_514),
    managersOfAddresses(['192.0.2.1'], 22),
    managersOfServices([{ priority: 1, weight: 1, port: 1_514, target: 'evil.test' }]),
  ]) {
    await assert.rejects(judge(bad), { reason: 'constraint' });
  }
});

test('who steals the list key cannot widen the constraints', async () => {
  const pinned = await verifyPinnedRoot(signDocument('root', payload, [keys.root]), {
    ...{ org: root.org, rootHash: sha256Tag(payload) },
  });
  const wider = { ...root, version: 2, constraints: { ...root.constraints, cidrs: ['0.0.0.0/0'] } };
  const forged = signDocument('root', renderRoot(wider), [keys.list]);
  await assert.rejects(verifyNextRoot(pinned.root, forged), { exit: 4 });
});

test('services keep priority and share; weights beyond the scale are scaled', () => {
  const managers = managersOfServices([
    { priority: 20, weight: 0, port: 1_514, target: 'b.example.test' },
    { priority: 10, weight: 60_000, port: 1_515, target: 'a.example.test' },
    { priority: 10, weight: 30_000, port: 1_514, target: 'c.example.test' },
  ]);
  assert.deepEqual(
    managers.map(({ address, prio, weight }) => [address, prio, weight]),
    [
      ['a.example.test', 0, 1_000],
      ['c.example.test', 0, 500],
      ['b.example.test', 1, 0],
    ],
  );
});

test('a new version only for other managers, or when the last one ages', () => {
  const managers = managersOfAddresses(['192.0.2.1'], 1_514);
  const first = nextLocalList(root, managers, undefined, nowMs) as ManagerList;
  assert.equal(nextLocalList(root, managers, first, nowMs + 1_000), undefined);
  assert.equal(nextLocalList(root, managers, first, nowMs + resignAgeMs)?.version, 2);
  const moved = nextLocalList(root, managersOfAddresses(['192.0.2.9'], 1_514), first, nowMs);
  assert.equal(moved?.version, 2);
  assert.match(moved?.prev ?? '', /^sha256:/);
});

test('its organisation is its own and no publisher has such a name by accident', () => {
  assert.ok(isLocalOrg(localOrg(source)));
  assert.ok(!isLocalOrg('acme'));
  assert.notEqual(localOrg(source), localOrg({ ...source, name: 'other.test' }));
});

class FilesInMemory {
  stored: Uint8Array | undefined;
  answer: readonly string[] | 'fails' = ['192.0.2.1'];
  writes = 0;
  accepted: Uint8Array | undefined;
  isInTrouble = false;
  askedMaxAgeMs: number | undefined;
  ttlLeftMs = 30_000;
  unanswered: 4 | 6 | undefined;

  open(clock: HandClock): DnsFiles {
    return new DnsFiles({
      ...{ source, path: '/dns/list.json', clock, root, key: keys.list },
      files: {
        read: async (path) => (path === '/dns/list.json' ? this.stored : Buffer.from('other')),
      },
      write: async (bytes) => {
        this.stored = bytes;
        this.writes += 1;
      },
      remembered: async () => this.accepted,
      isInTrouble: () => this.isInTrouble,
      ask: async (_source, maxAgeMs) => {
        this.askedMaxAgeMs = maxAgeMs;
        if (this.answer === 'fails') throw new PeerError('dns_failed', 'nobody');
        const managers = managersOfAddresses(this.answer, 1_514);
        const { ttlLeftMs, unanswered } = this;
        return { managers, ttlLeftMs, ...(unanswered === undefined ? {} : { unanswered }) };
      },
    });
  }
}

const addressesIn = (bytes: Uint8Array | undefined): readonly string[] =>
  parseList(parseEnvelope(bytes ?? Buffer.alloc(0)).payloadBytes).managers.map(
    ({ address }) => address,
  );

test('reading the list asks; what is unchanged is not signed again; a failure keeps the last one', async () => {
  const files = new FilesInMemory();
  const opened = files.open(new HandClock(nowMs));
  assert.deepEqual(addressesIn(await opened.read('/dns/list.json', 65_536)), ['192.0.2.1']);
  assert.equal(opened.paceMs(), 28_000);
  await opened.read('/dns/list.json', 65_536);
  assert.equal(files.writes, 1);
  files.answer = 'fails';
  assert.deepEqual(addressesIn(await opened.read('/dns/list.json', 65_536)), ['192.0.2.1']);
  assert.equal(opened.paceMs(), 5_000);
  files.answer = ['192.0.2.7'];
  assert.deepEqual(addressesIn(await opened.read('/dns/list.json', 65_536)), ['192.0.2.7']);
  assert.equal(Buffer.from((await opened.read('/other', 9)) ?? '').toString(), 'other');
});

test('a family that nobody answered for keeps its addresses until somebody does', async () => {
  const files = new FilesInMemory();
  const opened = files.open(new HandClock(nowMs));
  const read = async () => addressesIn(await opened.read('/dns/list.json', 65_536));
  files.answer = ['192.0.2.1', '2001:db8::1'];
  assert.deepEqual(await read(), ['192.0.2.1', '2001:db8::1']);
  files.answer = ['2001:db8::2'];
  files.unanswered = 4;
  assert.deepEqual(await read(), ['192.0.2.1', '2001:db8::2']);
  assert.deepEqual([await read(), files.writes], [['192.0.2.1', '2001:db8::2'], 2]);
  files.unanswered = undefined;
  assert.deepEqual(await read(), ['2001:db8::2']);
});

test('without any answer and any list there is an error, not an empty list', async () => {
  const files = new FilesInMemory();
  files.answer = 'fails';
  await assert.rejects(files.open(new HandClock(nowMs)).read('/dns/list.json', 65_536), {
    reason: 'dns_failed',
  });
});

test('a damaged or lost list is mended by the next good answer, and its versions go on', async () => {
  const files = new FilesInMemory();
  const opened = files.open(new HandClock(nowMs));
  files.accepted = await opened.read('/dns/list.json', 65_536);
  files.stored = files.accepted?.subarray(0, 20);
  assert.deepEqual(await opened.read('/dns/list.json', 65_536), files.accepted);
  assert.deepEqual(files.stored, files.accepted);

  files.stored = Buffer.from('{}');
  files.answer = ['192.0.2.7'];
  const mended = parseList(
    parseEnvelope((await opened.read('/dns/list.json', 65_536)) ?? Buffer.alloc(0)).payloadBytes,
  );
  assert.deepEqual([mended.version, mended.managers[0]?.address], [2, '192.0.2.7']);

  files.stored = undefined;
  files.answer = 'fails';
  assert.deepEqual(await opened.read('/dns/list.json', 65_536), files.accepted);
});

test('while a manager is dead the record is asked about anew, eagerly at first', async () => {
  const files = new FilesInMemory();
  const clock = new HandClock(nowMs);
  const opened = files.open(clock);
  await opened.read('/dns/list.json', 65_536);
  assert.deepEqual([opened.paceMs(), files.askedMaxAgeMs], [28_000, undefined]);
  files.isInTrouble = true;
  assert.equal(opened.paceMs(), 250);
  await opened.read('/dns/list.json', 65_536);
  assert.ok((files.askedMaxAgeMs ?? 1_000) < 250, 'the answer before that is not new enough');
  clock.atMs += 2_000;
  assert.equal(opened.paceMs(), 1_000);
  await opened.read('/dns/list.json', 65_536);
  assert.ok((files.askedMaxAgeMs ?? 0) > 250 && (files.askedMaxAgeMs ?? 9_999) < 1_000);
  clock.atMs += 29_000;
  assert.equal(opened.paceMs(), 5_000);
  files.isInTrouble = false;
  assert.equal(opened.paceMs(), 28_000);
});

test('a record is asked about anew before its TTL ends, and a cached rest of a TTL is waited for', async () => {
  const files = new FilesInMemory();
  const clock = new HandClock(nowMs);
  const opened = files.open(clock);
  files.ttlLeftMs = 5_000;
  await opened.read('/dns/list.json', 65_536);
  clock.atMs += opened.paceMs();
  assert.equal(clock.atMs, nowMs + 3_000);
  files.ttlLeftMs = 1_500;
  await opened.read('/dns/list.json', 65_536);
  assert.deepEqual([files.askedMaxAgeMs, opened.paceMs()], [0, 1_550]);
});

test('what has no TTL, of the hosts file or stale, is not asked about without a pause', async () => {
  const files = new FilesInMemory();
  const opened = files.open(new HandClock(nowMs));
  files.ttlLeftMs = 0;
  await opened.read('/dns/list.json', 65_536);
  assert.equal(opened.paceMs(), 5_000);
});
