/**
 * Does ossec.conf still say what was written last? For `status`, `check` and metrics. Only drift of
 * server entries is a fault; other bytes are other people's business. Pure.
 */
import { sha256Tag } from '../bytes.ts';
import { readServers } from './draft.ts';
import { sameServers } from './foreign.ts';
import type { WrittenServer } from './result.ts';

export type Drift =
  | { readonly kind: 'none' }
  /** Nothing was written by us yet. */
  | { readonly kind: 'never_written' }
  /** Our entries stand, something else in the file changed. */
  | { readonly kind: 'other_bytes' }
  | {
      readonly kind: 'servers';
      readonly written: readonly WrittenServer[];
      readonly present: readonly WrittenServer[];
    };

/** `written` from the last result: its `servers` and `afterHash`. */
export function judgeDrift(
  written: { readonly servers: readonly WrittenServer[]; readonly hash: string } | undefined,
  config: Uint8Array,
  agentVersion: string | undefined,
): Drift {
  if (written === undefined) return { kind: 'never_written' };
  if (sha256Tag(config) === written.hash) return { kind: 'none' };
  const present = readServers(config, agentVersion).servers;
  if (sameServers(written.servers, present)) return { kind: 'other_bytes' };
  return { kind: 'servers', written: written.servers, present };
}
