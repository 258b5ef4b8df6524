/** A chain of roots that is full must not part the sidecar from an applier that lags behind it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply } from '../../src/applier/apply.ts';
import { equalBytes, sha256Tag } from '../../src/bytes.ts';
import { renderRoot } from '../../src/list/parse-root.ts';
import { renderToken } from '../../src/list/token.ts';
import { type Memory, maxRoots, newMemory } from '../../src/sidecar/memory.ts';
import { rememberNews } from '../../src/sidecar/remember.ts';
import { readTrust } from '../../src/sidecar/trust.ts';
import { HostInMemory, list, names, request } from '../applier/host-in-memory.ts';
import { aRoot, aToken, signedList, signedRoot } from '../list/documents.ts';

const firstVersion = aRoot().version;
const quiet = { freshness: 'fresh', rollout: undefined, faults: [], warnings: [] } as const;

function rootOf(version: number) {
  const root = aRoot({ version });
  return { envelope: signedRoot(root), hash: sha256Tag(renderRoot(root)) };
}

/** All roots from `from` to `to` arrive, one by one. */
function learnt(memory: Memory, from: number, to: number): Memory {
  let now = memory;
  for (let version = from; version <= to; version += 1) {
    now = rememberNews(now, { ...quiet, roots: [rootOf(version)] }, '001', 0);
  }
  return now;
}

for (const lag of [0, 1, 2, 30]) {
  test(`an applier ${lag} roots behind still follows when the chain of the sidecar is full`, async () => {
    const host = await HostInMemory.make();
    const first = rootOf(firstVersion);
    const token = renderToken(aToken({ rootHash: first.hash }));
    const joined = newMemory(token, { envelope: first.envelope, pin: first.hash }, 0);
    const ask = ({ roots }: Memory, rootVersion: number, version: number, order: string[]) => {
      const own = host.remembered.trust.root.envelope;
      const isBehind = roots.findIndex((root) => equalBytes(root, own)) + 1;
      const listEnvelope = signedList(list({ rootVersion, version }));
      const offered = { listEnvelope, rootEnvelopes: roots.slice(isBehind), order };
      return apply(host.world(), request(offered));
    };
    const last = firstVersion + maxRoots; // one more than fits
    const seen = last - lag - 1;
    const before = learnt(joined, firstVersion + 1, seen);
    assert.equal((await ask(before, seen, 5_000, [...names])).outcome, 'moved');

    const after = learnt(before, seen + 1, last);
    assert.equal(after.roots.length, maxRoots);
    assert.equal((await readTrust(after, host.now, undefined)).newest.root.version, last);
    host.now += 2 * 3_600_000;
    const result = await ask(after, last, 5_001, [...names].reverse());
    assert.deepEqual([result.outcome, result.reason?.message], ['moved', undefined]);
  });
}
