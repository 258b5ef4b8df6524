/**
 * What one publisher tells another, signed by the list key, which all under one `leader` hold: whoever
 * may say this may say anything in a list anyway.
 */
import { encodeUtf8 } from '../bytes.ts';
import { ListError } from '../errors.ts';
import { isJsonObject } from '../guards.ts';
import { checkHeaderKind } from '../list/document-type.ts';
import { parseEnvelope } from '../list/envelope.ts';
import type { DocumentKind } from '../list/model.ts';
import type { VerifiedRoot } from '../list/root.ts';
import { type SigningKey, signDocument } from '../list/sign.ts';
import { findSigners, meetsThreshold } from '../list/signatures.ts';

export type PeerWordKind = Extract<DocumentKind, 'leaving' | 'views'>;

export function signPeerWord(
  kind: PeerWordKind,
  members: object,
  org: string,
  key: SigningKey,
): Uint8Array {
  const payload = { typ: `pf-${kind}`, spec: 1, org, ...members };
  return signDocument(kind, encodeUtf8(JSON.stringify(payload)), [key]);
}

/**
 * The members of a word of our organisation that a list key signed; its form is the caller's business.
 * @throws ListError `shared_state`, and those of envelopes; SyntaxError where it is no JSON
 */
export async function verifyPeerWord(
  kind: PeerWordKind,
  bytes: Uint8Array,
  root: VerifiedRoot,
  maxBytes: number,
): Promise<Readonly<Record<string, unknown>>> {
  const envelope = parseEnvelope(bytes, maxBytes);
  checkHeaderKind(envelope.kind, kind);
  const signers = await findSigners(envelope, root.keys, 'shared_state');
  if (!meetsThreshold(signers, root.roles.list)) throw notOurs('no list key signed it');
  const value: unknown = JSON.parse(Buffer.from(envelope.payloadBytes).toString('utf8'));
  if (!isJsonObject(value) || value.typ !== `pf-${kind}`) throw notOurs('not one of ours');
  if (value.spec !== 1 || value.org !== root.org) throw notOurs('not one of ours');
  return value;
}

export function notOurs(why: string): ListError {
  return new ListError('shared_state', `the word of another publisher: ${why}`);
}
