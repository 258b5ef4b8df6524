/**
 * Who may use the API: bearer tokens with a role and an end, kept as hashes. A token is 32 random
 * bytes, so a plain SHA-256 of it is enough; its id finds the record, its hash is compared in constant
 * time. Pure.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import * as z from 'zod';
import { decodeBase64Url, encodeBase64Url } from '../../bytes.ts';

export const roles = ['read', 'operate', 'admin'] as const;
export type Role = (typeof roles)[number];

const record = z.strictObject({
  id: z.string().regex(/^[A-Za-z0-9_-]{8}$/),
  name: z.string().min(1).max(64),
  role: z.enum(roles),
  /** SHA-256 of the secret, base64url. */
  hash: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  createdAtMs: z.number(),
  expiresAtMs: z.number(),
});
const file = z.strictObject({ spec: z.literal(1), tokens: z.array(record).max(256) });

export type TokenRecord = z.output<typeof record>;
export const maxTokens = 256;

/** `admin` may what `operate` may, and so on. */
export function allows(role: Role, needed: Role): boolean {
  return roles.indexOf(role) >= roles.indexOf(needed);
}

/** Undefined: not of ours. */
export function parseTokenFile(text: string): readonly TokenRecord[] | undefined {
  try {
    return file.safeParse(JSON.parse(text)).data?.tokens;
  } catch {
    return undefined;
  }
}

export function renderTokenFile(tokens: readonly TokenRecord[]): string {
  return `${JSON.stringify({ spec: 1, tokens }, undefined, 1)}\n`;
}

export interface TokenWish {
  readonly name: string;
  readonly role: Role;
  readonly nowMs: number;
  readonly validMs: number;
}

/** `bytes`: 38 unpredictable ones. The text is shown once and kept nowhere. */
export function mintToken(
  { name, role, nowMs, validMs }: TokenWish,
  bytes: Uint8Array,
): { readonly text: string; readonly record: TokenRecord } {
  const id = encodeBase64Url(bytes.subarray(0, 6));
  const secret = encodeBase64Url(bytes.subarray(6, 38));
  const hash = encodeBase64Url(hashOf(secret));
  const kept = { id, name, role, hash, createdAtMs: nowMs, expiresAtMs: nowMs + validMs };
  return { text: `pfa1.${id}.${secret}`, record: kept };
}

const shape = /^Bearer pfa1\.([A-Za-z0-9_-]{8})\.([A-Za-z0-9_-]{43})$/;

/** Of an `Authorization` header; undefined: forged, revoked, expired, or none at all. */
export function findToken(
  header: string | undefined,
  tokens: readonly TokenRecord[],
  nowMs: number,
): TokenRecord | undefined {
  const [, id = '', secret = ''] = shape.exec(header ?? '') ?? [];
  const found = tokens.find((one) => one.id === id);
  const wanted = decodeBase64Url(found?.hash ?? '') ?? new Uint8Array();
  const given = hashOf(secret);
  // A stranger costs what a wrong secret does.
  const isRight = wanted.length === given.length && timingSafeEqual(wanted, given);
  return found !== undefined && isRight && nowMs < found.expiresAtMs ? found : undefined;
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
