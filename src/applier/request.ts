/**
 * What the applier is asked: bytes it verifies itself and an order of managers. Everything that
 * could widen the asker's rights (mode, verbs, budgets, paths) is configuration, never request.
 */
import { decodeBase64Url, encodeBase64Url, encodeUtf8, equalBytes } from '../bytes.ts';
import { ConfigError } from '../errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../guards.ts';
import { listLimits } from '../list/model.ts';
import type { PollReceipt } from '../list/receipt.ts';

/** Where the relay listens; it becomes the first server entry. */
export interface RelayAddress {
  /** Loopback literal: `127.0.0.0/8` or `::1`. */
  readonly address: string;
  readonly port: number;
}

export interface ApplyRequest {
  /** Exact bytes of the list envelope. */
  readonly listEnvelope: Uint8Array;
  /** Exact bytes of root envelopes newer than the applier's own root, ascending; may be empty. */
  readonly rootEnvelopes: readonly Uint8Array[];
  /** Manager ids, first is preferred: a permutation or subset (>= minServers) of the verified list. */
  readonly order: readonly string[];
  readonly relay?: RelayAddress;
  /** The freshness receipt that came with the list, where there is one. */
  readonly receipt?: PollReceipt;
  /** True: restart the agent so that it dials the first entry now; false: write only. */
  readonly move: boolean;
  /**
   * True: this leaves a dead manager, or the agent is lost. The restart is then spent from the
   * emergency allowance; nothing else changes.
   */
  readonly urgent?: boolean;
  /**
   * True: its connection to the first entry has no other end any more, although it looks
   * established. Without it an agent that talks to the first entry is not restarted.
   */
  readonly renew?: boolean;
}

/** Largest request document: one list, 64 roots, some ids, in base64. */
export const maxRequestBytes = 8 * 1024 * 1024;

const members: readonly string[] = [
  'typ',
  'spec',
  'list',
  'roots',
  'order',
  'relay',
  'receipt',
  'move',
  'urgent',
  'renew',
];

/** The request as it travels through the spool: one JSON object, bytes in base64url. */
export function encodeApplyRequest(request: ApplyRequest): Uint8Array {
  const document = {
    typ: 'pf-apply',
    spec: 1,
    list: encodeBase64Url(request.listEnvelope),
    roots: request.rootEnvelopes.map(encodeBase64Url),
    order: request.order,
    ...(request.relay === undefined ? {} : { relay: request.relay }),
    ...(request.receipt === undefined ? {} : { receipt: { ...request.receipt } }),
    move: request.move,
    ...(request.urgent === undefined ? {} : { urgent: request.urgent }),
    ...(request.renew === undefined ? {} : { renew: request.renew }),
  };
  return encodeUtf8(`${JSON.stringify(document)}\n`);
}

/**
 * The other request: put ossec.conf back where it is missing. It names nothing, so whoever asks
 * decides nothing: the newest backup is the applier's own, and a file that is there stays.
 */
export const restoreRequest: Uint8Array = encodeUtf8('{"typ":"pf-restore-missing","spec":1}\n');

export function isRestoreRequest(bytes: Uint8Array): boolean {
  return equalBytes(bytes, restoreRequest);
}

/** Throws ConfigError `usage` that names the member; the asker is not trusted. */
export function parseApplyRequest(bytes: Uint8Array): ApplyRequest {
  if (bytes.length > maxRequestBytes) throw wrong(`${bytes.length} bytes are too many`);
  const document = parseJson(bytes);
  const unknown = Object.keys(document).find((name) => !members.includes(name));
  if (unknown !== undefined) throw wrong(`unknown member '${unknown.slice(0, 64)}'`);
  if (document.typ !== 'pf-apply' || document.spec !== 1) throw wrong('typ or spec is not ours');
  const { move, urgent, renew } = document;
  if (typeof move !== 'boolean') throw wrong("'move' must be true or false");
  if (urgent !== undefined && typeof urgent !== 'boolean') {
    throw wrong("'urgent' must be true or false");
  }
  if (renew !== undefined && typeof renew !== 'boolean') {
    throw wrong("'renew' must be true or false");
  }
  return {
    listEnvelope: parseBytes(document.list, 'list'),
    rootEnvelopes: parseArray(document.roots, 'roots', listLimits.maxRootsPerRun).map((root) =>
      parseBytes(root, 'roots'),
    ),
    order: parseArray(document.order, 'order', listLimits.maxManagers).map(parseId),
    ...(document.relay === undefined ? {} : { relay: parseRelay(document.relay) }),
    ...(document.receipt === undefined ? {} : { receipt: parseReceipt(document.receipt) }),
    move,
    ...(urgent === undefined ? {} : { urgent }),
    ...(renew === undefined ? {} : { renew }),
  };
}

function parseJson(bytes: Uint8Array): JsonObject {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    if (isJsonObject(value)) return value;
  } catch (error) {
    throw new ConfigError('usage', 'apply request: not JSON', { cause: error });
  }
  throw wrong('not a JSON object');
}

function parseArray(value: JsonValue | undefined, name: string, max: number): readonly JsonValue[] {
  if (!Array.isArray(value)) throw wrong(`'${name}' must be an array`);
  if (value.length > max) throw wrong(`'${name}' has more than ${max} entries`);
  return value;
}

function parseBytes(value: JsonValue | undefined, name: string): Uint8Array {
  const bytes = typeof value === 'string' ? decodeBase64Url(value) : undefined;
  if (bytes === undefined) throw wrong(`'${name}' must be base64url`);
  if (bytes.length > listLimits.maxEnvelopeBytes) throw wrong(`'${name}' exceeds 64 KiB`);
  return bytes;
}

function parseId(value: JsonValue): string {
  if (typeof value !== 'string' || !/^[A-Za-z0-9_-]{1,64}$/.test(value)) {
    throw wrong("'order' must hold manager ids");
  }
  return value;
}

function parseRelay(value: JsonValue): RelayAddress {
  if (!isJsonObject(value)) throw wrong("'relay' must be an object");
  const { address, port } = value;
  if (typeof address !== 'string' || !isLoopback(address)) {
    throw wrong("'relay.address' must be a loopback address");
  }
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw wrong("'relay.port' must be 1 to 65535");
  }
  return { address, port };
}

function parseReceipt(value: JsonValue): PollReceipt {
  if (!isJsonObject(value)) throw wrong("'receipt' must be an object");
  const { compact, nonce } = value;
  if (typeof compact !== 'string' || compact.length > listLimits.maxEnvelopeBytes) {
    throw wrong("'receipt.compact' must be a short string");
  }
  if (typeof nonce !== 'string' || nonce.length > listLimits.maxStringLength) {
    throw wrong("'receipt.nonce' must be a short string");
  }
  return { compact, nonce };
}

/** Only what cannot leave this host: a request must never point the agent anywhere else. */
export function isLoopback(address: string): boolean {
  if (address === '::1') return true;
  const octets = address.split('.');
  const canonical = octets.every(
    (octet) => /^(0|[1-9]\d{0,2})$/.test(octet) && Number(octet) < 256,
  );
  return canonical && octets.length === 4 && octets[0] === '127';
}

function wrong(what: string): ConfigError {
  return new ConfigError('usage', `apply request: ${what}`);
}
