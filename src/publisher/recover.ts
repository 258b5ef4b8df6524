/**
 * A publisher made anew when all are lost: from the root keys and a copy of the roots (public bytes;
 * any mirror or backup has them). The next root names a new list key, a new publisher and a new
 * epoch, so that versions counted from one win over everything that was published before.
 */
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
import { type InitRequest, type InitTools, rootValidMs } from './init.ts';
import { authorityValidDays, hostsOf, serverValidDays } from './server-identity.ts';

export interface RecoverGround {
  readonly current: AcceptedRoot;
  readonly rootKeys: readonly SigningKey[];
  /** `org` is that of the root. */
  readonly request: InitRequest;
}

/** Throws ConfigError when too few root keys are at hand or a publisher is there already. */
export async function recoverPublisher(
  tools: InitTools,
  { current, rootKeys, request }: RecoverGround,
): Promise<AcceptedRoot> {
  const { folder, maker, random, clock } = tools;
  if ((await folder.read('publisher.yml')) !== undefined) {
    throw new ConfigError('already_initialised', `${folder.path} holds a publisher already`);
  }
  const { threshold, kids } = current.root.roles.root;
  const signers = rootKeys.filter(({ kid }) => kids.includes(kid));
  if (signers.length < threshold) {
    const seen = `${signers.length} of the root keys are at hand; needed: ${threshold}`;
    throw new ConfigError('usage', `${seen}. --root-key FILE names one`);
  }
  const listKey = signingKeyFromSeed(random.bytes(32));
  const authority = maker.makeAuthority({ org: request.org, validDays: authorityValidDays });
  const hosts = hostsOf(request.urls);
  const server = maker.makeServer({ authority, hosts, validDays: serverValidDays });
  const next = nextRoot(current.root, listKey, clock.nowMs(), publishersOf(request, authority.pin));
  const envelope = signDocument('root', renderRoot(next), signers);
  const accepted = await verifyNextRoot(current.root, envelope);
  const files = [
    ['list-key.jwk', `${JSON.stringify(renderSigningKey(listKey))}\n`],
    ['ca.key', authority.keyPem],
    ['ca.crt', authority.certificatePem],
    ['server.pem', `${server.certificatePem}${server.keyPem}`],
    [`roots/${next.version}.json`, Buffer.from(envelope).toString('utf8')],
    ['publisher.yml', tools.renderConfig(request)], // last: without it nothing starts here
  ] as const;
  for (const [name, text] of files) await folder.write(name, text);
  return accepted;
}

function publishersOf({ urls }: InitRequest, pin: string): Root['publishers'] {
  return urls.map((url, index) => ({ id: `p${index + 1}`, url, spki: [pin] }));
}

function nextRoot(
  root: Root,
  listKey: SigningKey,
  nowMs: number,
  publishers: Root['publishers'],
): Root {
  const issuedAtMs = Math.floor(nowMs / 1_000) * 1_000;
  const { root: rootRole, rescue } = root.roles;
  const kept = new Set([...rootRole.kids, ...rescue.kids]);
  const keys = Object.entries(root.keys).filter(([kid]) => kept.has(kid));
  return {
    ...root,
    version: root.version + 1,
    epoch: root.epoch + 1,
    issuedAtMs,
    expiresAtMs: issuedAtMs + rootValidMs,
    keys: { ...Object.fromEntries(keys), [listKey.kid]: listKey.publicKey },
    roles: { ...root.roles, list: { threshold: 1, kids: [listKey.kid] } },
    publishers,
  };
}
