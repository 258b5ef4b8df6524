/** Receipt: payload bytes to values and back. Wire names: trust-and-safety 1.5. */
import * as z from 'zod';
import { checkType } from './document-type.ts';
import {
  counter,
  hashTag,
  instant,
  members,
  parseMembers,
  pattern,
  present,
  renderInstant,
  renderPayload,
} from './members.ts';
import type { Receipt } from './model.ts';
import { parseStrictJson } from './strict-json.ts';

/** 16 random bytes in base64url, as sent in the `PF-Nonce` request header. */
export const nonceShape = /^[A-Za-z0-9_-]{22}$/;

const document = members({
  typ: z.literal('pf-receipt'),
  nonce: pattern(nonceShape, '16 bytes in base64url'),
  list: hashTag,
  epoch: counter,
  term: counter,
  version: counter,
  now: instant,
  agent: hashTag.optional(),
});

/** @throws ListError `wrong_type`, `receipt_invalid`, `duplicate_member`, `too_big` */
export function parseReceipt(payload: Uint8Array): Receipt {
  const rules = { what: 'receipt', reason: 'receipt_invalid' } as const;
  const value = parseStrictJson(payload, rules);
  checkType(value, 'receipt');
  const { typ: _typ, now, ...same } = parseMembers(document, value, rules);
  return present({ ...same, nowMs: now });
}

/** The inverse of `parseReceipt`. */
export function renderReceipt(receipt: Receipt): Uint8Array {
  return renderPayload({
    typ: 'pf-receipt',
    nonce: receipt.nonce,
    list: receipt.list,
    epoch: receipt.epoch,
    term: receipt.term,
    version: receipt.version,
    now: renderInstant(receipt.nowMs),
    agent: receipt.agent,
  });
}
