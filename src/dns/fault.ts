/** Why bytes that came back are not an answer to what was asked. Counted by kind, never retried blindly. */

export const dnsFaults = [
  'not_a_reply',
  'wrong_id',
  'wrong_question',
  'wrong_case',
  'malformed',
  'looping',
  'too_big',
  'unknown_type',
] as const;

export type DnsFaultKind = (typeof dnsFaults)[number];

/** Inside `dns/` only: the resolver counts it and goes on. */
export class DnsFault extends Error {
  readonly kind: DnsFaultKind;

  constructor(kind: DnsFaultKind, message: string) {
    super(message);
    this.name = 'DnsFault';
    this.kind = kind;
  }
}
