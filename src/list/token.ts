/**
 * Join token: `pfj1.<base64url of JSON>.<crc32>`. It holds no secret; what it pins is the hash of
 * the root payload, so keys, thresholds and constraints come in at once (trust-and-safety 1.8).
 */
import { crc32 } from 'node:zlib';
import type * as z from 'zod';
import { decodeBase64Url, encodeBase64Url } from '../bytes.ts';
import { ConfigError, ListError } from '../errors.ts';
import {
  hashTag,
  identifier,
  integer,
  keyId,
  keyPin,
  list,
  members,
  parseMembers,
  pattern,
  present,
  publisherUrl,
  renderPayload,
} from './members.ts';
import { type JoinToken, listLimits } from './model.ts';
import { parseStrictJson } from './strict-json.ts';

const prefix = 'pfj1';

const document = members({
  o: identifier,
  u: list(publisherUrl, 0, listLimits.maxPublishers),
  ca: keyPin.optional(),
  r: hashTag,
  rv: integer(1, Number.MAX_SAFE_INTEGER),
  k: list(keyId, 1, listLimits.maxKeys),
  t: integer(1, listLimits.maxSignatures),
  g: identifier,
  s: identifier,
  nb: pattern(/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/, 'a day like 2026-11-01').optional(),
  id: identifier,
});

/** Blanks around the token (copied from a terminal) are ignored. @throws ConfigError `token_invalid` */
export function parseToken(text: string): JoinToken {
  const wire = readToken(text.trim());
  return present({
    org: wire.o,
    publishers: wire.u,
    ca: wire.ca,
    rootHash: wire.r,
    rootVersion: wire.rv,
    kids: wire.k,
    threshold: wire.t,
    group: wire.g,
    site: wire.s,
    notBefore: wire.nb,
    id: wire.id,
  });
}

/** The inverse of `parseToken`. */
export function renderToken(token: JoinToken): string {
  const body = encodeBase64Url(
    renderPayload({
      o: token.org,
      u: token.publishers,
      ca: token.ca,
      r: token.rootHash,
      rv: token.rootVersion,
      k: token.kids,
      t: token.threshold,
      g: token.group,
      s: token.site,
      nb: token.notBefore,
      id: token.id,
    }),
  );
  return `${prefix}.${body}.${checksum(body)}`;
}

/** A host that belongs to one organisation never joins another by accident. @throws ConfigError `token_other_org` */
export function checkTokenOrg(token: JoinToken, joinedOrg: string | undefined): void {
  if (joinedOrg === undefined || joinedOrg === token.org) return;
  throw new ConfigError(
    'token_other_org',
    `the token is for ${token.org}; this host belongs to ${joinedOrg}`,
  );
}

function readToken(text: string): z.output<typeof document> {
  if (text.length > listLimits.maxTokenLength) {
    const allowed = `allowed: at most ${listLimits.maxTokenLength}`;
    throw new ConfigError('token_invalid', `token: ${text.length} characters; ${allowed}`);
  }
  const [seenPrefix, body, sum, ...rest] = text.split('.');
  if (seenPrefix !== prefix) {
    throw new ConfigError('token_invalid', `token: does not begin with "${prefix}."`);
  }
  if (body === undefined || sum === undefined || rest.length > 0) {
    throw new ConfigError('token_invalid', 'token: incomplete; three parts with dots expected');
  }
  if (sum !== checksum(body)) {
    throw new ConfigError('token_invalid', 'token: checksum differs; a character is wrong or lost');
  }
  return readBody(body);
}

function readBody(body: string): z.output<typeof document> {
  const rules = { what: 'token', reason: 'token_invalid' } as const;
  const bytes = decodeBase64Url(body);
  if (bytes === undefined) throw new ConfigError('token_invalid', 'token: not base64url');
  try {
    return parseMembers(document, parseStrictJson(bytes, rules), rules);
  } catch (thrown) {
    if (!(thrown instanceof ListError)) throw thrown;
    throw new ConfigError('token_invalid', thrown.message, { cause: thrown });
  }
}

/** CRC-32 (IEEE 802.3) of the base64url text, eight lower-case hexadecimal digits. */
function checksum(body: string): string {
  return crc32(body).toString(16).padStart(8, '0');
}
