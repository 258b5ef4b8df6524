/** Section `follow` of publisher.yml: whom a follower believes, and where it looks. */
import * as z from 'zod';
import { ConfigError, PilotfishError } from '../errors.ts';
import { publisherUrl } from '../list/members.ts';
import type { JoinToken } from '../list/model.ts';
import { parseToken } from '../list/token.ts';

export const followSection = z.strictObject({
  token: z
    .string()
    .min(1)
    .describe("the writer's join token, see `token`: it pins whom the follower believes"),
  from: z
    .array(z.string().min(1).max(4_096))
    .min(1, 'expected at least one source')
    .max(8)
    .describe(
      'where the list comes from, the newest wins: https://HOST:PORT of another publisher or a ' +
        'server with its files, `cluster` (the node beside this publisher), or the path of an ' +
        "exported folder or of pilotfish.list in a group's shared folder; relative to --dir",
    ),
});

export interface FollowConfig {
  readonly token: JoinToken;
  readonly from: readonly string[];
}

/** Throws ConfigError `config_invalid`, `token_invalid`. */
export function readFollow(
  { token: text, from }: z.output<typeof followSection>,
  org: string,
  path: string,
): FollowConfig {
  const token = readToken(text, path);
  if (token.org !== org) {
    const seen = `${path}: follow.token: it is of ${token.org}; org is ${org}`;
    throw new ConfigError('config_invalid', seen);
  }
  const wrong = from.find(
    (one) => /^[a-z]+:\/\//i.test(one) && !publisherUrl.safeParse(one).success,
  );
  if (wrong !== undefined) {
    const expected = 'expected https://HOST:PORT, nothing after it';
    throw new ConfigError('config_invalid', `${path}: follow.from: ${wrong}: ${expected}`);
  }
  return { token, from: [...new Set(from)] };
}

function readToken(text: string, path: string): JoinToken {
  try {
    return parseToken(text);
  } catch (thrown) {
    if (!(thrown instanceof PilotfishError)) throw thrown;
    throw new ConfigError('token_invalid', `${path}: follow.token: ${thrown.message}`);
  }
}
