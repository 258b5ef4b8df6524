/**
 * Changes of root keys and of the epoch, each as one more root that every sidecar follows by itself.
 * The root is written last: a crash before it leaves the old state and at most a key nobody names.
 */
import type { Clock, Random } from '../clock.ts';
import { ConfigError } from '../errors.ts';
import type { Root } from '../list/model.ts';
import { renderRoot } from '../list/parse-root.ts';
import { type AcceptedRoot, verifyNextRoot } from '../list/root.ts';
import {
  renderSigningKey,
  type SigningKey,
  signDocument,
  signingKeyFromSeed,
} from '../list/sign.ts';
import { type PublisherFolder, rootValidMs } from './init.ts';

export interface KeyTools {
  readonly folder: PublisherFolder;
  readonly clock: Clock;
  readonly random: Random;
}

export interface KeyGround {
  readonly current: AcceptedRoot;
  /** Every root key at hand. */
  readonly rootKeys: readonly SigningKey[];
  /** Names in the folder. */
  readonly roots: string;
}

export type KeyChange =
  /** Every list of earlier epochs is revoked and versions are counted anew. */
  | { readonly kind: 'raise_epoch' }
  /** The named root key stops counting; a new one takes its place. */
  | { readonly kind: 'replace_root'; readonly kid: string };

export interface KeyOutcome {
  readonly root: AcceptedRoot['root'];
  readonly revoked: readonly string[];
  readonly added: readonly string[];
  /** File of a new root key, to be carried away. */
  readonly rootKeyFile?: string;
}

/** Throws ConfigError when too few root keys are at hand, ListError when nobody would follow. */
export async function changeKeys(
  tools: KeyTools,
  ground: KeyGround,
  change: KeyChange,
): Promise<KeyOutcome> {
  const { folder, random } = tools;
  const before = ground.current.root;
  const fresh = change.kind === 'raise_epoch' ? undefined : signingKeyFromSeed(random.bytes(32));
  const next = nextRoot(before, change, fresh, tools.clock.nowMs());
  const signers = [...ground.rootKeys, ...(fresh === undefined ? [] : [fresh])];
  const wanted = new Set([...before.roles.root.kids, ...next.roles.root.kids]);
  const keys = signers.filter(({ kid }) => wanted.has(kid));
  requireThreshold(before, keys);
  const envelope = signDocument('root', renderRoot(next), keys);
  const accepted = await verifyNextRoot(before, envelope);
  const name = `${ground.roots}/${next.version}.json`;
  if ((await folder.read(name)) !== undefined) {
    throw new ConfigError('already_initialised', `${name} exists already`);
  }
  const text = fresh === undefined ? undefined : `${JSON.stringify(renderSigningKey(fresh))}\n`;
  const rootKeyFile = `root-keys/root-${next.version}-new.jwk`;
  if (text !== undefined) await folder.write(rootKeyFile, text);
  await folder.write(name, Buffer.from(envelope).toString('utf8'));
  const added = fresh === undefined ? [] : [fresh.kid];
  return {
    root: accepted.root,
    revoked: Object.keys(before.keys).filter((kid) => next.keys[kid] === undefined),
    added,
    ...(fresh === undefined ? {} : { rootKeyFile }),
  };
}

function nextRoot(
  root: Root,
  change: KeyChange,
  fresh: SigningKey | undefined,
  nowMs: number,
): Root {
  const issuedAtMs = Math.floor(nowMs / 1_000) * 1_000;
  const base: Root = {
    ...root,
    version: root.version + 1,
    issuedAtMs,
    expiresAtMs: issuedAtMs + rootValidMs,
  };
  if (fresh === undefined || change.kind === 'raise_epoch')
    return { ...base, epoch: root.epoch + 1 };
  const { root: rootRole, rescue } = root.roles;
  if (!rootRole.kids.includes(change.kid)) {
    const known = rootRole.kids.join(', ');
    throw new ConfigError('usage', `${change.kid} is no root key; root keys: ${known}`);
  }
  const swap = (kids: readonly string[]): readonly string[] =>
    kids.map((kid) => (kid === change.kid ? fresh.kid : kid));
  const roles = {
    ...root.roles,
    root: { ...rootRole, kids: swap(rootRole.kids) },
    rescue: { ...rescue, kids: swap(rescue.kids) },
  };
  return withKeys({ ...base, roles }, fresh, [change.kid]);
}

/** The keys without those that no role names any more. */
function withKeys(root: Root, fresh: SigningKey, gone: readonly string[]): Root {
  const { roles } = root;
  const named = new Set([...roles.root.kids, ...roles.list.kids, ...roles.rescue.kids]);
  const kept = Object.entries(root.keys).filter(([kid]) => named.has(kid) || !gone.includes(kid));
  return { ...root, keys: { ...Object.fromEntries(kept), [fresh.kid]: fresh.publicKey } };
}

function requireThreshold({ roles }: Root, keys: readonly SigningKey[]): void {
  const { threshold, kids } = roles.root;
  const seen = keys.filter(({ kid }) => kids.includes(kid)).length;
  if (seen >= threshold) return;
  const hint = '--root-key FILE names one that lies elsewhere';
  throw new ConfigError(
    'usage',
    `${seen} of the root keys are at hand; needed: ${threshold}. ${hint}`,
  );
}
