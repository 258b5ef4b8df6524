/** DNS as the only source of the list: joining by it, and the source itself, from real parts. */
import { readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import * as z from 'zod';
import { sha256Tag } from '../bytes.ts';
import { resolveAddresses } from '../dns/addresses.ts';
import { parseName } from '../dns/name.ts';
import { ConfigError, HostError, PeerError, PilotfishError } from '../errors.ts';
import { isJsonObject, messageOf, systemCodeOf } from '../guards.ts';
import { readGuarded } from '../host/guarded-file.ts';
import { asRoot } from '../host/privilege.ts';
import { sourceFiles } from '../host/sidecar-files.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import { writeDurably } from '../host/two-generation-file.ts';
import { isCidr } from '../list/cidr.ts';
import { parseEnvelope } from '../list/envelope.ts';
import type { Root } from '../list/model.ts';
import { parseRoot, renderRoot } from '../list/parse-root.ts';
import {
  parseSigningKey,
  renderSigningKey,
  signDocument,
  signingKeyFromSeed,
} from '../list/sign.ts';
import { parseToken, renderToken } from '../list/token.ts';
import { type DnsAnswer, DnsFiles } from '../sidecar/dns-files.ts';
import {
  type DnsSource,
  isLocalOrg,
  isService,
  type LocalFence,
  localOrg,
  localRoot,
  managersOfAddresses,
  managersOfServices,
} from '../sidecar/dns-list.ts';
import { type Memory, readMemory } from '../sidecar/memory.ts';
import type { Rooms } from './build-sidecar-rooms.ts';
import { parseConfig } from './config-file.ts';
import type { JoinDnsFlags, NameTools } from './sidecar-host.ts';

const names = {
  source: 'source.json',
  root: 'root/1',
  list: 'list.json',
  key: 'list-key.jwk',
} as const;

function folderOf({ stateDirectory }: Pick<Rooms, 'stateDirectory'>): string {
  return join(stateDirectory, 'dns');
}

const port = z.number().int().min(1).max(65_535);
const constraintsSchema = z.strictObject({
  hosts: z
    .array(
      z
        .string()
        .refine(
          (text) => parseName(text.replace(/^\*\./, '')) !== undefined,
          'expected a host name, or *. and a host name',
        ),
    )
    .max(64)
    .default([]),
  cidrs: z
    .array(z.string().refine(isCidr, 'expected a network, such as 10.20.0.0/16'))
    .max(64)
    .default([]),
  ports: z.array(port).min(1).max(64).default([1_514]),
});

/**
 * The constraints of an installation without a publisher, in YAML. Only root may have written them.
 * Throws ConfigError.
 */
async function readConstraints(path: string): Promise<LocalFence> {
  const where = resolve(path);
  const text = await asRoot(() => readGuarded(where));
  const fence = parseConfig(constraintsSchema, text, where);
  if (fence.hosts.length + fence.cidrs.length > 0) return fence;
  throw new ConfigError('config_invalid', `${where}: hosts or cidrs: expected at least one`);
}

/**
 * Everything that a join by token needs, made here: key, root, source, and the token that pins the
 * root. Throws ConfigError `token_other_org` on a host that a publisher has ever led.
 */
export async function prepareDnsJoin(
  rooms: Rooms,
  flags: JoinDnsFlags,
): Promise<{ readonly token: string; readonly rootFile: string }> {
  await refuseLedHost(rooms);
  const name = parseName(flags.dns);
  if (name === undefined) throw new ConfigError('usage', `--dns ${flags.dns}: no host name`);
  const source: DnsSource = { name, port: flags.port };
  const fence = await readConstraints(flags.constraints);
  const keys = {
    root: signingKeyFromSeed(random.bytes(32)),
    list: signingKeyFromSeed(random.bytes(32)),
  };
  const payload = renderRoot(localRoot(source, fence, keys, clock.nowMs()));
  const folder = folderOf(rooms);
  const write = (file: string, bytes: Uint8Array) => writeDurably(join(folder, file), bytes);
  await removeList(folder);
  await write(names.key, Buffer.from(JSON.stringify(renderSigningKey(keys.list))));
  await write(names.root, signDocument('root', payload, [keys.root]));
  await write(names.source, Buffer.from(JSON.stringify(source)));
  const token = renderToken({
    ...{ org: localOrg(source), publishers: [], rootHash: sha256Tag(payload), rootVersion: 1 },
    ...{ kids: [keys.root.kid], threshold: 1, group: 'default', site: 'default', id: 'dns' },
  });
  return { token, rootFile: join(folder, names.root) };
}

/** A publisher's word is worth more than a name server's: going back to DNS would be a downgrade. */
async function refuseLedHost({ files, memoryFile }: Rooms): Promise<void> {
  const tokens = [await files.readToken(), (await memoryOf(memoryFile))?.token];
  const orgs = tokens.flatMap((token) => (token === undefined ? [] : [parseToken(token).org]));
  const org = orgs.find((one) => !isLocalOrg(one));
  if (org === undefined) return;
  throw new ConfigError(
    'token_other_org',
    `this host follows the publishers of ${org}; a list from DNS would be a downgrade, so it is refused (--reset does not change that: remove the state directory)`,
  );
}

/** Of an earlier key: it would be taken for an attack. */
async function removeList(folder: string): Promise<void> {
  await rm(join(folder, names.list), { force: true });
}

export interface DnsSourceFiles {
  readonly files: DnsFiles;
  readonly path: string;
}

/** Undefined where this host does not live by DNS. Throws HostError `state_unreadable`. */
export async function openDnsSource(
  rooms: Rooms,
  isInTrouble: () => boolean = () => false,
): Promise<DnsSourceFiles | undefined> {
  const folder = folderOf(rooms);
  const read = async (file: string): Promise<Buffer | undefined> => {
    try {
      return await readFile(join(folder, file));
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return undefined;
      throw new HostError('state_inaccessible', `${join(folder, file)}: ${messageOf(error)}`);
    }
  };
  const [source, key, root] = [
    await read(names.source),
    await read(names.key),
    await read(names.root),
  ];
  if (source === undefined || key === undefined || root === undefined) return undefined;
  const token = await rooms.files.readToken();
  if (token !== undefined && !isLocalOrg(parseToken(token).org)) return undefined;
  const path = join(folder, names.list);
  const files = new DnsFiles({
    ...{ source: parseSource(source), path, files: sourceFiles, clock },
    ...{ root: readRoot(root), isInTrouble },
    remembered: () => rememberedList(rooms, root),
    key: parseSigningKey(parseState(names.key, key)),
    write: (bytes) => writeDurably(path, bytes),
    ask: (asked, maxAgeMs) => askDns(rooms.names, asked, maxAgeMs),
  });
  return { files, path };
}

/** Throws HostError `state_unreadable`: written whole, so damage came from elsewhere. */
function parseState(name: string, bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    const seen = `${name} of the DNS source is damaged: join again`;
    throw new HostError('state_unreadable', seen, { cause: error });
  }
}

