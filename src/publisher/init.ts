/**
 * The first keys, root, certificate and configuration of a publisher, into one directory. A record
 * of what was asked is written first and marked done last: a crash between is found and started
 * over (nobody can have used those keys yet), a finished directory is never written again.
 */
import type { Clock, Random } from '../clock.ts';
import { ConfigError } from '../errors.ts';
import { isJsonObject } from '../guards.ts';
import { allowExactly } from '../list/constraints.ts';
import type { PublicKey, Root } from '../list/model.ts';
import { renderRoot } from '../list/parse-root.ts';
import {
  renderSigningKey,
  type SigningKey,
  signDocument,
  signingKeyFromSeed,
} from '../list/sign.ts';
import { fingerprint } from './content.ts';
import {
  authorityValidDays,
  type CertificateMaker,
  hostsOf,
  serverValidDays,
} from './server-identity.ts';

export interface InitRequest {
  readonly org: string;
  readonly managers: readonly InitManager[];
  /** `https://host:port` of every publisher. */
  readonly urls: readonly string[];
  /** `HOST:PORT` */
  readonly listen: string;
  readonly rootKeys: number;
  readonly threshold: number;
  /** Lists travel as files: sidecars miss no receipts. */
  readonly isStatic?: boolean;
}

export interface InitManager {
  readonly id: string;
  readonly address: string;
  readonly port: number;
}

/** Port: the publisher's directory. Names are relative, writes atomic, durable and mode 0600. */
export interface PublisherFolder {
  readonly path: string;
  /** Undefined when there is none. Throws ConfigError `config_unreadable`. */
  read(name: string): Promise<string | undefined>;
  write(name: string, text: string): Promise<void>;
  /** Entries of the directory (or of `name` in it), sorted; empty when it does not exist. */
  list(name?: string): Promise<readonly string[]>;
}

export interface InitTools {
  readonly folder: PublisherFolder;
  readonly maker: CertificateMaker;
  readonly clock: Clock;
  readonly random: Random;
  renderConfig(request: InitRequest): string;
}

export interface InitOutcome {
  readonly kind: 'created' | 'exists' | 'resumed';
  readonly files: readonly string[];
}

const record = 'init.json';
/** How long a root is good for new lists without a receipt. */
export const rootValidMs = 365 * 86_400_000;
const maxListValidForSeconds = 7 * 86_400;

/** Throws ConfigError `already_initialised`, HostError `write_failed`; see the file comment. */
export async function initPublisher(tools: InitTools, request: InitRequest): Promise<InitOutcome> {
  const { folder } = tools;
  const began = readRecord(await folder.read(record), folder.path);
  const files = fileNames(request);
  if (began !== undefined) checkSame(began.request, request, folder.path);
  if (began?.isDone) {
    await requireFiles(folder, files);
    return { kind: 'exists', files };
  }
  if (began === undefined) await refuseForeign(folder);
  await folder.write(record, renderRecord(request, false));
  for (const [name, text] of makeFiles(tools, request)) await folder.write(name, text);
  await folder.write(record, renderRecord(request, true));
  return { kind: began === undefined ? 'created' : 'resumed', files };
}

function makeFiles(tools: InitTools, request: InitRequest): readonly (readonly [string, string])[] {
  const { maker, random } = tools;
  const newKey = (): SigningKey => signingKeyFromSeed(random.bytes(32));
  const rootKeys = Array.from({ length: request.rootKeys }, newKey);
  const listKey = newKey();
  const authority = maker.makeAuthority({ org: request.org, validDays: authorityValidDays });
  const hosts = hostsOf(request.urls);
  const server = maker.makeServer({ authority, hosts, validDays: serverValidDays });
  const root = firstRoot(request, { rootKeys, listKey, pin: authority.pin }, tools.clock.nowMs());
  const envelope = signDocument('root', renderRoot(root), rootKeys);
  return [
    ...rootKeys.map((key, index) => [rootKeyName(index), renderKey(key)] as const),
    ['list-key.jwk', renderKey(listKey)],
    ['ca.key', authority.keyPem],
    ['ca.crt', authority.certificatePem],
    ['server.pem', `${server.certificatePem}${server.keyPem}`],
    ['roots/1.json', Buffer.from(envelope).toString('utf8')],
    ['publisher.yml', tools.renderConfig(request)],
  ];
}

