/** The API's tokens on disk, as a running publisher follows them: a revoked one is gone within a second. */
import { readFileSync, statSync } from 'node:fs';
import type { Clock } from '../clock.ts';
import { messageOf } from '../guards.ts';
import { parseTokenFile, type TokenRecord } from '../publisher/api/token.ts';
import type { Complaints } from '../publisher/complaints.ts';

export const tokenFileName = 'api-tokens.json';
const lookEveryMs = 1_000;
const maxBytes = 256 * 1024;
const topic = 'api.tokens';

/** Damaged or unreadable: nobody is let in, and it is told. */
export function followTokens(
  path: string,
  clock: Clock,
  complaints: Complaints,
): () => readonly TokenRecord[] {
  let tokens: readonly TokenRecord[] = [];
  let mark = '';
  let lookedMs = Number.NEGATIVE_INFINITY;
  return () => {
    const nowMs = clock.monotonicMs();
    if (nowMs - lookedMs < lookEveryMs) return tokens;
    lookedMs = nowMs;
    const now = markOf(path);
    if (now === mark) return tokens;
    mark = now;
    const found = now === gone ? [] : readTokens(path);
    if (found === undefined) complaints.begin(topic, `${path} is damaged: no token is accepted`);
    else complaints.end(topic);
    tokens = found ?? [];
    return tokens;
  };
}

const gone = 'gone';

/** Differs when the file does; a file that cannot be looked at cannot be read either. */
function markOf(path: string): string {
  try {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stats === undefined ? gone : `${stats.ino} ${stats.size} ${stats.mtimeNs}`;
  } catch (error) {
    return messageOf(error);
  }
}

function readTokens(path: string): readonly TokenRecord[] | undefined {
  try {
    if (statSync(path).size > maxBytes) return undefined;
    return parseTokenFile(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}
