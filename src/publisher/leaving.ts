/**
 * What a publisher that stands by tells the one that leads about the manager of its host: it is about
 * to be stopped, or it is back. Signed by the list key, which all of them hold: whoever may say this
 * may say anything in a list anyway.
 */
import { encodeUtf8 } from '../bytes.ts';
import { ListError } from '../errors.ts';
import { isJsonObject } from '../guards.ts';
import { checkHeaderKind } from '../list/document-type.ts';
import { parseEnvelope } from '../list/envelope.ts';
import type { VerifiedRoot } from '../list/root.ts';
import { type SigningKey, signDocument } from '../list/sign.ts';
import { findSigners, meetsThreshold } from '../list/signatures.ts';

export interface LeavingWord {
  /** Id of the manager. */
  readonly manager: string;
  readonly isLeaving: boolean;
  readonly atMs: number;
}

export const maxLeavingBytes = 2_048;
/** Clocks of publishers differ; older words, and those from the future, are not believed. */
const maxSkewMs = 600_000;

export function signLeaving(word: LeavingWord, org: string, key: SigningKey): Uint8Array {
  const payload = { typ: 'pf-leaving', spec: 1, org, ...word };
  return signDocument('leaving', encodeUtf8(JSON.stringify(payload)), [key]);
}

/** @throws ListError `shared_state`, and those of envelopes */
export async function verifyLeaving(
  bytes: Uint8Array,
  root: VerifiedRoot,
  nowMs: number,
): Promise<LeavingWord> {
  const envelope = parseEnvelope(bytes, maxLeavingBytes);
  checkHeaderKind(envelope.kind, 'leaving');
  const signers = await findSigners(envelope, root.keys, 'shared_state');
  if (!meetsThreshold(signers, root.roles.list)) throw refused('no list key signed it');
  const value: unknown = JSON.parse(Buffer.from(envelope.payloadBytes).toString('utf8'));
  const { typ, spec, org, manager, isLeaving, atMs } = isJsonObject(value) ? value : {};
  if (typ !== 'pf-leaving' || spec !== 1 || org !== root.org) throw refused('not one of ours');
  const isKnown = typeof manager === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(manager);
  if (!isKnown || typeof isLeaving !== 'boolean' || typeof atMs !== 'number') {
    throw refused('not of the form that is known here');
  }
  if (!(Math.abs(atMs - nowMs) <= maxSkewMs)) throw refused('too old, or from the future');
  return { manager, isLeaving, atMs };
}

function refused(why: string): ListError {
  return new ListError('shared_state', `the word of another publisher: ${why}`);
}

/** The newest word about each manager. */
export class LeavingBook {
  readonly #words = new Map<string, LeavingWord>();

  /** False: an older word than the one that is known. */
  take(word: LeavingWord): boolean {
    const known = this.#words.get(word.manager);
    if (known !== undefined && word.atMs <= known.atMs) return false;
    this.#words.set(word.manager, word);
    return true;
  }

  states(): ReadonlyMap<string, boolean> {
    return new Map([...this.#words].map(([id, { isLeaving }]) => [id, isLeaving]));
  }
}
