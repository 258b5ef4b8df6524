/**
 * Receipts: the nonce of this very poll, signed with the hash of the newest list. They prove
 * freshness without a clock and without trust in the transport (trust-and-safety D5).
 */
import { decodeBase64Url } from '../bytes.ts';
import { ListError } from '../errors.ts';
import { checkHeaderKind } from './document-type.ts';
import { isSignatureText, parseHeader } from './envelope.ts';
import { listLimits, type Receipt, type Root } from './model.ts';
import { parseReceipt } from './parse-receipt.ts';
import { comparePositions, type KnownList, renderPosition } from './position.ts';
import { isSigned } from './signatures.ts';

/** The receipt of one poll with the nonce that was sent. */
export interface PollReceipt {
  readonly compact: string;
  /** 16 bytes in base64url. */
  readonly nonce: string;
}

/**
 * Does the receipt vouch, for this poll, for exactly this list?
 * @throws ListError `receipt_invalid`, `wrong_type`, `unknown_key`, or of header and JSON
 */
export async function verifyReceipt(
  poll: PollReceipt,
  list: KnownList,
  root: Root,
): Promise<Receipt> {
  const receipt = await openReceipt(poll.compact, root);
  if (receipt.nonce !== poll.nonce) {
    throw new ListError('receipt_invalid', 'receipt: made for another poll (its nonce differs)');
  }
  if (receipt.list !== list.hash) {
    const seen = `receipt: vouches for ${receipt.list}`;
    throw new ListError('receipt_invalid', `${seen}; the list at hand is ${list.hash}`);
  }
  if (comparePositions(receipt, list.position) !== 0) {
    const seen = `receipt: names ${renderPosition(receipt)}`;
    throw new ListError('receipt_invalid', `${seen}; the list is ${renderPosition(list.position)}`);
  }
  return receipt;
}

/** Signed by a list key of the root; what it says is not judged yet. */
async function openReceipt(compact: string, root: Root): Promise<Receipt> {
  if (compact.length > listLimits.maxReceiptLength) {
    const allowed = `allowed: at most ${listLimits.maxReceiptLength}`;
    throw new ListError('too_big', `receipt: ${compact.length} characters; ${allowed}`);
  }
  const [header = '', payload = '', signature = '', ...rest] = compact.split('.');
  const bytes = decodeBase64Url(payload);
  if (rest.length > 0 || bytes === undefined || !isSignatureText(signature)) {
    throw new ListError('receipt_invalid', 'receipt: not a compact JWS');
  }
  const { kid, kind } = parseHeader(header);
  checkHeaderKind(kind, 'receipt');
  const key = root.roles.list.kids.includes(kid) ? root.keys[kid] : undefined;
  if (key === undefined) {
    throw new ListError('unknown_key', `receipt: signed by ${kid}, which is not a list key`);
  }
  if (!(await isSigned(payload, { protected: header, signature }, key))) {
    throw new ListError('receipt_invalid', 'receipt: the signature does not fit the content');
  }
  return parseReceipt(bytes);
}
