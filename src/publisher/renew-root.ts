/**
 * The next root: the same keys and publishers, new dates, and more hosts and ports where they are
 * asked for. Only a list key is ever taken away, when a new one takes its place.
 */
import type { Clock } from '../clock.ts';
import { ConfigError } from '../errors.ts';
import { parseAddress } from '../list/address.ts';
import { allowExactly, isHostAllowed } from '../list/constraints.ts';
import type { Root } from '../list/model.ts';
import { renderRoot } from '../list/parse-root.ts';
import { type AcceptedRoot, verifyNextRoot } from '../list/root.ts';
import { type SigningKey, signDocument } from '../list/sign.ts';
import { type InitManager, type PublisherFolder, rootValidMs } from './init.ts';

export interface RenewRequest {
  readonly managers: readonly InitManager[];
  /** Every root key at hand; at least the threshold of the root. */
  readonly keys: readonly SigningKey[];
  /** Takes the place of every list key so far: what those sign is worthless from then on. */
  readonly newListKey?: SigningKey;
  /** Directory of the roots in the folder. */
  readonly directory: string;
}

/** Throws ConfigError when too few keys are at hand, ListError when the result would not be followed. */
export async function renewRoot(
  tools: { readonly folder: PublisherFolder; readonly clock: Clock },
  current: AcceptedRoot,
  request: RenewRequest,
): Promise<AcceptedRoot> {
  const { threshold, kids } = current.root.roles.root;
  const keys = request.keys.filter((key) => kids.includes(key.kid));
  if (keys.length < threshold) {
    const seen = `${keys.length} of the root keys are at hand; needed: ${threshold}`;
    throw new ConfigError('usage', `${seen}. --root-key FILE names one that lies elsewhere`);
  }
  const next = nextRoot(current.root, request, tools.clock.nowMs());
  const envelope = signDocument('root', renderRoot(next), keys);
  const accepted = await verifyNextRoot(current.root, envelope);
  const name = `${request.directory}/${next.version}.json`;
  if ((await tools.folder.read(name)) !== undefined) {
    throw new ConfigError('already_initialised', `${name} exists already`);
  }
  await tools.folder.write(name, Buffer.from(envelope).toString('utf8'));
  return accepted;
}

function nextRoot(root: Root, { managers, newListKey }: RenewRequest, nowMs: number): Root {
  const { constraints } = root;
  const missing = managers
    .map((manager) => manager.address)
    .filter((text) => {
      const address = parseAddress(text);
      return address === undefined || !isHostAllowed(address, text, constraints);
    });
  const more = allowExactly(missing);
  const issuedAtMs = Math.floor(nowMs / 1_000) * 1_000;
  return {
    ...root,
    ...(newListKey === undefined ? {} : withListKey(root, newListKey)),
    version: root.version + 1,
    issuedAtMs,
    expiresAtMs: issuedAtMs + rootValidMs,
    constraints: {
      ...constraints,
      hosts: [...constraints.hosts, ...more.hosts],
      cidrs: [...constraints.cidrs, ...more.cidrs],
      ports: [...new Set([...constraints.ports, ...managers.map((manager) => manager.port)])],
    },
  };
}

/** Keys that were list keys only are forgotten. */
function withListKey({ keys, roles }: Root, listKey: SigningKey): Pick<Root, 'keys' | 'roles'> {
  const others = new Set([...roles.root.kids, ...roles.rescue.kids]);
  const kept = Object.entries(keys).filter(([kid]) => others.has(kid));
  return {
    keys: Object.fromEntries([...kept, [listKey.kid, listKey.publicKey] as const]),
    roles: { ...roles, list: { threshold: 1, kids: [listKey.kid] } },
  };
}