function firstRoot(
  request: InitRequest,
  keys: {
    readonly rootKeys: readonly SigningKey[];
    readonly listKey: SigningKey;
    readonly pin: string;
  },
  nowMs: number,
): Root {
  const { rootKeys, listKey, pin } = keys;
  const kids = rootKeys.map((key) => key.kid);
  const rootRole = { threshold: request.threshold, kids };
  const issuedAtMs = Math.floor(nowMs / 1_000) * 1_000;
  const named: [string, PublicKey][] = [...rootKeys, listKey].map((key) => [
    key.kid,
    key.publicKey,
  ]);
  return {
    org: request.org,
    version: 1,
    issuedAtMs,
    expiresAtMs: issuedAtMs + rootValidMs,
    keys: Object.fromEntries(named),
    roles: { root: rootRole, list: { threshold: 1, kids: [listKey.kid] }, rescue: rootRole },
    epoch: 1,
    constraints: {
      ...allowExactly(request.managers.map((manager) => manager.address)),
      ports: [...new Set(request.managers.map((manager) => manager.port))],
      protocols: ['tcp'],
      minServers: 1,
      maxServers: 16,
      maxListValidFor: maxListValidForSeconds,
      maxRemovedPct: 50,
      minApplyInterval: 60,
    },
    publishers: request.urls.map((url, index) => ({ id: `p${index + 1}`, url, spki: [pin] })),
    staticDelivery: request.isStatic === true,
  };
}

function rootKeyName(index: number): string {
  return `root-keys/root-${index + 1}.jwk`;
}

function renderKey(key: SigningKey): string {
  return `${JSON.stringify(renderSigningKey(key))}\n`;
}

/** What a finished directory holds; the root keys may have been carried away. */
function fileNames(request: InitRequest): readonly string[] {
  const rootKeys = Array.from({ length: request.rootKeys }, (_, index) => rootKeyName(index));
  return [...rootKeys, ...kept];
}

const kept = ['list-key.jwk', 'ca.key', 'ca.crt', 'server.pem', 'roots/1.json', 'publisher.yml'];

function renderRecord(request: InitRequest, isDone: boolean): string {
  return `${JSON.stringify({ done: isDone, request }, undefined, 2)}\n`;
}

function readRecord(
  text: string | undefined,
  path: string,
): { readonly isDone: boolean; readonly request: unknown } | undefined {
  if (text === undefined) return undefined;
  const damaged = (): ConfigError =>
    new ConfigError('already_initialised', `${path}/${record} is damaged`);
  try {
    const value: unknown = JSON.parse(text);
    if (!isJsonObject(value) || typeof value.done !== 'boolean') throw damaged();
    return { isDone: value.done, request: value.request };
  } catch (error) {
    throw error instanceof ConfigError ? error : damaged();
  }
}

function checkSame(before: unknown, request: InitRequest, path: string): void {
  const old = isJsonObject(before) ? before : {};
  const different = Object.entries(request).filter(
    ([name, value]) => fingerprint(old[name]) !== fingerprint(value),
  );
  if (different.length === 0) return;
  const told = different.map(
    ([name, value]) => `${name} was ${JSON.stringify(old[name])}, now ${JSON.stringify(value)}`,
  );
  const hint = 'change publisher.yml for anything that the root allows';
  throw new ConfigError(
    'already_initialised',
    `${path} was initialised otherwise: ${told.join('; ')}\n${hint}`,
  );
}

async function requireFiles(folder: PublisherFolder, files: readonly string[]): Promise<void> {
  const needed = files.filter((name) => !name.startsWith('root-keys/'));
  for (const name of needed) {
    if ((await folder.read(name)) !== undefined) continue;
    const seen = `${folder.path} was initialised, but ${name} is missing`;
    throw new ConfigError('already_initialised', `${seen}; restore it from a backup`);
  }
}

/** Without our record, files under our names are somebody's keys. */
async function refuseForeign(folder: PublisherFolder): Promise<void> {
  const ours = new Set([...kept.map((name) => name.split('/')[0]), 'root-keys', 'history.db']);
  const found = (await folder.list()).filter((name) => ours.has(name));
  if (found.length === 0) return;
  throw new ConfigError(
    'already_initialised',
    `${folder.path} holds ${found.join(', ')}, which this command did not make`,
  );
}
