/** Root: payload bytes to values and back. Wire names: trust-and-safety 1.5. */
import * as z from 'zod';
import { ListError } from '../errors.ts';
import { parseAddress } from './address.ts';
import { isCidr } from './cidr.ts';
import { checkType } from './document-type.ts';
import { checkPublicKey } from './keys.ts';
import {
  counter,
  identifier,
  instant,
  integer,
  keyId,
  keyPin,
  list,
  members,
  parseMembers,
  pattern,
  percent,
  port,
  present,
  protocol,
  publisherUrl,
  renderInstant,
  renderPayload,
} from './members.ts';
import { listLimits, type Role, type Root } from './model.ts';
import { parseStrictJson } from './strict-json.ts';

const entries = listLimits.maxConstraintEntries;
const hostGrammar = 'a host name, or *. and a host name';
const hostPattern = z
  .string({ error: hostGrammar })
  .refine((text) => parseAddress(text.replace(/^\*\./, ''))?.kind === 'name', hostGrammar);
const cidrGrammar = 'an IPv4 or IPv6 network like 10.20.0.0/16, with no bit set after the prefix';
const cidr = z.string({ error: cidrGrammar }).refine((text) => isCidr(text), cidrGrammar);

const role = members({
  threshold: integer(1, listLimits.maxSignatures),
  kids: list(keyId, 1, listLimits.maxKeys),
});

const publicKey = members({
  kty: z.literal('OKP', '"OKP"'),
  crv: z.literal('Ed25519', '"Ed25519"'),
  x: pattern(/^[A-Za-z0-9_-]{43}$/, '32 bytes in base64url'),
});

const constraints = members({
  hosts: list(hostPattern, 0, entries),
  cidrs: list(cidr, 0, entries),
  ports: list(port, 1, entries),
  protocols: list(protocol, 1, 2),
  minServers: integer(1, listLimits.maxManagers),
  maxServers: integer(1, listLimits.maxManagers),
  maxListValidFor: integer(1, 10 * 366 * 86_400),
  maxRemovedPct: percent,
  minApplyInterval: integer(0, 86_400),
});

const publisher = members({ id: identifier, url: publisherUrl, spki: list(keyPin, 0, 8) });

const document = members({
  typ: z.literal('pf-root'),
  spec: z.literal(1),
  org: identifier,
  version: integer(1, Number.MAX_SAFE_INTEGER),
  issued: instant,
  expires: instant,
  keys: z.record(keyId, publicKey, { error: 'an object of keys by thumbprint' }),
  roles: members({ root: role, list: role, rescue: role }),
  epoch: counter,
  constraints,
  publishers: list(publisher, 0, listLimits.maxPublishers),
  staticDelivery: z.boolean({ error: 'true or false' }).default(false),
  minClient: pattern(
    /^(?:0|[1-9][0-9]{0,5})(?:\.(?:0|[1-9][0-9]{0,5})){2}$/,
    'a version like 1.2.0',
  ).optional(),
});

/**
 * A well-formed root whose keys are strong and whose roles can be fulfilled; nothing is proven.
 * @throws ListError `wrong_type`, `root_invalid`, `weak_key`, `duplicate_member`, `too_big`
 */
export function parseRoot(payload: Uint8Array): Root {
  const rules = { what: 'root', reason: 'root_invalid' } as const;
  const value = parseStrictJson(payload, rules);
  checkType(value, 'root');
  const wire = parseMembers(document, value, rules);
  const { typ: _typ, spec: _spec, issued, expires, ...same } = wire;
  const root = present({ ...same, issuedAtMs: issued, expiresAtMs: expires });
  checkSense(root);
  return root;
}

/** The inverse of `parseRoot`. */
export function renderRoot(root: Root): Uint8Array {
  return renderPayload({
    typ: 'pf-root',
    spec: 1,
    org: root.org,
    version: root.version,
    issued: renderInstant(root.issuedAtMs),
    expires: renderInstant(root.expiresAtMs),
    keys: root.keys,
    roles: root.roles,
    epoch: root.epoch,
    constraints: root.constraints,
    publishers: root.publishers,
    staticDelivery: root.staticDelivery,
    minClient: root.minClient,
  });
}

/** What no single member can tell: strong keys, reachable thresholds, ranges the right way round. */
function checkSense(root: Root): void {
  const count = Object.keys(root.keys).length;
  if (count > listLimits.maxKeys) {
    throw invalid(`keys holds ${count} keys; allowed: at most ${listLimits.maxKeys}`);
  }
  for (const [kid, key] of Object.entries(root.keys)) checkPublicKey(kid, key);
  for (const [name, one] of Object.entries(root.roles)) checkRole(name, one, root);
  if (root.expiresAtMs <= root.issuedAtMs) throw invalid('expires is not after issued');
  const { minServers, maxServers } = root.constraints;
  if (minServers > maxServers) {
    throw invalid(`constraints.minServers is ${minServers}, above maxServers ${maxServers}`);
  }
  const ids = root.publishers.map((one) => one.id);
  if (new Set(ids).size !== ids.length) throw invalid('publishers has one id twice');
}

function checkRole(name: string, role: Role, root: Root): void {
  const unknown = role.kids.find((kid) => !Object.hasOwn(root.keys, kid));
  if (unknown !== undefined) throw invalid(`roles.${name}.kids names ${unknown}, not in keys`);
  const distinct = new Set(role.kids).size;
  if (distinct !== role.kids.length) throw invalid(`roles.${name}.kids names one key twice`);
  if (role.threshold > distinct) {
    throw invalid(`roles.${name}.threshold is ${role.threshold} of only ${distinct} keys`);
  }
}

function invalid(problem: string): ListError {
  return new ListError('root_invalid', `root: ${problem}`);
}
