/**
 * What one publisher leaves to the next: the newest version with everything that is not in the signed
 * list itself, the version to go back to, the operator's word. Signed by the list key like the list,
 * so that whoever can write into the store can still not put words into the next writer's mouth.
 */
import { gunzipSync, gzipSync } from 'node:zlib';
import { decodeUtf8, encodeUtf8 } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { ListError, PeerError } from '../errors.ts';
import { isJsonObject, messageOf } from '../guards.ts';
import { checkHeaderKind } from '../list/document-type.ts';
import { parseEnvelope } from '../list/envelope.ts';
import { renderPosition } from '../list/position.ts';
import type { VerifiedRoot } from '../list/root.ts';
import { type SigningKey, signDocument, signReceipt } from '../list/sign.ts';
import { findSigners, meetsThreshold } from '../list/signatures.ts';
import { verifyList } from '../list/verify.ts';
import type { PublishedList, RolloutMark } from './history.ts';

export interface SharedRecord {
  /** Of the writer that signed `newest`; 0: from before there was a shared state. */
  readonly token: number;
  readonly newest: PublishedList;
  /** What a rollout under way goes back to. */
  readonly stable?: PublishedList;
  /** The last word on that rollout. */
  readonly mark?: RolloutMark;
}

/** Two lists of 64 KiB with their contents, as base64 in an envelope. */
const maxPlainBytes = 768 * 1024;
/** etcd refuses requests of 1.5 MiB. */
export const maxStateBytes = 512 * 1024;

/** Throws PeerError `leader_full` for what no store would take. */
export function encodeRecord(record: SharedRecord, org: string, key: SigningKey): Uint8Array {
  const { newest, stable, token, mark } = record;
  const payload = {
    ...{ typ: 'pf-state', spec: 1, org, token },
    newest: plainEntry(newest),
    ...(stable === undefined ? {} : { stable: plainEntry(stable) }),
    ...(mark === undefined ? {} : { mark }),
  };
  const bytes = gzipSync(signDocument('state', encodeUtf8(JSON.stringify(payload)), [key]));
  if (bytes.length <= maxStateBytes) return bytes;
  const seen = `list ${newest.version} with its content makes ${bytes.length} bytes`;
  throw new PeerError('leader_full', `${seen}; at most ${maxStateBytes} are shared`);
}

/**
 * Proven by a list key of `root`, and so are the lists in it.
 * @throws ListError `shared_state`, and those of `verifyList`
 */
export async function decodeRecord(
  bytes: Uint8Array,
  root: VerifiedRoot,
  { clock, listKey }: { readonly clock: Clock; readonly listKey: SigningKey },
): Promise<SharedRecord> {
  const envelope = parseEnvelope(unpack(bytes), maxPlainBytes);
  checkHeaderKind(envelope.kind, 'state');
  const signers = await findSigners(envelope, root.keys, 'shared_state');
  if (!meetsThreshold(signers, root.roles.list)) {
    const kids = envelope.signatures.map(({ kid }) => kid).join(', ');
    const seen = `signed by ${kids}; root ${root.version} does not let them sign lists`;
    throw new ListError('shared_state', `the shared state is ${seen}`);
  }
  const record = parseRecord(envelope.payloadBytes, root.org);
  const proof = { root, clock, listKey };
  await proveEntry(record.newest, proof);
  // Made under an older root, perhaps: it is gone back to by signing its content anew.
  return record;
}

interface Proof {
  readonly root: VerifiedRoot;
  readonly clock: Clock;
  readonly listKey: SigningKey;
}

/** As a sidecar would that has a fresh receipt. */
async function proveEntry(entry: PublishedList, { root, clock, listKey }: Proof): Promise<void> {
  const nonce = Buffer.alloc(16).toString('base64url');
  const { epoch, term, version, hash } = entry;
  const receipt = { nonce, list: hash, epoch, term, version, nowMs: clock.nowMs() };
  const proven = await verifyList({
    ...{ envelope: entry.envelope, root, audience: entry.content.aud, nowMs: clock.nowMs() },
    receipt: { compact: signReceipt(receipt, listKey), nonce },
  });
  if (proven.hash === hash && renderPosition(proven.position) === renderPosition(entry)) return;
  throw new ListError('shared_state', 'the shared state names another list than it holds');
}

function unpack(bytes: Uint8Array): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: maxPlainBytes });
  } catch (error) {
    throw new ListError('shared_state', `the shared state is damaged: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

type PlainEntry = Omit<PublishedList, 'envelope'> & { readonly envelope: string };

function plainEntry(entry: PublishedList): PlainEntry {
  return { ...entry, envelope: decodeUtf8(entry.envelope) ?? '' };
}

/** Signed by one of our own: only its kind is checked, for a program of another version. */
function parseRecord(payload: Uint8Array, org: string): SharedRecord {
  const value = JSON.parse(Buffer.from(payload).toString('utf8')) as unknown;
  const { typ, spec, org: seen, ...record } = isJsonObject(value) ? value : {};
  if (typ !== 'pf-state' || spec !== 1 || seen !== org) {
    const kind = JSON.stringify({ typ, spec, org: seen }).slice(0, 200);
    throw new ListError('shared_state', `the shared state is ${kind}; expected one of ${org}`);
  }
  const { token, newest, stable, mark } = record as unknown as {
    readonly token: number;
    readonly newest: PlainEntry;
    readonly stable?: PlainEntry;
    readonly mark?: RolloutMark;
  };
  return {
    token,
    newest: fullEntry(newest),
    ...(stable === undefined ? {} : { stable: fullEntry(stable) }),
    ...(mark === undefined ? {} : { mark }),
  };
}

function fullEntry(entry: PlainEntry): PublishedList {
  return { ...entry, envelope: encodeUtf8(entry.envelope) };
}
