/** Rollouts to be run: a small organisation, a good or a bad change. */
import { sha256Tag } from '../../src/bytes.ts';
import { allowExactly } from '../../src/list/constraints.ts';
import type { Manager } from '../../src/list/model.ts';
import { clientDefaults } from '../../src/list/parse-list.ts';
import { renderRoot } from '../../src/list/parse-root.ts';
import { verifyPinnedRoot } from '../../src/list/root.ts';
import { signDocument, signingKeyFromSeed } from '../../src/list/sign.ts';
import type { ConfiguredContent, Content } from '../../src/publisher/content.ts';
import type { RolloutRun } from '../../src/simulation/rollout-world.ts';

const startMs = Date.UTC(2026, 10, 21);
const rootKey = signingKeyFromSeed(Buffer.alloc(32, 1));
const listKey = signingKeyFromSeed(Buffer.alloc(32, 2));
const good = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'];
/** Allowed by the root, and nobody lives there. */
const dead = ['10.0.0.91', '10.0.0.92', '10.0.0.3', '10.0.0.4'];

function contentOf(addresses: readonly string[]): ConfiguredContent {
  const managers: readonly Manager[] = addresses.map((address, index) => ({
    id: `wm${index + 1}`,
    address,
    port: 1514,
    protocol: 'tcp',
    zone: 'default',
    prio: 0,
    weight: 100,
    state: 'up',
  }));
  return {
    managers,
    client: clientDefaults,
    validFor: 86_400,
    aud: { group: '*', site: '*' },
  };
}

async function makeRoot() {
  const kids = [rootKey.kid];
  const payload = renderRoot({
    org: 'acme',
    version: 1,
    issuedAtMs: startMs - 1_000,
    expiresAtMs: startMs + 365 * 86_400_000,
    keys: { [rootKey.kid]: rootKey.publicKey, [listKey.kid]: listKey.publicKey },
    roles: {
      root: { threshold: 1, kids },
      list: { threshold: 1, kids: [listKey.kid] },
      rescue: { threshold: 1, kids },
    },
    epoch: 1,
    constraints: {
      ...allowExactly([...good, ...dead, '10.0.0.5']),
      ports: [1514],
      protocols: ['tcp'],
      minServers: 1,
      maxServers: 16,
      maxListValidFor: 172_800,
      maxRemovedPct: 50,
      minApplyInterval: 60,
    },
    publishers: [],
    staticDelivery: false,
  });
  const envelope = signDocument('root', payload, [rootKey]);
  return (await verifyPinnedRoot(envelope, { org: 'acme', rootHash: sha256Tag(payload) })).root;
}

let root: Awaited<ReturnType<typeof makeRoot>> | undefined;

export async function rolloutRun(options: {
  readonly isBad: boolean;
  readonly agents: number;
  readonly hasFaults: boolean;
}): Promise<RolloutRun> {
  root ??= await makeRoot();
  const change = contentOf(options.isBad ? dead : [...good, '10.0.0.5']);
  return {
    desk: { root, listKey },
    startMs,
    first: contentOf(good),
    change,
    works: ({ managers }: Content) => !managers.some(({ address }) => address === '10.0.0.91'),
    agents: options.agents,
    hasFaults: options.hasFaults,
  };
}
