/**
 * The envelope around every document: JWS, general JSON serialisation (RFC 7515 7.2.1), with less
 * freedom than the RFC gives. Bytes that pass here have one reading; nothing is proven yet.
 * Rules: trust-and-safety 1.5.
 */
import { decodeBase64Url, encodeUtf8 } from '../bytes.ts';
import { ListError } from '../errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../guards.ts';
import { type DocumentKind, listLimits } from './model.ts';
import { parseStrictJson } from './strict-json.ts';

export interface EnvelopeSignature {
  readonly kid: string;
  /** Base64url, exactly as signed. */
  readonly protected: string;
  readonly signature: string;
}

export interface Envelope {
  /** What the signature headers say; the payload must say the same. */
  readonly kind: DocumentKind;
  /** Base64url, exactly as signed. */
  readonly payload: string;
  readonly payloadBytes: Uint8Array;
  readonly signatures: readonly EnvelopeSignature[];
}

const headerTypes: Readonly<Record<string, DocumentKind>> = {
  'pf-root+jws': 'root',
  'pf-list+jws': 'list',
  'pf-receipt+jws': 'receipt',
  'pf-state+jws': 'state',
  'pf-leaving+jws': 'leaving',
  'pf-views+jws': 'views',
};

/** @throws ListError `too_big`, `envelope_syntax`, `envelope_header`, `duplicate_member`, `algorithm` */
export function parseEnvelope(
  bytes: Uint8Array,
  maxBytes: number = listLimits.maxEnvelopeBytes,
): Envelope {
  const value = parseStrictJson(bytes, {
    ...{ what: 'envelope', reason: 'envelope_syntax', maxBytes },
    maxStringLength: maxBytes,
  });
  const { payload, signatures } = exactMembers(value, ['payload', 'signatures'], 'envelope_syntax');
  const payloadBytes = typeof payload === 'string' ? decodeBase64Url(payload) : undefined;
  if (typeof payload !== 'string' || payloadBytes === undefined) {
    throw new ListError('envelope_syntax', 'envelope: payload is not base64url');
  }
  if (!Array.isArray(signatures) || signatures.length < 1) {
    throw new ListError('envelope_syntax', 'envelope: signatures is not a list of at least one');
  }
  if (signatures.length > listLimits.maxSignatures) {
    const seen = `envelope: ${signatures.length} signatures`;
    throw new ListError('envelope_syntax', `${seen}; allowed: at most ${listLimits.maxSignatures}`);
  }
  const parsed = signatures.map(parseSignature);
  const kinds = [...new Set(parsed.map((one) => one.kind))];
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) {
    throw new ListError('envelope_header', `envelope: signed as ${kinds.join(' and ')} at once`);
  }
  return { kind, payload, payloadBytes, signatures: parsed.map((one) => one.signature) };
}

/** The one spelling of an envelope, as served and stored. */
export function renderEnvelope(envelope: Pick<Envelope, 'payload' | 'signatures'>): Uint8Array {
  const signatures = envelope.signatures.map((one) => ({
    protected: one.protected,
    signature: one.signature,
  }));
  return encodeUtf8(JSON.stringify({ payload: envelope.payload, signatures }));
}

/** The protected header of one signature, checked; also used for compact receipts. */
export function parseHeader(encoded: string): {
  readonly kid: string;
  readonly kind: DocumentKind;
} {
  const bytes = decodeBase64Url(encoded);
  if (bytes === undefined) throw new ListError('envelope_header', 'header: not base64url');
  const value = parseStrictJson(bytes, { what: 'header', reason: 'envelope_header' });
  const { alg, kid, typ } = exactMembers(value, ['alg', 'kid', 'typ'], 'envelope_header');
  if (alg !== 'Ed25519') {
    throw new ListError('algorithm', `header: alg is ${JSON.stringify(alg)}; allowed: "Ed25519"`);
  }
  const kind = typeof typ === 'string' && Object.hasOwn(headerTypes, typ) && headerTypes[typ];
  if (!kind) throw new ListError('envelope_header', `header: typ is ${JSON.stringify(typ)}`);
  if (typeof kid !== 'string' || !/^[A-Za-z0-9_-]{43}$/.test(kid)) {
    throw new ListError('envelope_header', 'header: kid is not an RFC 7638 thumbprint');
  }
  return { kid, kind };
}

/** `alg`, `kid`, `typ` in this order: the header of everything we sign. */
export function renderHeader(kind: DocumentKind, kid: string): Uint8Array {
  return encodeUtf8(JSON.stringify({ alg: 'Ed25519', kid, typ: `pf-${kind}+jws` }));
}

/** Base64url of exactly 64 bytes. */
export function isSignatureText(value: JsonValue | undefined): value is string {
  return typeof value === 'string' && decodeBase64Url(value)?.length === 64;
}

function parseSignature(value: JsonValue): {
  readonly kind: DocumentKind;
  readonly signature: EnvelopeSignature;
} {
  const members = exactMembers(value, ['protected', 'signature'], 'envelope_header');
  if (typeof members.protected !== 'string') {
    throw new ListError('envelope_header', 'envelope: protected is not a string');
  }
  const { kid, kind } = parseHeader(members.protected);
  if (!isSignatureText(members.signature)) {
    throw new ListError('envelope_syntax', 'envelope: a signature is not 64 bytes in base64url');
  }
  return { kind, signature: { kid, protected: members.protected, signature: members.signature } };
}

/** What is not read must not be there; a missing member fails where it is read. */
function exactMembers(
  value: JsonValue,
  names: readonly string[],
  reason: 'envelope_syntax' | 'envelope_header',
): JsonObject {
  if (!isJsonObject(value))
    throw new ListError(reason, `an object of ${names.join(', ')} expected`);
  const extra = Object.keys(value).find((name) => !names.includes(name));
  if (extra !== undefined) {
    throw new ListError(
      reason,
      `member ${JSON.stringify(extra)} is not allowed; allowed: ${names.join(', ')}`,
    );
  }
  return value;
}
