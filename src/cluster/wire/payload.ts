/**
 * How the body of a command becomes a typed value and back. A codec never trusts: whatever does
 * not have the exact form is a `PayloadError`, which the session answers as stock does and which
 * ends nothing.
 */

/** A payload that does not have the form its command prescribes; the message goes to the peer. */
export class PayloadError extends Error {}

export interface Codec<Value> {
  encode(value: Value): Buffer;
  /** Throws `PayloadError`. */
  decode(bytes: Buffer): Value;
}

const space = ' '.charCodeAt(0);

/** `head` up to the first space, the bytes after it. Throws `PayloadError` without a space. */
export function splitOnce(bytes: Buffer): { readonly head: string; readonly rest: Buffer } {
  const end = bytes.indexOf(space);
  if (end === -1) throw new PayloadError('not enough values to unpack (expected 2, got 1)');
  if (end > 4096) throw new PayloadError('the first word is longer than 4096 bytes');
  return { head: bytes.toString('utf8', 0, end), rest: bytes.subarray(end + 1) };
}

/** `head`, a space, `rest`, in one buffer. */
export function joinOnce(head: string, rest: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${head} `, 'utf8'), rest]);
}
