/**
 * What a publisher that stands by tells the one that leads about the manager of its host: it is about
 * to be stopped, or it is back.
 */
import type { VerifiedRoot } from '../list/root.ts';
import type { SigningKey } from '../list/sign.ts';
import { notOurs, signPeerWord, verifyPeerWord } from './peer-word.ts';

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
  return signPeerWord('leaving', word, org, key);
}

/** @throws as verifyPeerWord */
export async function verifyLeaving(
  bytes: Uint8Array,
  root: VerifiedRoot,
  nowMs: number,
): Promise<LeavingWord> {
  const word = await verifyPeerWord('leaving', bytes, root, maxLeavingBytes);
  const { manager, isLeaving, atMs } = word;
  const isKnown = typeof manager === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(manager);
  if (!isKnown || typeof isLeaving !== 'boolean' || typeof atMs !== 'number') {
    throw notOurs('not of the form that is known here');
  }
  if (!(Math.abs(atMs - nowMs) <= maxSkewMs)) throw notOurs('too old, or from the future');
  return { manager, isLeaving, atMs };
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
