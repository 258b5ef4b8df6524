/** A publisher's desk with a real history file, a real root and keys from fixed seeds. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { sha256Tag } from '../../src/bytes.ts';
import type { Clock } from '../../src/clock.ts';
import { openHistory } from '../../src/host/history-database.ts';
import { allowExactly } from '../../src/list/constraints.ts';
import type { Constraints, Manager, Root } from '../../src/list/model.ts';
import { clientDefaults } from '../../src/list/parse-list.ts';
import { renderRoot } from '../../src/list/parse-root.ts';
import { verifyPinnedRoot } from '../../src/list/root.ts';
import { signDocument, signingKeyFromSeed } from '../../src/list/sign.ts';
import type { ConfiguredContent } from '../../src/publisher/content.ts';
import type { PublishDesk } from '../../src/publisher/publish.ts';

export const rootKey = signingKeyFromSeed(Buffer.alloc(32, 1));
export const listKey = signingKeyFromSeed(Buffer.alloc(32, 2));

/** A wall clock that a test sets; it has no timers. */
export class HandClock implements Clock {
  atMs: number;
  constructor(atMs: number) {
    this.atMs = atMs;
  }
  nowMs(): number {
    return this.atMs;
  }
  monotonicMs(): number {
    return this.atMs;
  }
  after(): never {
    throw new Error('this clock has no timers');
  }
}

export const startMs = Date.UTC(2026, 10, 21);

export function managersOf(...names: readonly string[]): readonly Manager[] {
  return names.map((id, index) => ({
    id,
    address: `10.0.0.${index + 1}`,
    port: 1514,
    protocol: 'tcp',
    zone: 'default',
    prio: 0,
    weight: 100,
    state: 'up',
  }));
}

export function configuredOf(...names: readonly string[]): ConfiguredContent {
  return {
    managers: managersOf(...names),
    client: clientDefaults,
    validFor: 86_400,
    aud: { group: '*', site: '*' },
  };
}

export function rootOf(change: Partial<Constraints> = {}): Root {
  return {
    org: 'acme',
    version: 1,
    issuedAtMs: startMs - 1_000,
    expiresAtMs: startMs + 365 * 86_400_000,
    keys: { [rootKey.kid]: rootKey.publicKey, [listKey.kid]: listKey.publicKey },
    roles: {
      root: { threshold: 1, kids: [rootKey.kid] },
      list: { threshold: 1, kids: [listKey.kid] },
      rescue: { threshold: 1, kids: [rootKey.kid] },
    },
    epoch: 1,
    constraints: {
      ...allowExactly(['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4']),
      ports: [1514],
      protocols: ['tcp'],
      minServers: 1,
      maxServers: 16,
      maxListValidFor: 172_800,
      maxRemovedPct: 50,
      minApplyInterval: 60,
      ...change,
    },
    publishers: [],
    staticDelivery: false,
  };
}

export async function verifiedRoot(root: Root) {
  const payload = renderRoot(root);
  const envelope = signDocument('root', payload, [rootKey]);
  const pin = { org: root.org, rootHash: sha256Tag(payload) };
  return (await verifyPinnedRoot(envelope, pin)).root;
}

/** A directory that goes with the test. */
export function scratchDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'pf-publisher-'));
  t.after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 9 }));
  return directory;
}

export interface TestDesk extends PublishDesk {
  readonly clock: HandClock;
  readonly path: string;
}

export async function openDesk(
  t: TestContext,
  change: Partial<Constraints> = {},
): Promise<TestDesk> {
  const path = join(scratchDirectory(t), 'history.db');
  const history = openHistory(path);
  t.after(() => history.close());
  return {
    history,
    path,
    root: await verifiedRoot(rootOf(change)),
    listKey,
    clock: new HandClock(startMs),
  };
}