function parseSource(bytes: Buffer): DnsSource {
  const value = parseState(names.source, bytes);
  const { name, port: number } = isJsonObject(value) ? value : {};
  if (typeof name === 'string' && typeof number === 'number') return { name, port: number };
  throw new HostError('state_unreadable', `${names.source} is not one of ours: join again`);
}

/** The constraints as they were signed once: without them no answer may be believed. */
function readRoot(bytes: Uint8Array): Root {
  try {
    return parseRoot(parseEnvelope(bytes).payloadBytes);
  } catch (error) {
    if (!(error instanceof PilotfishError)) throw error;
    const seen = `${names.root} of the DNS source (the constraints) is damaged: join again`;
    throw new HostError('state_unreadable', seen, { cause: error });
  }
}

/** Undefined as well for a list under an earlier root: another key signed that. */
async function rememberedList(
  { memoryFile }: Rooms,
  root: Uint8Array,
): Promise<Uint8Array | undefined> {
  const memory = await memoryOf(memoryFile);
  const pin = sha256Tag(parseEnvelope(root).payloadBytes);
  return memory?.rootPin === pin ? memory.list?.envelope : undefined;
}

/** Undefined: not joined yet, or damaged. */
function memoryOf(file: Rooms['memoryFile']): Promise<Memory | undefined> {
  return readMemory(file).catch((thrown: unknown) => {
    if (thrown instanceof PilotfishError) return undefined;
    throw thrown;
  });
}

async function askDns(
  { resolver, world }: NameTools,
  source: DnsSource,
  maxAgeMs?: number,
): Promise<DnsAnswer> {
  const wish = maxAgeMs === undefined ? {} : { maxAgeMs };
  if (!isService(source)) {
    const found = await resolveAddresses(world, source.name, wish);
    const { addresses, ttlLeftMs = 0, unanswered } = found;
    const managers = managersOfAddresses(addresses, source.port);
    return { managers, ttlLeftMs, ...(unanswered === undefined ? {} : { unanswered }) };
  }
  const question = { name: source.name, type: 'SRV' } as const;
  const { answer, ttlLeftMs } = await resolver.lookup(question, undefined, maxAgeMs);
  const records =
    answer.kind === 'records'
      ? answer.records.flatMap((one) => (one.type === 'SRV' ? [one.srv] : []))
      : [];
  const managers = managersOfServices(records);
  if (managers.length > 0) return { managers, ttlLeftMs };
  throw new PeerError('dns_failed', `${source.name}: no such service`);
}
